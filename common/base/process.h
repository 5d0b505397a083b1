/* What every program of ours does first. */
#ifndef WS_COMMON_BASE_PROCESS_H
#define WS_COMMON_BASE_PROCESS_H

#include <stdbool.h>
#include <uv.h>

/* Makes sure that descriptors 0, 1 and 2 are open, so that no socket ever gets one of these numbers
 * and is taken for standard output. One that was closed is /dev/null opened the other way round, so
 * that using it is an error (EBADF), as it would be if it were closed still. Ignores SIGPIPE
 * and SIGXFSZ, so that a peer that is gone, or a file that may not grow, is an error code and not
 * our death. */
void process_prepare(void);

/* Makes sure that 8 files more can be opened: libuv aborts where it lacks one for its loop or its
 * signals. Returns 0, or a negative UV_E* code. */
int process_check_files(void);

/* True when the signal is ignored, as by nohup, and by a shell for what it runs in the background:
 * then it is to be left so. Ask before there is a handler for it. */
bool process_ignores(int signum);

/* Dies of the signal, as if it had never been handled, so that a shell ends the loop or the script
 * in which it runs us. Where the signal does not kill (the first process of a container), exits
 * with 128 + `signum`, as a shell would report it. */
_Noreturn void process_die_of(int signum);

/* Starts a thread that handles no signals, which are for others. Returns 0 or a negative UV_E*
 * code. */
int process_start_thread(uv_thread_t *thread, void (*run)(void *argument), void *argument);

/* Allows as many open files as may be: raises the soft limit to the hard one. */
void process_raise_files(void);

/* How many files may be open, all in all. */
unsigned long long process_max_files(void);

/* Bytes of memory that this process may use: the machine's, or less where a control group says so
 * (memory.max of cgroup v2, of its own group or one above it). */
unsigned long long process_memory_limit(void);

#endif

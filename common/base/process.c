#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/decimal.h"

enum {
    SPARE_FILES = 8,
    SIGNAL_STATUS = 128,
};

void process_prepare(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        /* open() takes the lowest number that is free, which is this one. */
        int wrong_way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", wrong_way) != fd)
            abort();
    }
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGXFSZ, SIG_IGN);
}

int process_check_files(void)
{
    int files[SPARE_FILES];
    int count = 0, status = 0;

    while (status == 0 && count < SPARE_FILES) {
        files[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (files[count] < 0)
            status = uv_translate_sys_error(errno);
        else
            count++;
    }
    while (count > 0)
        (void) close(files[--count]);
    return status;
}

bool process_ignores(int signum)
{
    struct sigaction action;

    return sigaction(signum, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

_Noreturn void process_die_of(int signum)
{
    sigset_t only;

    (void) signal(signum, SIG_DFL);
    (void) sigemptyset(&only);
    (void) sigaddset(&only, signum);
    (void) sigprocmask(SIG_UNBLOCK, &only, NULL);
    (void) raise(signum);
    _exit(SIGNAL_STATUS + signum);
}

int process_start_thread(uv_thread_t *thread, void (*run)(void *argument), void *argument)
{
    sigset_t all, before;
    int status;

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    status = uv_thread_create(thread, run, argument);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

void process_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &limit); /* else it stays as it was */
}

unsigned long long process_max_files(void)
{
    struct rlimit limit = {0};

    (void) getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

/* ---- memory ---- */

enum { GROUP_SIZE = PATH_MAX };

/* The number in a file of the control groups; ULLONG_MAX when it has none ("max"). */
static unsigned long long read_limit(const char *path)
{
    char text[32];
    FILE *file = fopen(path, "re");
    uint64_t limit;

    if (file == NULL)
        return ULLONG_MAX;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    (void) fclose(file);
    return decimal_read(text, strlen(text), &limit) > 0 ? limit : ULLONG_MAX;
}

/* The control group that this process is in, as a path below /sys/fs/cgroup: "" if unknown. */
static void find_group(char group[GROUP_SIZE])
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[GROUP_SIZE];

    group[0] = '\0';
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::/", 4) == 0)
            memcpy(group, line + 3, strlen(line + 3) + 1);
    }
    (void) fclose(file);
}

unsigned long long process_memory_limit(void)
{
    unsigned long long least = uv_get_total_memory();
    char group[GROUP_SIZE], path[GROUP_SIZE + 64];
    char *slash;

    find_group(group);
    do {
        unsigned long long limit;

        (void) snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        limit = read_limit(path);
        least = limit < least ? limit : least;
        slash = strrchr(group, '/');
        if (slash != NULL)
            *slash = '\0';
    } while (slash != NULL);
    return least;
}

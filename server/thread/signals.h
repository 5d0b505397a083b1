#ifndef SERVER_THREAD_SIGNALS_H
#define SERVER_THREAD_SIGNALS_H

#include <signal.h>
#include <uv.h>

/* Signals as events of one loop. They are blocked in every thread that is started after
 * signals_start(), and read from a descriptor: no handler runs, so none is lost or interrupts
 * anything, and one that arrives before the loop runs waits. */

struct signals {
    int _fd; /* -1: not started */
    void (*_on_signal)(void *context, int number);
    void *_context;
    uv_poll_t _poll;
};

/* Calls on_signal, on loop, for each signal in set. To be called before other threads are started.
 * Returns 0 or a UV_E code; then there is nothing to close. */
int signals_start(struct signals *signals, uv_loop_t *loop, const sigset_t *set,
                  void (*on_signal)(void *context, int number), void *context);

/* The signals stay blocked. May be called when signals_start() has failed or was never called on a
 * struct that holds zeros with _fd -1. */
void signals_close(struct signals *signals);

#endif

/* Whether every worker turns. At each interval all workers are asked through their inboxes, unless
 * an answer is missing still; when the last one has answered, the watchdog is fed, on the thread
 * and loop that it was started on. So the time between two feeds is the interval and the time that
 * the slowest worker takes to answer; while one does not answer, nothing is fed.
 *
 * A worker whose inbox is closed has ended, as it does while the server stops: it needs not answer.
 */
#ifndef WS_SERVER_THREAD_WATCHDOG_H
#define WS_SERVER_THREAD_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "server/thread/inbox.h"

struct watchdog_worker;

/* The workers: the inbox of the i-th of `count`. */
struct watchdog_workers {
    struct inbox *(*inbox_at)(void *context, size_t i);
    void *context;
    size_t count;
};

struct watchdog {
    uv_timer_t _timer;
    uv_async_t _answered;
    struct watchdog_worker *_workers;
    size_t _count;
    bool _waiting; /* for an answer */
    void (*_feed)(void *context);
    void *_context;
};

/* `interval` is in milliseconds, at least 1; the first question is asked at once. Returns 0 or a
 * negative UV_E* code; then there is nothing to close. */
int watchdog_start(struct watchdog *watchdog, uv_loop_t *loop,
                   const struct watchdog_workers *workers, uint64_t interval,
                   void (*feed)(void *context), void *context);

/* No worker runs any more, and no inbox is gone yet. Run the loop once more then. */
void watchdog_close(struct watchdog *watchdog);

#endif

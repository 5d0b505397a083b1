#include "server/thread/watchdog.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/list.h"

struct watchdog_worker {
    struct inbox_item item;
    struct inbox *inbox;
    struct watchdog *watchdog;
    _Atomic bool answered;
};

static void on_asked(struct inbox_item *item)
{
    struct watchdog_worker *worker = container_of(item, struct watchdog_worker, item);

    atomic_store(&worker->answered, true);
    (void) uv_async_send(&worker->watchdog->_answered);
}

static void ask(struct watchdog *watchdog)
{
    watchdog->_waiting = true;
    for (size_t i = 0; i < watchdog->_count; i++)
        atomic_store(&watchdog->_workers[i].answered, false);
    for (size_t i = 0; i < watchdog->_count; i++)
        inbox_post(watchdog->_workers[i].inbox, &watchdog->_workers[i].item);
}

static bool is_missing(const struct watchdog_worker *worker)
{
    return !atomic_load(&worker->answered) && !inbox_is_closed(worker->inbox);
}

static void look(struct watchdog *watchdog)
{
    if (!watchdog->_waiting)
        return;
    for (size_t i = 0; i < watchdog->_count; i++) {
        if (is_missing(&watchdog->_workers[i]))
            return;
    }
    watchdog->_waiting = false;
    watchdog->_feed(watchdog->_context);
}

static void on_answered(uv_async_t *async)
{
    look(container_of(async, struct watchdog, _answered));
}

static void on_timer(uv_timer_t *timer)
{
    struct watchdog *watchdog = container_of(timer, struct watchdog, _timer);

    look(watchdog); /* a worker may have ended without an answer */
    if (!watchdog->_waiting)
        ask(watchdog);
}

int watchdog_start(struct watchdog *watchdog, uv_loop_t *loop,
                   const struct watchdog_workers *workers, uint64_t interval,
                   void (*feed)(void *context), void *context)
{
    int status;

    *watchdog = (struct watchdog){._count = workers->count, ._feed = feed, ._context = context};
    watchdog->_workers = calloc(workers->count, sizeof *watchdog->_workers);
    if (watchdog->_workers == NULL)
        return UV_ENOMEM;
    status = uv_async_init(loop, &watchdog->_answered, on_answered);
    if (status != 0) {
        free(watchdog->_workers);
        return status;
    }
    for (size_t i = 0; i < workers->count; i++) {
        struct watchdog_worker *worker = &watchdog->_workers[i];

        inbox_item_init(&worker->item, on_asked);
        worker->inbox = workers->inbox_at(workers->context, i);
        worker->watchdog = watchdog;
    }
    (void) uv_timer_init(loop, &watchdog->_timer);
    (void) uv_timer_start(&watchdog->_timer, on_timer, 0, interval);
    return 0;
}

void watchdog_close(struct watchdog *watchdog)
{
    uv_close((uv_handle_t *) &watchdog->_timer, NULL);
    uv_close((uv_handle_t *) &watchdog->_answered, NULL);
    free(watchdog->_workers);
    watchdog->_workers = NULL;
}

/* How other threads speak to a worker: items are posted, the worker is woken (uv_async, which
 * coalesces), and each item runs once on the worker's thread; what is posted while items run is for
 * the loop's next turn. An item belongs to its poster and is posted at most once at a
 * time: posting it again before it has run changes nothing. */
#ifndef WS_SERVER_THREAD_INBOX_H
#define WS_SERVER_THREAD_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "common/base/list.h"

struct inbox_item {
    struct list _node;
    _Atomic bool _posted; /* it is in the list, or on its way there: it will run */
    void (*_run)(struct inbox_item *item);
};

struct inbox {
    uv_async_t _async;
    uv_mutex_t _lock; /* guards the list and the nodes of its items */
    struct list _items;
    bool _closed;
};

/* Returns 0 or a negative UV_E* code. */
int inbox_init(struct inbox *inbox, uv_loop_t *loop);

/* Stops receiving: what is posted from now on never runs. Run the loop once more, then deinit. */
void inbox_close(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);

/* From any thread, until inbox_deinit: what is posted does not run any more. */
bool inbox_is_closed(struct inbox *inbox);

/* `run` is called on the worker's thread for each time the item was posted (or more). */
void inbox_item_init(struct inbox_item *item, void (*run)(struct inbox_item *item));

/* From any thread, until inbox_deinit. What was written before is seen when the item runs. Takes no
 * lock if the item waits already. */
void inbox_post(struct inbox *inbox, struct inbox_item *item);

/* From the worker's thread, while no thread posts it: takes the item back if it has not run yet. */
void inbox_withdraw(struct inbox *inbox, struct inbox_item *item);

#endif

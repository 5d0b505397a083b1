#include "server/thread/inbox.h"

/* From here on the item can be posted anew, as it has to be: its run, which is to come, may be too
 * early for what is written next. */
static struct inbox_item *take_first(struct inbox *inbox, struct list *items)
{
    struct inbox_item *item;
    struct list *node;

    uv_mutex_lock(&inbox->_lock);
    node = list_take_first(items);
    uv_mutex_unlock(&inbox->_lock);
    if (node == NULL)
        return NULL;
    item = container_of(node, struct inbox_item, _node);
    /* Acquires what the threads have written that found it posted; each of them released it. */
    (void) atomic_exchange_explicit(&item->_posted, false, memory_order_acq_rel);
    return item;
}

/* Runs what is there now. What is posted meanwhile wakes the loop again, so that a thread that
 * posts all the time does not keep it from its sockets. */
static void on_async(uv_async_t *async)
{
    struct inbox *inbox = container_of(async, struct inbox, _async);
    struct inbox_item *item;
    struct list items;

    list_init(&items);
    uv_mutex_lock(&inbox->_lock);
    list_splice(&items, &inbox->_items);
    uv_mutex_unlock(&inbox->_lock);
    while ((item = take_first(inbox, &items)) != NULL)
        item->_run(item);
}

int inbox_init(struct inbox *inbox, uv_loop_t *loop)
{
    int status;

    list_init(&inbox->_items);
    inbox->_closed = false;
    status = uv_mutex_init(&inbox->_lock);
    if (status != 0)
        return status;
    status = uv_async_init(loop, &inbox->_async, on_async);
    if (status != 0)
        uv_mutex_destroy(&inbox->_lock);
    return status;
}

void inbox_close(struct inbox *inbox)
{
    uv_mutex_lock(&inbox->_lock);
    inbox->_closed = true;
    uv_mutex_unlock(&inbox->_lock);
    uv_close((uv_handle_t *) &inbox->_async, NULL);
}

bool inbox_is_closed(struct inbox *inbox)
{
    bool closed;

    uv_mutex_lock(&inbox->_lock);
    closed = inbox->_closed;
    uv_mutex_unlock(&inbox->_lock);
    return closed;
}

void inbox_deinit(struct inbox *inbox)
{
    uv_mutex_destroy(&inbox->_lock);
}

void inbox_item_init(struct inbox_item *item, void (*run)(struct inbox_item *item))
{
    list_init(&item->_node);
    atomic_init(&item->_posted, false);
    item->_run = run;
}

void inbox_post(struct inbox *inbox, struct inbox_item *item)
{
    if (atomic_exchange_explicit(&item->_posted, true, memory_order_acq_rel))
        return;
    uv_mutex_lock(&inbox->_lock);
    if (!inbox->_closed) {
        if (list_empty(&inbox->_items))
            (void) uv_async_send(&inbox->_async);
        list_append(&inbox->_items, &item->_node);
    }
    uv_mutex_unlock(&inbox->_lock);
}

void inbox_withdraw(struct inbox *inbox, struct inbox_item *item)
{
    uv_mutex_lock(&inbox->_lock);
    list_remove(&item->_node);
    uv_mutex_unlock(&inbox->_lock);
    atomic_store_explicit(&item->_posted, false, memory_order_relaxed);
}

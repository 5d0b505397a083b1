#include "server/inbox.h"

static struct inbox_item *take_first(struct inbox *inbox)
{
    struct list *node;

    uv_mutex_lock(&inbox->_lock);
    node = list_take_first(&inbox->_items);
    uv_mutex_unlock(&inbox->_lock);
    return node != NULL ? container_of(node, struct inbox_item, _node) : NULL;
}

static void on_async(uv_async_t *async)
{
    struct inbox *inbox = container_of(async, struct inbox, _async);
    struct inbox_item *item;

    while ((item = take_first(inbox)) != NULL)
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

void inbox_deinit(struct inbox *inbox)
{
    uv_mutex_destroy(&inbox->_lock);
}

void inbox_item_init(struct inbox_item *item, void (*run)(struct inbox_item *item))
{
    list_init(&item->_node);
    item->_run = run;
}

void inbox_post(struct inbox *inbox, struct inbox_item *item)
{
    uv_mutex_lock(&inbox->_lock);
    if (!inbox->_closed && !list_linked(&item->_node)) {
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
}

#include "server/http/control.h"

#include <stdlib.h>

/* One that no one has taken yet. NULL: there is none. */
static struct control_ask *take(struct control *control)
{
    struct control_ask *found = NULL;
    struct list *node;

    uv_mutex_lock(&control->_lock);
    for (node = control->_asks.next; node != &control->_asks && found == NULL; node = node->next) {
        struct control_ask *ask = container_of(node, struct control_ask, _node);

        if (!ask->_taken)
            found = ask;
    }
    if (found != NULL)
        found->_taken = true;
    uv_mutex_unlock(&control->_lock);
    return found;
}

static void on_async(uv_async_t *async)
{
    struct control *control = container_of(async, struct control, _async);
    struct control_ask *ask;

    while ((ask = take(control)) != NULL)
        control->_on_ask(control, ask);
}

int control_init(struct control *control, uv_loop_t *loop,
                 void (*on_ask)(struct control *control, struct control_ask *ask))
{
    int status;

    *control = (struct control){._on_ask = on_ask};
    atomic_init(&control->phase, CONTROL_STARTING);
    list_init(&control->_asks);
    status = uv_mutex_init(&control->_lock);
    if (status != 0)
        return status;
    status = uv_async_init(loop, &control->_async, on_async);
    if (status != 0)
        uv_mutex_destroy(&control->_lock);
    return status;
}

void control_close(struct control *control)
{
    uv_mutex_lock(&control->_lock);
    control->_closed = true;
    uv_mutex_unlock(&control->_lock);
    uv_close((uv_handle_t *) &control->_async, NULL);
}

void control_deinit(struct control *control)
{
    struct list *node, *next;

    for (node = control->_asks.next; node != &control->_asks; node = next) {
        next = node->next;
        free(container_of(node, struct control_ask, _node)); /* its thread has ended */
    }
    uv_mutex_destroy(&control->_lock);
}

/* On the asker's thread. */
static void on_answer(struct inbox_item *item)
{
    struct control_ask *ask = container_of(item, struct control_ask, _item);

    uv_mutex_lock(&ask->_control->_lock);
    list_remove(&ask->_node);
    uv_mutex_unlock(&ask->_control->_lock);
    if (ask->_asker != NULL)
        ask->_answered(ask->_asker, ask->status, ask->text);
    free(ask);
}

int control_ask(struct control *control, enum control_wish wish, struct inbox *inbox, void *asker,
                void (*answered)(void *asker, int status, const char *text),
                struct control_ask **ask)
{
    struct control_ask *fresh = calloc(1, sizeof *fresh);
    bool closed;

    if (fresh == NULL)
        return UV_ENOMEM;
    inbox_item_init(&fresh->_item, on_answer);
    fresh->_control = control;
    fresh->_inbox = inbox;
    fresh->wish = wish;
    fresh->_asker = asker;
    fresh->_answered = answered;
    uv_mutex_lock(&control->_lock);
    closed = control->_closed;
    if (!closed) {
        list_append(&control->_asks, &fresh->_node);
        (void) uv_async_send(&control->_async);
    }
    uv_mutex_unlock(&control->_lock);
    if (closed) {
        free(fresh);
        return UV_ECANCELED;
    }
    *ask = fresh;
    return 0;
}

void control_forget(struct control_ask *ask)
{
    ask->_asker = NULL;
}

void control_answer(struct control_ask *ask)
{
    inbox_post(ask->_inbox, &ask->_item);
}

#include "server/http/control.h"

#include <stdio.h>
#include <stdlib.h>

int control_init(struct control *control, uv_loop_t *loop,
                 void (*on_ask)(struct control *control, struct control_ask *ask))
{
    int status;

    atomic_init(&control->phase, CONTROL_STARTING);
    list_init(&control->_asks);
    control->_on_ask = on_ask;
    status = uv_mutex_init(&control->_lock);
    if (status != 0)
        return status;
    status = inbox_init(&control->_inbox, loop);
    if (status != 0)
        uv_mutex_destroy(&control->_lock);
    return status;
}

void control_close(struct control *control)
{
    inbox_close(&control->_inbox);
}

void control_deinit(struct control *control)
{
    LIST_FOR_EACH_SAFE (node, next, &control->_asks) {
        free(container_of(node, struct control_ask, _node)); /* its thread has ended */
    }
    inbox_deinit(&control->_inbox);
    uv_mutex_destroy(&control->_lock);
}

static void on_asked(struct inbox_item *item)
{
    struct control_ask *ask = container_of(item, struct control_ask, _asked);

    ask->_control->_on_ask(ask->_control, ask);
}

/* On the asker's thread. */
static void on_told(struct inbox_item *item)
{
    struct control_ask *ask = container_of(item, struct control_ask, _told);

    uv_mutex_lock(&ask->_control->_lock);
    list_remove(&ask->_node);
    uv_mutex_unlock(&ask->_control->_lock);
    if (ask->_asker != NULL)
        ask->_answered(ask->_asker, ask->_status, ask->_text);
    free(ask);
}

int control_ask(struct control *control, enum control_wish wish, struct inbox *inbox, void *asker,
                void (*answered)(void *asker, int status, const char *text),
                struct control_ask **ask)
{
    struct control_ask *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->_control = control;
    inbox_item_init(&fresh->_asked, on_asked);
    inbox_item_init(&fresh->_told, on_told);
    fresh->_inbox = inbox;
    fresh->wish = wish;
    fresh->_asker = asker;
    fresh->_answered = answered;
    uv_mutex_lock(&control->_lock);
    list_append(&control->_asks, &fresh->_node);
    uv_mutex_unlock(&control->_lock);
    inbox_post(&control->_inbox, &fresh->_asked);
    *ask = fresh;
    return 0;
}

void control_forget(struct control_ask *ask)
{
    ask->_asker = NULL;
}

void control_answer(struct control_ask *ask, int status, const char *text)
{
    ask->_status = status;
    (void) snprintf(ask->_text, sizeof ask->_text, "%s", text);
    inbox_post(ask->_inbox, &ask->_told);
}

#include "server/pace.h"

enum { AGAIN = 4 }; /* milliseconds between two looks while somebody is held */

/* Takes everybody off the list, and lets go on who may: the others are put back. */
static void on_timer(uv_timer_t *timer)
{
    struct pace *pace = container_of(timer, struct pace, _timer);
    struct list judged, *node;

    list_init(&judged);
    list_splice(&judged, &pace->_held);
    while ((node = list_take_first(&judged)) != NULL) {
        struct pace_publisher *publisher = container_of(node, struct pace_publisher, _node);

        if (channel_reached(publisher->_channel, publisher->_own) < publisher->_until) {
            list_append(&pace->_held, node);
            continue;
        }
        publisher->_held = false;
        publisher->_on_held(publisher, false);
    }
    if (list_empty(&pace->_held))
        (void) uv_timer_stop(timer);
}

void pace_init(struct pace *pace, uv_loop_t *loop)
{
    (void) uv_timer_init(loop, &pace->_timer);
    list_init(&pace->_held);
    pace->_published = 0;
}

void pace_close(struct pace *pace)
{
    uv_close((uv_handle_t *) &pace->_timer, NULL);
}

void pace_published(struct pace *pace, struct pace_publisher *publisher, struct channel *channel,
                    const struct channel_listener *own, size_t len,
                    void (*on_held)(struct pace_publisher *publisher, bool held))
{
    uint64_t end;

    pace->_published += len;
    if (publisher->_held || (pace->_published < PACE_LOOK && list_empty(&pace->_held)))
        return;
    pace->_published = 0;
    end = channel_appended(channel);
    if (end < PACE_BEHIND || channel_reached(channel, own) >= end - PACE_BEHIND)
        return;
    publisher->_channel = channel;
    publisher->_own = own;
    publisher->_until = end;
    publisher->_held = true;
    publisher->_on_held = on_held;
    list_init(&publisher->_node);
    list_append(&pace->_held, &publisher->_node);
    if (!uv_is_active((uv_handle_t *) &pace->_timer))
        (void) uv_timer_start(&pace->_timer, on_timer, AGAIN, AGAIN);
    on_held(publisher, true);
}

void pace_forget(struct pace_publisher *publisher)
{
    if (publisher->_held)
        list_remove(&publisher->_node);
    publisher->_held = false;
}

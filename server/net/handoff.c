#include "server/net/handoff.h"

#include <stdlib.h>
#include <unistd.h>

/* Takes the whole list, and leaves an empty one. */
static struct handoff_connection *take_all(struct handoff *handoff, size_t *count)
{
    struct handoff_connection *all;

    uv_mutex_lock(&handoff->_lock);
    all = handoff->_waiting;
    *count = handoff->_count;
    handoff->_waiting = NULL;
    handoff->_count = 0;
    handoff->_capacity = 0;
    uv_mutex_unlock(&handoff->_lock);
    return all;
}

static void on_posted(struct inbox_item *item)
{
    struct handoff *handoff = container_of(item, struct handoff, _item);
    size_t count;
    struct handoff_connection *all = take_all(handoff, &count);

    for (size_t i = 0; i < count; i++)
        handoff->_on_arrival(handoff, &all[i]);
    free(all);
}

int handoff_init(struct handoff *handoff, struct inbox *inbox,
                 void (*on_arrival)(struct handoff *handoff,
                                    const struct handoff_connection *arrival))
{
    *handoff = (struct handoff){._inbox = inbox, ._on_arrival = on_arrival};
    inbox_item_init(&handoff->_item, on_posted);
    return uv_mutex_init(&handoff->_lock);
}

/* With the lock held. False when out of memory. */
static bool make_room(struct handoff *handoff)
{
    size_t capacity = handoff->_capacity > 0 ? 2 * handoff->_capacity : 64;
    struct handoff_connection *larger;

    if (handoff->_count < handoff->_capacity)
        return true;
    larger = realloc(handoff->_waiting, capacity * sizeof *larger);
    if (larger == NULL)
        return false;
    handoff->_waiting = larger;
    handoff->_capacity = capacity;
    return true;
}

int handoff_give(struct handoff *handoff, const struct handoff_connection *arrival)
{
    int status = 0;
    bool taken = false;

    uv_mutex_lock(&handoff->_lock);
    if (!handoff->_closed) {
        taken = make_room(handoff);
        status = taken ? 0 : UV_ENOMEM;
    }
    if (taken)
        handoff->_waiting[handoff->_count++] = *arrival;
    uv_mutex_unlock(&handoff->_lock);
    if (taken)
        inbox_post(handoff->_inbox, &handoff->_item);
    else
        (void) close(arrival->fd);
    return status;
}

void handoff_close(struct handoff *handoff)
{
    struct handoff_connection *all;
    size_t count;

    uv_mutex_lock(&handoff->_lock);
    handoff->_closed = true;
    uv_mutex_unlock(&handoff->_lock);
    all = take_all(handoff, &count);
    for (size_t i = 0; i < count; i++)
        (void) close(all[i].fd);
    free(all);
}

void handoff_deinit(struct handoff *handoff)
{
    uv_mutex_destroy(&handoff->_lock);
}

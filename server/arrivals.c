#include "server/arrivals.h"

#include <stdlib.h>
#include <unistd.h>

/* Takes the whole list, and leaves an empty one. */
static struct arrival *take_all(struct arrivals *arrivals, size_t *count)
{
    struct arrival *all;

    uv_mutex_lock(&arrivals->_lock);
    all = arrivals->_waiting;
    *count = arrivals->_count;
    arrivals->_waiting = NULL;
    arrivals->_count = 0;
    arrivals->_capacity = 0;
    uv_mutex_unlock(&arrivals->_lock);
    return all;
}

static void on_posted(struct inbox_item *item)
{
    struct arrivals *arrivals = container_of(item, struct arrivals, _item);
    size_t count;
    struct arrival *all = take_all(arrivals, &count);

    for (size_t i = 0; i < count; i++)
        arrivals->_on_arrival(arrivals, &all[i]);
    free(all);
}

int arrivals_init(struct arrivals *arrivals, struct inbox *inbox,
                  void (*on_arrival)(struct arrivals *arrivals, const struct arrival *arrival))
{
    *arrivals = (struct arrivals){._inbox = inbox, ._on_arrival = on_arrival};
    inbox_item_init(&arrivals->_item, on_posted);
    return uv_mutex_init(&arrivals->_lock);
}

/* With the lock held. False when out of memory. */
static bool make_room(struct arrivals *arrivals)
{
    size_t capacity = arrivals->_capacity > 0 ? 2 * arrivals->_capacity : 64;
    struct arrival *larger;

    if (arrivals->_count < arrivals->_capacity)
        return true;
    larger = realloc(arrivals->_waiting, capacity * sizeof *larger);
    if (larger == NULL)
        return false;
    arrivals->_waiting = larger;
    arrivals->_capacity = capacity;
    return true;
}

int arrivals_give(struct arrivals *arrivals, const struct arrival *arrival)
{
    int status = 0;
    bool taken = false;

    uv_mutex_lock(&arrivals->_lock);
    if (!arrivals->_closed) {
        taken = make_room(arrivals);
        status = taken ? 0 : UV_ENOMEM;
    }
    if (taken)
        arrivals->_waiting[arrivals->_count++] = *arrival;
    uv_mutex_unlock(&arrivals->_lock);
    if (taken)
        inbox_post(arrivals->_inbox, &arrivals->_item);
    else
        (void) close(arrival->fd);
    return status;
}

void arrivals_close(struct arrivals *arrivals)
{
    struct arrival *all;
    size_t count;

    uv_mutex_lock(&arrivals->_lock);
    arrivals->_closed = true;
    uv_mutex_unlock(&arrivals->_lock);
    all = take_all(arrivals, &count);
    for (size_t i = 0; i < count; i++)
        (void) close(all[i].fd);
    free(all);
}

void arrivals_deinit(struct arrivals *arrivals)
{
    uv_mutex_destroy(&arrivals->_lock);
}

#include "server/broadcast/fanouts.h"

#include <search.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    uintptr_t one = (uintptr_t) ((const struct fanout *) left)->channel;
    uintptr_t other = (uintptr_t) ((const struct fanout *) right)->channel;

    return one < other ? -1 : one > other;
}

void fanouts_init(struct fanouts *fanouts, struct channels *channels,
                  const struct subscriber_ops *ops, struct inbox *inbox, struct list *due)
{
    *fanouts = (struct fanouts){
        .channels = channels,
        .ops = ops,
        .inbox = inbox,
        .due = due,
    };
    list_init(&fanouts->all);
    list_init(&fanouts->_unused);
}

static struct fanout *find(const struct fanouts *fanouts, struct channel *channel)
{
    struct fanout key = {.channel = channel};
    struct fanout **found = (struct fanout **) tfind(&key, &fanouts->_by_channel, compare);

    return found != NULL ? *found : NULL;
}

/* NULL when out of memory. */
static struct fanout *make(struct fanouts *fanouts, struct channel *channel)
{
    struct fanout *fanout = malloc(sizeof *fanout);

    if (fanout == NULL)
        return NULL;
    fanout_init(fanout, channel, fanouts->ops, fanouts->inbox, fanouts->due);
    fanout->latency = fanouts->latency;
    if (tsearch(fanout, &fanouts->_by_channel, compare) == NULL) {
        free(fanout);
        return NULL;
    }
    list_append(&fanouts->all, &fanout->_node);
    return fanout;
}

int fanouts_get(struct fanouts *fanouts, const char *name, size_t len, bool create,
                struct fanout **fanout)
{
    struct channel *channel;
    int status = create ? channels_make(fanouts->channels, name, len, &channel)
                        : channels_find(fanouts->channels, name, len, &channel);

    if (status != 0)
        return status;
    *fanout = find(fanouts, channel);
    if (*fanout != NULL) {
        channels_unref(fanouts->channels, channel); /* it has a reference of its own */
    } else {
        *fanout = make(fanouts, channel);
        if (*fanout == NULL) {
            channels_unref(fanouts->channels, channel);
            return UV_ENOMEM;
        }
    }
    (*fanout)->_users++;
    list_remove(&(*fanout)->_unused_node);
    return 0;
}

bool fanouts_look(const struct fanouts *fanouts, struct channel *channel, unsigned *budget,
                  struct fanout_lag *lag)
{
    struct fanout *fanout = find(fanouts, channel);

    return fanout == NULL || fanout_look(fanout, budget, lag);
}

struct fanouts_stalled fanouts_stalled(const struct fanouts *fanouts)
{
    struct fanouts_stalled all = {0};

    LIST_FOR_EACH (one, &fanouts->all) {
        const struct fanout *fanout = container_of(one, struct fanout, _node);

        LIST_FOR_EACH (node, &fanout->_stalled) {
            const struct subscriber *subscriber = container_of(node, struct subscriber, node);
            uint64_t lag = channel_lag(fanout->channel, &subscriber->reader);

            all.subscribers++;
            all.worst = lag > all.worst ? lag : all.worst;
        }
    }
    return all;
}

void fanouts_put(struct fanouts *fanouts, struct fanout *fanout)
{
    if (--fanout->_users == 0)
        list_append(&fanouts->_unused, &fanout->_unused_node);
}

struct fanout_behind fanouts_behind(const struct fanouts *fanouts, struct channel *channel)
{
    struct fanout *fanout = find(fanouts, channel);

    return fanout != NULL ? fanout_behind(fanout) : (struct fanout_behind){0};
}

void fanouts_clean(struct fanouts *fanouts)
{
    struct list *node;

    while ((node = list_take_first(&fanouts->_unused)) != NULL) {
        struct fanout *fanout = container_of(node, struct fanout, _unused_node);

        (void) tdelete(fanout, &fanouts->_by_channel, compare);
        list_remove(&fanout->_node);
        fanout_deinit(fanout);
        channels_unref(fanouts->channels, fanout->channel);
        free(fanout);
    }
}

#include <stdlib.h>

#include "server/broadcast/fanout.h"
#include "server/broadcast/fanout_private.h"
#include "server/broadcast/time_marks.h"

enum {
    LAG_CHECKS = 16, /* how often the lag is checked while the log grows by the limit */
    MARKS = 17,      /* in the time that a stalled subscriber has */
};

/* Those of now. */
static const struct lag_limits *limits_of(const struct fanout *fanout)
{
    return &channel_settings(fanout->channel)->lag;
}

/* ---- too slow ---- */

static bool exceeds(uint64_t lag, uint64_t most)
{
    return most > 0 && lag > most;
}

/* What is in the history costs nothing: to lag there is allowed. Where it will go on, in the log of
 * its encoding, it holds what comes. */
static bool catches_up_too_slowly(struct fanout *fanout, const struct subscriber *subscriber)
{
    const struct lag_limits *limits = limits_of(fanout);
    uint64_t messages;
    uint64_t bytes = fanout->_ops->queued(subscriber) +
                     channel_lag_beyond_history(fanout->channel, &subscriber->reader,
                                                fanout->_ops->live_cursor(subscriber), &messages);

    return exceeds(bytes, limits->bytes) || exceeds(messages, limits->messages);
}

static bool is_too_slow(struct fanout *fanout, const struct subscriber *subscriber)
{
    const struct lag_limits *limits = limits_of(fanout);
    uint64_t lag = channel_lag(fanout->channel, &subscriber->reader);

    if (lag == 0) /* or it was given up already */
        return false;
    if (subscriber->reader.catching_up)
        return catches_up_too_slowly(fanout, subscriber);
    if (exceeds(lag + fanout->_ops->queued(subscriber), limits->bytes))
        return true;
    return limits->messages > 0 &&
           channel_messages_behind(fanout->channel, &subscriber->reader.cursor, limits->messages) >
               limits->messages;
}

/* So much was published that the stalled are to be looked at again. */
static bool is_lag_due(struct fanout *fanout)
{
    const struct lag_limits *limits = limits_of(fanout);
    uint64_t end = channel_appended(fanout->channel);
    uint64_t sequence = channel_last_id(fanout->channel).sequence;

    if ((limits->bytes == 0 || end - fanout->_lag_checked < limits->bytes / LAG_CHECKS) &&
        (limits->messages == 0 ||
         sequence - fanout->_messages_checked <= limits->messages / LAG_CHECKS))
        return false;
    fanout->_lag_checked = end;
    fanout->_messages_checked = sequence;
    return true;
}

void fanout_lag_check(struct fanout *fanout)
{
    if (list_empty(&fanout->_stalled) || !is_lag_due(fanout))
        return;
    LIST_FOR_EACH_SAFE (node, next, &fanout->_stalled) {
        struct subscriber *subscriber = subscriber_at(node);
        if (is_too_slow(fanout, subscriber))
            fanout->_ops->too_slow(subscriber);
    }
}

/* Marks how many messages there are now. Returns the newest mark that is older than the limit, all
 * before which have served; 0: none is. The marks last for all of that time, however often it is
 * looked at. */
static uint64_t mark_time(struct fanout *fanout, uint64_t now)
{
    uint64_t time = limits_of(fanout)->time, sequence = 0;
    struct time_mark old;

    while (time_marks_take(fanout->_marks, now, time, &old))
        sequence = old.sequence;
    time_marks_add(fanout->_marks,
                   (struct time_mark){now, channel_last_id(fanout->channel).sequence},
                   time / MARKS);
    return sequence;
}

static bool has_waited(struct fanout *fanout, const struct subscriber *subscriber,
                       uint64_t sequence)
{
    uint64_t messages;

    if (channel_lag(fanout->channel, &subscriber->reader) == 0 ||
        block_log_sequence(&subscriber->reader.cursor) >= sequence)
        return false;
    if (!subscriber->reader.catching_up)
        return true;
    (void) channel_beyond_history(fanout->channel, &subscriber->reader.cursor, &messages);
    return messages > 0;
}

void fanout_check_time(struct fanout *fanout, uint64_t now)
{
    struct list *node, *next;
    uint64_t sequence;

    if (limits_of(fanout)->time == 0 || list_empty(&fanout->_stalled)) {
        free(fanout->_marks);
        fanout->_marks = NULL;
        return;
    }
    if (fanout->_marks == NULL)
        fanout->_marks = time_marks_new(MARKS);
    if (fanout->_marks == NULL)
        return;
    sequence = mark_time(fanout, now);
    for (node = fanout->_stalled.next; node != &fanout->_stalled && sequence > 0; node = next) {
        struct subscriber *subscriber = subscriber_at(node);

        next = node->next;
        if (has_waited(fanout, subscriber, sequence))
            fanout->_ops->too_slow(subscriber);
    }
}

/* ---- how far behind ---- */

/* Of one that catches up, only what the history does not hold any more. */
static void count_behind(struct fanout *fanout, const struct subscriber *subscriber,
                         struct fanout_behind *behind)
{
    uint64_t bytes = channel_lag(fanout->channel, &subscriber->reader);
    uint64_t messages = 0;

    if (bytes == 0)
        return;
    if (subscriber->reader.catching_up)
        bytes = channel_lag_beyond_history(fanout->channel, &subscriber->reader,
                                           fanout->_ops->live_cursor(subscriber), &messages);
    else if (limits_of(fanout)->messages > 0)
        messages =
            channel_messages_behind(fanout->channel, &subscriber->reader.cursor, behind->messages);
    if (bytes > behind->bytes)
        behind->bytes = bytes;
    if (limits_of(fanout)->messages > 0 && messages > behind->messages)
        behind->messages = messages;
}

struct fanout_behind fanout_behind(struct fanout *fanout)
{
    struct list *next = round_robin_peek(&fanout->_ready);
    struct fanout_behind behind = {0};

    LIST_FOR_EACH (node, &fanout->_stalled)
        count_behind(fanout, subscriber_at(node), &behind);
    LIST_FOR_EACH (node, &fanout->_catching_up)
        count_behind(fanout, subscriber_at(node), &behind);
    /* Of the ready, none is further behind than the one that is visited next. */
    if (next != NULL)
        count_behind(fanout, subscriber_at(next), &behind);
    return behind;
}

uint64_t fanout_pinned(struct fanout *fanout, const struct subscriber *subscriber)
{
    uint64_t messages;

    if (subscriber->reader.catching_up)
        return channel_lag_beyond_history(fanout->channel, &subscriber->reader,
                                          fanout->_ops->live_cursor(subscriber), &messages);
    return channel_lag(fanout->channel, &subscriber->reader);
}

void fanout_each_behind(struct fanout *fanout,
                        void (*see)(struct subscriber *subscriber, void *argument), void *argument)
{
    struct list *const lists[] = {&fanout->_stalled, &fanout->_catching_up};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        LIST_FOR_EACH (node, lists[i])
            see(subscriber_at(node), argument);
    }
}

/* ---- a look at all, in steps ---- */

void fanout_lag_look_at(struct fanout *fanout, const struct subscriber *subscriber)
{
    struct fanout_lag *lag = &fanout->_lag;
    uint64_t bytes = channel_lag(fanout->channel, &subscriber->reader);
    uint64_t unacknowledged = fanout->_ops->unacknowledged(subscriber);
    uint64_t acknowledged;

    if (unacknowledged > lag->unacknowledged)
        lag->unacknowledged = unacknowledged;
    if (bytes > lag->bytes)
        lag->bytes = bytes;
    if (bytes > 0)
        lag->messages =
            channel_messages_behind(fanout->channel, &subscriber->reader.cursor, lag->messages);
    if (!fanout->_ops->acknowledged(subscriber, &acknowledged))
        return; /* nothing comes from it */
    if (!lag->acknowledges || acknowledged < lag->acknowledged)
        lag->acknowledged = acknowledged;
    lag->acknowledges = true;
}

bool fanout_look(struct fanout *fanout, unsigned *budget, struct fanout_lag *lag)
{
    struct list *const lists[] = {round_robin_nodes(&fanout->_ready), &fanout->_stalled,
                                  &fanout->_catching_up};

    if (!fanout->_looking) {
        fanout->_looking = true;
        fanout->_lag = (struct fanout_lag){0};
        fanout->_look_list = 0;
        fanout->_look = lists[0]->next;
    }
    for (; *budget > 0; --*budget) {
        while (fanout->_look == lists[fanout->_look_list]) {
            if (++fanout->_look_list == sizeof lists / sizeof *lists) {
                fanout->_looking = false;
                fanout->_look = NULL;
                *lag = fanout->_lag;
                return true;
            }
            fanout->_look = lists[fanout->_look_list]->next;
        }
        fanout_lag_look_at(fanout, subscriber_at(fanout->_look));
        fanout->_look = fanout->_look->next;
    }
    return false;
}

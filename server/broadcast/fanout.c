#include "server/broadcast/fanout.h"

#include <stdlib.h>

#include "server/peer/peer.h"

enum {
    LAG_CHECKS = 16,          /* how often the lag is judged while the log grows by max_lag */
    INPUT_BOUND = 256 * 1024, /* bytes that may be published while the flush goes round once */
    CATCHING_COST = 32,       /* of a flush's budget, for one write of history */
    VISIT_BYTES = 64 * 1024,  /* that a visit may write before it counts as more than one */
};

static struct peer *peer_at(struct list *node)
{
    return container_of(node, struct peer, place);
}

/* The only place where a fanout is listed as due: it may be listed already. */
static void want_flush(struct fanout *fanout)
{
    if (!list_linked(&fanout->_due))
        list_append(fanout->_due_list, &fanout->_due);
}

static void mark_due(struct fanout *fanout)
{
    round_robin_mark(&fanout->_ready, channel_appended(fanout->channel));
    want_flush(fanout);
}

static void on_posted(struct inbox_item *item)
{
    mark_due(container_of(item, struct fanout, _item));
}

static void on_published(struct channel_listener *listener)
{
    struct fanout *fanout = container_of(listener, struct fanout, _listener);
    uv_thread_t self = uv_thread_self();

    if (uv_thread_equal(&self, &fanout->_thread) != 0)
        mark_due(fanout);
    else
        inbox_post(fanout->_inbox, &fanout->_item);
}

void fanout_init(struct fanout *fanout, struct channel *channel, struct inbox *inbox,
                 struct list *due, const struct fanout_limits *limits)
{
    *fanout = (struct fanout){
        .channel = channel,
        ._due_list = due,
        ._inbox = inbox,
        ._limits = limits,
        ._thread = uv_thread_self(),
    };
    list_init(&fanout->_node);
    list_init(&fanout->_unused_node);
    round_robin_init(&fanout->_ready);
    list_init(&fanout->_stalled);
    list_init(&fanout->_catching);
    list_init(&fanout->_due);
    inbox_item_init(&fanout->_item, on_posted);
}

void fanout_deinit(struct fanout *fanout)
{
    inbox_withdraw(fanout->_inbox, &fanout->_item);
    list_remove(&fanout->_due);
    free(fanout->_marks);
}

/* ---- who is in which list ---- */

enum { NOWHERE, READY, STALLED, CATCHING }; /* a cursor's `where` */

static bool has_peers(struct fanout *fanout)
{
    return !list_empty(round_robin_nodes(&fanout->_ready)) || !list_empty(&fanout->_stalled) ||
           !list_empty(&fanout->_catching);
}

/* Puts a peer into one of the lists. One that is ready has all there is, or is flushed at once. */
static void put(struct fanout *fanout, struct peer *peer, bool stalled)
{
    if (stalled || peer->cursor.catching) {
        peer->cursor.where = stalled ? STALLED : CATCHING;
        list_append(stalled ? &fanout->_stalled : &fanout->_catching, &peer->place);
        if (!stalled)
            want_flush(fanout);
        return;
    }
    peer->cursor.where = READY;
    round_robin_add(&fanout->_ready, &peer->place);
}

static void take_out(struct fanout *fanout, struct peer *peer)
{
    if (fanout->_look == &peer->place)
        fanout->_look = peer->place.next;
    if (peer->cursor.where == READY)
        round_robin_remove(&fanout->_ready, &peer->place);
    else
        list_remove(&peer->place);
    peer->cursor.where = NOWHERE;
}

int fanout_join(struct fanout *fanout, struct peer *peer, unsigned form,
                const struct channel_since *since, struct event_id *start)
{
    bool first = !has_peers(fanout);
    int status;

    if (first) /* before it stands in the log: nothing that it is to get goes unheard */
        channel_listen(fanout->channel, &fanout->_listener, CHANNEL_THROTTLES, on_published);
    status = channel_join(fanout->channel, form, since, &peer->cursor, start);
    if (status == 0)
        put(fanout, peer, transport_is_stalled(&peer->transport));
    else if (first)
        channel_unlisten(fanout->channel, &fanout->_listener);
    return status;
}

void fanout_leave(struct fanout *fanout, struct peer *peer, struct block_cursor *meeting)
{
    take_out(fanout, peer);
    channel_leave(fanout->channel, &peer->cursor, meeting);
    if (!has_peers(fanout))
        channel_unlisten(fanout->channel, &fanout->_listener);
}

bool fanout_has(const struct peer *peer)
{
    return peer->cursor.where != NOWHERE;
}

static void look_at(struct fanout *fanout, const struct peer *peer);

/* The peer, which stays, goes over to another list: it may go from one that fanout_look has yet to
 * come to, to one that it has seen. */
static void move(struct fanout *fanout, struct peer *peer, bool stalled)
{
    if (fanout->_looking)
        look_at(fanout, peer);
    take_out(fanout, peer);
    put(fanout, peer, stalled);
}

void fanout_stall(struct fanout *fanout, struct peer *peer)
{
    move(fanout, peer, true);
}

void fanout_resume(struct fanout *fanout, struct peer *peer)
{
    move(fanout, peer, false);
}

/* ---- who is too slow ---- */

static bool exceeds(uint64_t lag, uint64_t most)
{
    return most > 0 && lag > most;
}

/* What is in the history costs nothing: to lag there is allowed. Where it will go on, in the log of
 * its form, it holds what comes. */
static bool catches_up_too_slowly(struct fanout *fanout, const struct peer *peer)
{
    uint64_t messages;
    uint64_t bytes =
        transport_queued(&peer->transport) +
        channel_lag_beyond_history(fanout->channel, &peer->cursor, peer_meeting(peer), &messages);

    return exceeds(bytes, fanout->_limits->bytes) || exceeds(messages, fanout->_limits->messages);
}

static bool is_too_slow(struct fanout *fanout, const struct peer *peer)
{
    const struct fanout_limits *limits = fanout->_limits;
    uint64_t lag = channel_lag(fanout->channel, &peer->cursor);

    if (lag == 0) /* or it was given up already */
        return false;
    if (peer->cursor.catching)
        return catches_up_too_slowly(fanout, peer);
    if (exceeds(lag + transport_queued(&peer->transport), limits->bytes))
        return true;
    return limits->messages > 0 && channel_messages_behind(fanout->channel, &peer->cursor,
                                                           limits->messages) > limits->messages;
}

/* So much was published that the stalled are to be looked at again. */
static bool is_lag_due(struct fanout *fanout)
{
    const struct fanout_limits *limits = fanout->_limits;
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

static void judge_lag(struct fanout *fanout)
{
    struct list *node, *next;

    if (list_empty(&fanout->_stalled) || !is_lag_due(fanout))
        return;
    for (node = fanout->_stalled.next; node != &fanout->_stalled; node = next) {
        struct peer *peer = peer_at(node);

        next = node->next;
        if (is_too_slow(fanout, peer))
            peer_too_slow(peer);
    }
}

/* Notes how many messages there are now. Returns the newest mark that is older than the limit; all
 * before it have served. */
static uint64_t mark_time(struct fanout *fanout, uint64_t now)
{
    struct fanout_mark *marks = fanout->_marks;
    uint64_t sequence = 0;

    while (fanout->_mark_count > 0 &&
           marks[fanout->_first_mark].time + fanout->_limits->time <= now) {
        sequence = marks[fanout->_first_mark].sequence;
        fanout->_first_mark = (fanout->_first_mark + 1) % FANOUT_MARKS;
        fanout->_mark_count--;
    }
    if (fanout->_mark_count < FANOUT_MARKS)
        marks[(fanout->_first_mark + fanout->_mark_count++) % FANOUT_MARKS] =
            (struct fanout_mark){now, channel_last_id(fanout->channel).sequence};
    return sequence;
}

static bool has_waited(struct fanout *fanout, const struct peer *peer, uint64_t sequence)
{
    uint64_t messages;

    if (channel_lag(fanout->channel, &peer->cursor) == 0 ||
        block_log_place(&peer->cursor) >= sequence)
        return false;
    if (!peer->cursor.catching)
        return true;
    (void) channel_lag_beyond_history(fanout->channel, &peer->cursor, NULL, &messages);
    return messages > 0;
}

void fanout_judge_time(struct fanout *fanout, uint64_t now)
{
    struct list *node, *next;
    uint64_t sequence;

    if (fanout->_limits->time == 0 || list_empty(&fanout->_stalled)) {
        free(fanout->_marks);
        fanout->_marks = NULL;
        fanout->_mark_count = 0;
        return;
    }
    if (fanout->_marks == NULL)
        fanout->_marks = calloc(FANOUT_MARKS, sizeof *fanout->_marks);
    if (fanout->_marks == NULL)
        return;
    sequence = mark_time(fanout, now);
    for (node = fanout->_stalled.next; node != &fanout->_stalled && sequence > 0; node = next) {
        struct peer *peer = peer_at(node);

        next = node->next;
        if (has_waited(fanout, peer, sequence))
            peer_too_slow(peer);
    }
}

/* ---- the flush ---- */

/* The peer to visit; the one behind it is on its way into the cache meanwhile. */
static struct peer *take_next(struct fanout *fanout)
{
    struct list *next;
    struct peer *peer = peer_at(round_robin_take(&fanout->_ready, &next));
    struct peer *behind = peer_at(next);

    __builtin_prefetch(&behind->place);
    __builtin_prefetch(&behind->transport.stream.tcp.io_watcher.fd);
    return peer;
}

static void close_peer(const struct fanout *fanout, struct peer *peer)
{
    transport_close(&peer->transport, fanout->_close_code, fanout->_close_reason);
}

/* All but the stalled have got what was appended up to here: others may wait for that. */
static void tell_reached(struct fanout *fanout)
{
    uint64_t end = round_robin_reached(&fanout->_ready);

    if (end > atomic_load_explicit(&fanout->_listener.reached, memory_order_relaxed))
        atomic_store_explicit(&fanout->_listener.reached, end, memory_order_relaxed);
}

/* Gives a peer what there is. It may leave or stall. */
static void visit(struct fanout *fanout, struct peer *peer)
{
    if (fanout->_close_reason != NULL)
        close_peer(fanout, peer);
    peer_flush(peer);
}

static void spend(struct fanout_budget *budget, unsigned visits)
{
    budget->visits -= budget->visits < visits ? budget->visits : visits;
    budget->most -= budget->most < visits ? budget->most : visits;
}

/* What one visit costs now: most peers get what not all have got. */
static unsigned visit_cost(const struct fanout *fanout)
{
    uint64_t bytes = channel_appended(fanout->channel) - round_robin_reached(&fanout->_ready);

    return 1 + (unsigned) (bytes < UINT32_MAX ? bytes / VISIT_BYTES : UINT32_MAX / VISIT_BYTES);
}

/* True when the flush is to stop here: for a look at the input, or just for the loop to turn. */
static bool is_spent(struct fanout *fanout, struct fanout_budget *budget)
{
    if (budget->visits > 0)
        return false;
    budget->behind =
        round_robin_in_lap(&fanout->_ready, channel_appended(fanout->channel)) >= INPUT_BOUND;
    return !budget->behind || budget->most == 0;
}

/* Visits the ready peers that may have something to get. True when all are done. */
static bool flush_ready(struct fanout *fanout, struct fanout_budget *budget)
{
    struct round_robin *ready = &fanout->_ready;
    unsigned cost = visit_cost(fanout);

    while (!round_robin_is_done(ready)) {
        if (round_robin_is_lap_over(ready))
            round_robin_begin_lap(ready, channel_appended(fanout->channel));
        if (is_spent(fanout, budget))
            return false;
        spend(budget, cost);
        visit(fanout, take_next(fanout));
        if (round_robin_visited(ready))
            tell_reached(fanout);
    }
    budget->behind = false;
    round_robin_rest(ready);
    tell_reached(fanout);
    return true;
}

/* Visits those that catch up, one after the other: one at least, more while there is budget. True
 * when there are none. */
static bool flush_catching(struct fanout *fanout, struct fanout_budget *budget)
{
    do {
        struct list *node = fanout->_catching.next;

        if (node == &fanout->_catching)
            return true;
        if (fanout->_look == node)
            fanout->_look = node->next;
        list_move(&fanout->_catching, node);
        spend(budget, CATCHING_COST);
        visit(fanout, peer_at(node)); /* or it may be ready now */
    } while (budget->visits > 0);
    return list_empty(&fanout->_catching);
}

void fanout_flush(struct fanout *fanout, struct fanout_budget *budget)
{
    bool done;

    list_remove(&fanout->_due);
    judge_lag(fanout); /* before the flush: who stalls in it has had no time to catch up */
    done = flush_ready(fanout, budget);
    if (!flush_catching(fanout, budget) || !done)
        want_flush(fanout);
}

/* Of one that catches up, only what the history does not hold any more. */
static void count_behind(struct fanout *fanout, const struct peer *peer,
                         struct fanout_behind *behind)
{
    uint64_t bytes = channel_lag(fanout->channel, &peer->cursor);
    uint64_t messages = 0;

    if (bytes == 0)
        return;
    if (peer->cursor.catching)
        bytes = channel_lag_beyond_history(fanout->channel, &peer->cursor, peer_meeting(peer),
                                           &messages);
    else if (fanout->_limits->messages > 0)
        messages = channel_messages_behind(fanout->channel, &peer->cursor, behind->messages);
    if (bytes > behind->bytes)
        behind->bytes = bytes;
    if (fanout->_limits->messages > 0 && messages > behind->messages)
        behind->messages = messages;
}

struct fanout_behind fanout_behind(struct fanout *fanout)
{
    struct fanout_behind behind = {0};
    struct list *node;

    for (node = fanout->_stalled.next; node != &fanout->_stalled; node = node->next)
        count_behind(fanout, peer_at(node), &behind);
    for (node = fanout->_catching.next; node != &fanout->_catching; node = node->next)
        count_behind(fanout, peer_at(node), &behind);
    /* Of the ready, nobody is further behind than the one who is visited next. */
    node = round_robin_peek(&fanout->_ready);
    if (node != NULL)
        count_behind(fanout, peer_at(node), &behind);
    return behind;
}

/* Calls `judge` for every peer in a list; it may make the peer leave. */
static void for_each(struct list *list, void (*judge)(struct peer *peer, const void *argument),
                     const void *argument)
{
    struct list *node, *next;

    for (node = list->next; node != list; node = next) {
        next = node->next;
        judge(peer_at(node), argument);
    }
}

static void for_all(struct fanout *fanout, void (*judge)(struct peer *peer, const void *argument),
                    const void *argument)
{
    for_each(round_robin_nodes(&fanout->_ready), judge, argument);
    for_each(&fanout->_stalled, judge, argument);
    for_each(&fanout->_catching, judge, argument);
}

static void settle(struct peer *peer, const void *argument)
{
    (void) argument;
    block_log_settle(&peer->cursor);
}

void fanout_fold(struct fanout *fanout)
{
    channel_fold(fanout->channel);
    for_all(fanout, settle, NULL);
}

uint64_t fanout_pinned(struct fanout *fanout, const struct peer *peer)
{
    uint64_t messages;

    if (peer->cursor.catching)
        return channel_lag_beyond_history(fanout->channel, &peer->cursor, peer_meeting(peer),
                                          &messages);
    return channel_lag(fanout->channel, &peer->cursor);
}

void fanout_each_behind(struct fanout *fanout, void (*see)(struct peer *peer, void *argument),
                        void *argument)
{
    struct list *const lists[] = {&fanout->_stalled, &fanout->_catching};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (struct list *node = lists[i]->next; node != lists[i]; node = node->next)
            see(peer_at(node), argument);
    }
}

struct sweep {
    uint64_t now;
    uint64_t idle_timeout;
    uint64_t min_read;
};

static void sweep_peer(struct peer *peer, const void *argument)
{
    const struct sweep *sweep = argument;

    if (sweep->idle_timeout > 0)
        peer_judge_idle(peer, sweep->now, sweep->idle_timeout);
    if (sweep->min_read > 0)
        peer_judge_reading(peer, sweep->min_read);
}

void fanout_sweep(struct fanout *fanout, uint64_t now, uint64_t idle_timeout, uint64_t min_read)
{
    for_all(fanout, sweep_peer, &(struct sweep){now, idle_timeout, min_read});
}

/* What waits for a stalled peer grows by its Close; it gets no other visit. */
static void close_stalled(struct peer *peer, const void *argument)
{
    const struct fanout *fanout = argument;

    close_peer(fanout, peer);
}

void fanout_close(struct fanout *fanout, enum frame_close_code code, const char *reason)
{
    fanout->_close_code = code;
    fanout->_close_reason = reason;
    for_each(&fanout->_stalled, close_stalled, fanout);
    for_each(&fanout->_catching, close_stalled, fanout);
    mark_due(fanout);
}

static void abort_peer(struct peer *peer, const void *argument)
{
    (void) argument;
    transport_abort(&peer->transport, UV_ECANCELED);
}

void fanout_abort(struct fanout *fanout)
{
    for_all(fanout, abort_peer, NULL);
}

/* For fanout_look. */
static void look_at(struct fanout *fanout, const struct peer *peer)
{
    struct fanout_lag *lag = &fanout->_lag;
    uint64_t bytes = channel_lag(fanout->channel, &peer->cursor);
    uint64_t unacknowledged = stream_waiting(&peer->transport.stream);
    uint64_t acknowledged;

    if (unacknowledged > lag->unacknowledged)
        lag->unacknowledged = unacknowledged;
    if (bytes > lag->bytes)
        lag->bytes = bytes;
    if (bytes > 0)
        lag->messages = channel_messages_behind(fanout->channel, &peer->cursor, lag->messages);
    if (peer->cursor.form == CHANNEL_EVENTS)
        return; /* nothing comes from it */
    acknowledged = peer_acknowledged(peer);
    if (!lag->acknowledges || acknowledged < lag->acknowledged)
        lag->acknowledged = acknowledged;
    lag->acknowledges = true;
}

bool fanout_look(struct fanout *fanout, unsigned *budget, struct fanout_lag *lag)
{
    struct list *const lists[] = {round_robin_nodes(&fanout->_ready), &fanout->_stalled,
                                  &fanout->_catching};

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
        look_at(fanout, peer_at(fanout->_look));
        fanout->_look = fanout->_look->next;
    }
    return false;
}

#include "server/broadcast/fanout.h"

#include <stdlib.h>

#include "server/broadcast/fanout_private.h"

enum {
    INPUT_BOUND = 256 * 1024, /* bytes that may be published while the flush goes round once */
    CATCH_UP_COST = 32,       /* of a flush's budget, for one write of history */
    VISIT_BYTES = 64 * 1024,  /* that a visit may write before it counts as more than one */
};

/* The only place where a fanout is listed as due: it may be listed already. */
static void want_flush(struct fanout *fanout)
{
    if (!list_linked(&fanout->_due))
        list_append(fanout->_due_list, &fanout->_due);
}

static void mark_due(struct fanout *fanout)
{
    round_robin_note_end(&fanout->_ready, channel_appended(fanout->channel));
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

    if (fanout->latency != NULL &&
        atomic_load_explicit(&fanout->_published, memory_order_relaxed) == 0)
        atomic_store_explicit(&fanout->_published, uv_hrtime(), memory_order_relaxed);
    if (uv_thread_equal(&self, &fanout->_thread) != 0)
        mark_due(fanout);
    else
        inbox_post(fanout->_inbox, &fanout->_item);
}

void fanout_init(struct fanout *fanout, struct channel *channel, const struct subscriber_ops *ops,
                 struct inbox *inbox, struct list *due)
{
    *fanout = (struct fanout){
        .channel = channel,
        ._ops = ops,
        ._due_list = due,
        ._inbox = inbox,
        ._thread = uv_thread_self(),
    };
    list_init(&fanout->_node);
    list_init(&fanout->_unused_node);
    round_robin_init(&fanout->_ready);
    list_init(&fanout->_stalled);
    list_init(&fanout->_catching_up);
    list_init(&fanout->_due);
    inbox_item_init(&fanout->_item, on_posted);
}

void fanout_deinit(struct fanout *fanout)
{
    inbox_withdraw(fanout->_inbox, &fanout->_item);
    list_remove(&fanout->_due);
    free(fanout->_marks);
}

/* ---- the lists ---- */

enum { NOWHERE, READY, STALLED, CATCHING_UP }; /* a subscriber's `listed` */

static bool has_subscribers(struct fanout *fanout)
{
    return !list_empty(round_robin_nodes(&fanout->_ready)) || !list_empty(&fanout->_stalled) ||
           !list_empty(&fanout->_catching_up);
}

/* Puts a subscriber into one of the lists. One that is ready has all there is, or is flushed at
 * once. */
static void put(struct fanout *fanout, struct subscriber *subscriber, bool stalled)
{
    if (stalled || subscriber->reader.catching_up) {
        subscriber->listed = stalled ? STALLED : CATCHING_UP;
        list_append(stalled ? &fanout->_stalled : &fanout->_catching_up, &subscriber->node);
        if (!stalled)
            want_flush(fanout);
        return;
    }
    subscriber->listed = READY;
    round_robin_add(&fanout->_ready, &subscriber->node);
}

static void take_out(struct fanout *fanout, struct subscriber *subscriber)
{
    if (fanout->_look == &subscriber->node)
        fanout->_look = subscriber->node.next;
    if (subscriber->listed == READY)
        round_robin_remove(&fanout->_ready, &subscriber->node);
    else
        list_remove(&subscriber->node);
    subscriber->listed = NOWHERE;
}

int fanout_join(struct fanout *fanout, struct subscriber *subscriber, unsigned encoding,
                const struct channel_replay_from *from, struct event_id *start)
{
    bool first = !has_subscribers(fanout);
    int status;

    if (first) /* before it stands in the log: nothing that it is to get goes unheard */
        channel_listen(fanout->channel, &fanout->_listener, CHANNEL_THROTTLES, on_published);
    status = channel_join(fanout->channel, encoding, from, &subscriber->reader, start);
    if (status == 0)
        put(fanout, subscriber, fanout->_ops->is_stalled(subscriber));
    else if (first)
        channel_unlisten(fanout->channel, &fanout->_listener);
    return status;
}

void fanout_leave(struct fanout *fanout, struct subscriber *subscriber,
                  struct block_cursor *live_cursor)
{
    take_out(fanout, subscriber);
    channel_leave(fanout->channel, &subscriber->reader, live_cursor);
    if (!has_subscribers(fanout))
        channel_unlisten(fanout->channel, &fanout->_listener);
}

bool fanout_has(const struct subscriber *subscriber)
{
    return subscriber->listed != NOWHERE;
}

/* The subscriber, which stays, goes over to another list: it may go from one that fanout_look has
 * yet to come to, to one that it has seen. */
static void move(struct fanout *fanout, struct subscriber *subscriber, bool stalled)
{
    if (fanout->_looking)
        fanout_lag_look_at(fanout, subscriber);
    take_out(fanout, subscriber);
    put(fanout, subscriber, stalled);
}

void fanout_stall(struct fanout *fanout, struct subscriber *subscriber)
{
    move(fanout, subscriber, true);
}

void fanout_resume(struct fanout *fanout, struct subscriber *subscriber)
{
    move(fanout, subscriber, false);
}

/* ---- the flush ---- */

/* The subscriber to visit; the one behind it is on its way into the cache meanwhile. */
static struct subscriber *take_next(struct fanout *fanout)
{
    struct list *next;
    struct subscriber *subscriber = subscriber_at(round_robin_take(&fanout->_ready, &next));
    struct subscriber *behind = subscriber_at(next);

    __builtin_prefetch(&behind->node);
    __builtin_prefetch((const char *) behind + fanout->_ops->touched_first);
    return subscriber;
}

static void close_one(const struct fanout *fanout, struct subscriber *subscriber)
{
    (void) fanout->_ops->close(subscriber, fanout->_close_code, fanout->_close_reason);
}

/* All but the stalled have got what was appended up to here: others may wait for that. */
static void tell_delivered(struct fanout *fanout)
{
    uint64_t end = round_robin_delivered(&fanout->_ready);

    if (end > atomic_load_explicit(&fanout->_listener.delivered, memory_order_relaxed))
        atomic_store_explicit(&fanout->_listener.delivered, end, memory_order_relaxed);
}

/* Gives a subscriber what there is. It may leave or stall. */
static void visit(struct fanout *fanout, struct subscriber *subscriber)
{
    if (fanout->_close_reason != NULL)
        close_one(fanout, subscriber);
    fanout->_ops->flush(subscriber);
}

static void spend(struct fanout_budget *budget, unsigned visits)
{
    budget->visits -= budget->visits < visits ? budget->visits : visits;
    budget->most -= budget->most < visits ? budget->most : visits;
}

/* What one visit costs now: most subscribers get what not all have got. */
static unsigned visit_cost(const struct fanout *fanout)
{
    uint64_t bytes = channel_appended(fanout->channel) - round_robin_delivered(&fanout->_ready);

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

/* Visits the ready subscribers that may have something to get. True when all are done. */
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
            tell_delivered(fanout);
    }
    budget->behind = false;
    round_robin_rest(ready);
    tell_delivered(fanout);
    return true;
}

/* Visits those that catch up, one after the other: one at least, more while there is budget. True
 * when there are none. */
static bool flush_catching_up(struct fanout *fanout, struct fanout_budget *budget)
{
    do {
        struct list *node = fanout->_catching_up.next;

        if (node == &fanout->_catching_up)
            return true;
        if (fanout->_look == node)
            fanout->_look = node->next;
        list_move(&fanout->_catching_up, node);
        spend(budget, CATCH_UP_COST);
        visit(fanout, subscriber_at(node)); /* or it may be ready now */
    } while (budget->visits > 0);
    return list_empty(&fanout->_catching_up);
}

void fanout_flush(struct fanout *fanout, struct fanout_budget *budget)
{
    uint64_t published;
    bool done;

    list_remove(&fanout->_due);
    fanout_lag_check(fanout); /* before the flush: what stalls in it has had no time to catch up */
    published = atomic_load_explicit(&fanout->_published, memory_order_relaxed);
    done = flush_ready(fanout, budget);
    if (done && published != 0) {
        atomic_store_explicit(&fanout->_published, 0, memory_order_relaxed);
        duration_observe(fanout->latency, uv_hrtime() - published, 1);
    }
    if (!flush_catching_up(fanout, budget) || !done)
        want_flush(fanout);
}

/* Calls `see` for every subscriber in a list; it may make the subscriber leave. */
static void for_each(const struct fanout *fanout, struct list *list,
                     void (*see)(const struct fanout *fanout, struct subscriber *subscriber,
                                 const void *argument),
                     const void *argument)
{
    LIST_FOR_EACH_SAFE (node, next, list) {
        see(fanout, subscriber_at(node), argument);
    }
}

static void for_all(struct fanout *fanout,
                    void (*see)(const struct fanout *fanout, struct subscriber *subscriber,
                                const void *argument),
                    const void *argument)
{
    for_each(fanout, round_robin_nodes(&fanout->_ready), see, argument);
    for_each(fanout, &fanout->_stalled, see, argument);
    for_each(fanout, &fanout->_catching_up, see, argument);
}

static void settle(const struct fanout *fanout, struct subscriber *subscriber, const void *argument)
{
    (void) fanout;
    (void) argument;
    block_log_settle(&subscriber->reader.cursor);
}

void fanout_fold(struct fanout *fanout)
{
    channel_fold(fanout->channel);
    for_all(fanout, settle, NULL);
}

static void sweep_one(const struct fanout *fanout, struct subscriber *subscriber, const void *sweep)
{
    fanout->_ops->sweep(subscriber, sweep);
}

void fanout_sweep(struct fanout *fanout, const struct subscriber_sweep *sweep)
{
    for_all(fanout, sweep_one, sweep);
}

/* What waits for a stalled subscriber grows by its Close; it gets no other visit. */
static void close_stalled(const struct fanout *fanout, struct subscriber *subscriber,
                          const void *argument)
{
    (void) argument;
    close_one(fanout, subscriber);
}

void fanout_close(struct fanout *fanout, enum frame_close_code code, const char *reason)
{
    fanout->_close_code = code;
    fanout->_close_reason = reason;
    for_each(fanout, &fanout->_stalled, close_stalled, NULL);
    for_each(fanout, &fanout->_catching_up, close_stalled, NULL);
    mark_due(fanout);
}

size_t fanout_close_some(struct fanout *fanout, size_t most, enum frame_close_code code,
                         const char *reason)
{
    struct list *const lists[] = {round_robin_nodes(&fanout->_ready), &fanout->_stalled,
                                  &fanout->_catching_up};
    size_t closed = 0;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct list *node, *next;

        for (node = lists[i]->next; node != lists[i] && closed < most; node = next) {
            next = node->next;
            closed += fanout->_ops->close(subscriber_at(node), code, reason) ? 1 : 0;
        }
    }
    return closed;
}

static void abort_one(const struct fanout *fanout, struct subscriber *subscriber,
                      const void *argument)
{
    (void) argument;
    fanout->_ops->abort(subscriber);
}

void fanout_abort(struct fanout *fanout)
{
    for_all(fanout, abort_one, NULL);
}

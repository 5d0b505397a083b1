#include "server/fanout.h"

#include "server/peer.h"

enum {
    LAG_CHECKS = 16,          /* how often the lag is judged while the log grows by max_lag */
    INPUT_BOUND = 256 * 1024, /* bytes that may be published while the flush goes round once */
};

static struct peer *peer_at(struct list *node)
{
    return container_of(node, struct peer, place);
}

static void mark_due(struct fanout *fanout)
{
    fanout->_unvisited = fanout->_ready_count;
    if (!list_linked(&fanout->_due))
        list_append(fanout->_due_list, &fanout->_due);
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
                 struct list *due, uint64_t max_lag)
{
    *fanout = (struct fanout){
        .channel = channel,
        ._due_list = due,
        ._inbox = inbox,
        ._max_lag = max_lag,
    };
    list_init(&fanout->_ready);
    fanout->_next = &fanout->_ready;
    list_init(&fanout->_stalled);
    list_init(&fanout->_due);
    inbox_item_init(&fanout->_item, on_posted);
}

void fanout_start(struct fanout *fanout)
{
    fanout->_thread = uv_thread_self();
    channel_listen(fanout->channel, &fanout->_listener, on_published);
}

void fanout_stop(struct fanout *fanout)
{
    channel_unlisten(fanout->channel, &fanout->_listener);
    inbox_withdraw(fanout->_inbox, &fanout->_item);
    list_remove(&fanout->_due);
}

/* Puts a peer into one of the lists: behind the others, wherever the flush stands. */
static void put(struct fanout *fanout, struct peer *peer, bool stalled)
{
    peer->cursor.stalled = stalled;
    list_append(stalled ? &fanout->_stalled : &fanout->_ready, &peer->place);
    if (stalled)
        return;
    fanout->_ready_count++;
    if (fanout->_unvisited > 0)
        fanout->_unvisited++; /* it may stand before the last of them */
}

static void take_out(struct fanout *fanout, struct peer *peer)
{
    if (fanout->_next == &peer->place)
        fanout->_next = peer->place.next;
    list_remove(&peer->place);
    if (!peer->cursor.stalled)
        fanout->_ready_count--;
}

void fanout_join(struct fanout *fanout, struct peer *peer, unsigned bits)
{
    (void) channel_join(fanout->channel, bits, NULL, &peer->cursor, NULL);
    put(fanout, peer, transport_is_stalled(&peer->transport));
}

void fanout_leave(struct fanout *fanout, struct peer *peer)
{
    take_out(fanout, peer);
    channel_leave(fanout->channel, &peer->cursor, NULL);
}

void fanout_stall(struct fanout *fanout, struct peer *peer)
{
    take_out(fanout, peer);
    put(fanout, peer, true);
}

void fanout_resume(struct fanout *fanout, struct peer *peer)
{
    take_out(fanout, peer);
    put(fanout, peer, false);
}

static void judge_lag(struct fanout *fanout)
{
    uint64_t end = channel_appended(fanout->channel);
    struct list *node, *next;

    if (fanout->_max_lag == 0 || end - fanout->_lag_checked < fanout->_max_lag / LAG_CHECKS)
        return;
    fanout->_lag_checked = end;
    for (node = fanout->_stalled.next; node != &fanout->_stalled; node = next) {
        struct peer *peer = peer_at(node);

        next = node->next;
        if (channel_lag(fanout->channel, &peer->cursor) > fanout->_max_lag)
            peer_too_slow(peer);
    }
}

/* The peer to visit; the one behind it is on its way into the cache meanwhile. */
static struct peer *take_next(struct fanout *fanout)
{
    struct peer *peer, *behind;

    if (fanout->_next == &fanout->_ready)
        fanout->_next = fanout->_ready.next;
    peer = peer_at(fanout->_next);
    fanout->_next = fanout->_next->next;
    behind = peer_at(fanout->_next);
    __builtin_prefetch(&behind->place);
    __builtin_prefetch(&behind->transport.stream.tcp.io_watcher.fd);
    return peer;
}

bool fanout_flush(struct fanout *fanout, unsigned *budget)
{
    judge_lag(fanout); /* before the flush: who stalls in it has had no time to catch up */
    while (fanout->_unvisited > 0 && fanout->_ready_count > 0) {
        if (fanout->_lap == 0) {
            fanout->_lap = fanout->_ready_count;
            fanout->_lap_began = channel_appended(fanout->channel);
        }
        if (*budget == 0 && channel_appended(fanout->channel) - fanout->_lap_began < INPUT_BOUND)
            return false;
        if (*budget > 0)
            --*budget;
        fanout->_lap--;
        fanout->_unvisited--;
        peer_flush(take_next(fanout)); /* it may leave or stall */
    }
    fanout->_unvisited = 0;
    return true;
}

/* Calls `visit` for every peer; it may make the peer leave. */
static void for_each(struct fanout *fanout, void (*visit)(struct peer *peer, const void *argument),
                     const void *argument)
{
    struct list *const lists[] = {&fanout->_ready, &fanout->_stalled};
    struct list *node, *next;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (node = lists[i]->next; node != lists[i]; node = next) {
            next = node->next;
            visit(peer_at(node), argument);
        }
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
    for_each(fanout, sweep_peer, &(struct sweep){now, idle_timeout, min_read});
}

struct farewell {
    enum frame_close_code code;
    const char *reason;
};

static void close_peer(struct peer *peer, const void *argument)
{
    const struct farewell *farewell = argument;

    transport_close(&peer->transport, farewell->code, farewell->reason);
}

void fanout_close(struct fanout *fanout, enum frame_close_code code, const char *reason)
{
    for_each(fanout, close_peer, &(struct farewell){code, reason});
}

#include "server/peer/peer_private.h"

#include <stdlib.h>
#include <string.h>

#include "server/broadcast/fanout.h"
#include "server/peer/peer_memory.h"

enum {
    CATCH_UP_BUFS = 4,           /* blocks of history that are written at a time */
    CATCH_UP_EVENTS = 12 * 1024, /* bytes of events that are made of it, and held, at a time */
    CATCH_UP_REST = 64 * 1024,   /* bytes left to read when it is told where to go on */
};

static struct block_cursor *cursor_of(struct peer *peer)
{
    return &peer->subscriber.reader.cursor;
}

struct block_cursor *subscription_live_cursor(const struct peer *peer)
{
    struct peer_replay *replay = peer_replay(peer);

    return replay != NULL ? &replay->live_cursor : NULL;
}

bool subscription_has_met(const struct peer *peer)
{
    const struct peer_replay *replay =
        peer->subscriber.reader.catching_up ? peer_replay(peer) : NULL;

    return replay != NULL && replay->live_cursor._block != NULL &&
           block_log_position(&peer->subscriber.reader.cursor) == replay->stop;
}

bool subscription_is_given_up(const struct peer *peer)
{
    return peer->subscriber.reader.cursor._block == NULL || peer->subscriber.reader.cursor._last;
}

void subscription_send_id(struct peer *peer, struct event_id id)
{
    char text[EVENT_ID_SIZE];

    event_id_print(id, text);
    (void) transport_send(&peer->transport, FRAME_PING, text, strlen(text));
}

/* ---- skipping ---- */

void subscription_give_up(struct peer *peer)
{
    struct block_cursor *live_cursor = subscription_live_cursor(peer);

    block_log_give_up(cursor_of(peer));
    if (live_cursor != NULL && fanout_has(&peer->subscriber))
        channel_part(peer->_fanout->channel, &peer->subscriber.reader, live_cursor);
}

/* A reader that was given up has got what it had begun to read. Unless it is to be closed, it goes
 * on with what is new, and is told where that is. */
__attribute__((noinline)) static void skip(struct peer *peer)
{
    struct event_id start;

    if (!fanout_has(&peer->subscriber) || !transport_is_open(&peer->transport))
        return;
    if (channel_skip(peer->_fanout->channel, &peer->subscriber.reader,
                     subscription_live_cursor(peer), &start) != 0) {
        transport_close(&peer->transport, CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    fanout_resume(peer->_fanout, &peer->subscriber); /* it does not catch up any more */
    if (peer_is_for_events(peer))
        return; /* each event has its ID */
    subscription_send_id(peer, start);
}

/* ---- catching up ---- */

/* Its socket has taken so many bytes of the log. */
static void advance(struct peer *peer, size_t bytes)
{
    struct peer_context *context = peer_surroundings(peer);
    struct peer_record *record = peer_record(peer);

    if (bytes == 0)
        return;
    if (record != NULL)
        record->bytes_out += bytes;
    counters_add(&context->counters.bytes_out[peer_kind(peer)], bytes);
    block_log_advance(cursor_of(peer), bytes);
}

/* Where the history ends that it is to read, it goes on with what is new. */
static void meet(struct peer *peer, struct peer_replay *replay)
{
    struct channel *channel = peer->_fanout->channel;

    if (subscription_is_given_up(peer))
        return; /* it goes on with what is new then, or not at all */
    if (replay->live_cursor._block == NULL &&
        channel_lag(channel, &peer->subscriber.reader) <= CATCH_UP_REST &&
        channel_meet(channel, &peer->subscriber.reader, &replay->live_cursor, &replay->stop) != 0) {
        transport_close(&peer->transport, CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    if (replay->live_cursor._block == NULL || block_log_position(cursor_of(peer)) != replay->stop)
        return;
    channel_go_live(channel, &peer->subscriber.reader, &replay->live_cursor);
    fanout_resume(peer->_fanout, &peer->subscriber);
    peer_memory_caught_up(peer);
    peer_free_cold_if_unused(peer);
}

/* Leaves out what lies behind the first `most` bytes. */
static void cut_bufs(uv_buf_t *bufs, unsigned *count, size_t *len, uint64_t most)
{
    while (*len > most) {
        uv_buf_t *last = &bufs[*count - 1];
        size_t over = *len - (size_t) most < last->len ? *len - (size_t) most : last->len;

        last->len -= over;
        *len -= over;
        *count -= last->len == 0 ? 1 : 0;
    }
}

/* One bounded write of history. */
static void catch_up(struct peer *peer, struct peer_replay *replay)
{
    uv_buf_t bufs[CATCH_UP_BUFS];
    struct transport_bytes bytes = {.bufs = bufs};
    size_t len;
    int status;

    self_published_skip(peer);
    bytes.count = block_log_read(cursor_of(peer), bufs, CATCH_UP_BUFS, &len, &bytes.more);
    cut_bufs(bufs, &bytes.count, &len, self_published_ahead(peer, len));
    if (replay->live_cursor._block != NULL)
        cut_bufs(bufs, &bytes.count, &len, replay->stop - block_log_position(cursor_of(peer)));
    bytes.more = true;
    status = transport_flush(&peer->transport, &bytes);
    advance(peer, bytes.passed);
    self_published_skip(peer);
    if (status == UV_EAGAIN)
        fanout_stall(peer->_fanout, &peer->subscriber);
    else if (status == 0)
        meet(peer, replay);
}

/* True when no further event is to be begun: it goes on with others here, or was given up. */
static bool is_replayed(const struct peer *peer, const struct peer_replay *replay)
{
    return block_log_is_over(&peer->subscriber.reader.cursor) ||
           (replay->live_cursor._block != NULL &&
            block_log_position(&peer->subscriber.reader.cursor) == replay->stop);
}

/* What follows of the history, in the peer's own form, as much as may be held for one peer. Returns
 * 0 or UV_ENOMEM. */
static int append_events(struct peer *peer, struct peer_replay *replay, struct buffer *out)
{
    struct event_id id = channel_id_at(peer->_fanout->channel, &peer->subscriber.reader);
    int status = 0;

    while (status == 0 && (replay_is_within(&replay->events) || !is_replayed(peer, replay))) {
        if (!replay_is_within(&replay->events))
            id.sequence++;
        status = replay_message(&replay->events, peer_is_for_ids(peer) ? REPLAY_IDS : REPLAY_EVENTS,
                                cursor_of(peer), id, out, CATCH_UP_EVENTS);
    }
    return status == UV_ENOMEM ? status : 0;
}

/* The same, for events and frames with IDs: one bounded write. */
static void catch_up_with_events(struct peer *peer, struct peer_replay *replay)
{
    struct transport_bytes none = {.more = true};
    struct buffer *out = transport_raw_output(&peer->transport);
    int status;

    if (out == NULL || append_events(peer, replay, out) != 0) {
        transport_abort(&peer->transport, UV_ENOMEM);
        return;
    }
    status = transport_flush(&peer->transport, &none);
    if (status == UV_EAGAIN)
        fanout_stall(peer->_fanout, &peer->subscriber);
    peer_memory_recount(peer);
    if (status == 0 && !subscription_is_given_up(peer))
        meet(peer, replay);
}

/* True when that is all for now: it has more history to read. */
__attribute__((noinline)) static bool is_catching_up(struct peer *peer)
{
    if (!transport_is_open(&peer->transport))
        subscription_give_up(peer); /* it is to go: that does not wait for history, */
    if (block_log_is_over(cursor_of(peer)) || peer_replay(peer) == NULL ||
        (!transport_is_open(&peer->transport) && !peer_is_within_event(peer))) /* but for this */
        return false;
    if (peer_is_for_events(peer) || peer_is_for_ids(peer))
        catch_up_with_events(peer, peer_replay(peer));
    else
        catch_up(peer, peer_replay(peer));
    return peer->subscriber.reader.catching_up && transport_is_writable(&peer->transport);
}

/* What comes before own frames that wait, which bear the place behind it: the rest of a frame. */
static unsigned read_log(const struct peer *peer, uv_buf_t *bufs, size_t *len, bool *more)
{
    if (!transport_is_mid_frame(&peer->transport) || transport_queued(&peer->transport) == 0)
        return block_log_read(&peer->subscriber.reader.cursor, bufs, TRANSPORT_MAX_BUFS, len, more);
    *more = true;
    return block_log_read_unit(&peer->subscriber.reader.cursor, bufs, len);
}

void subscription_flush(struct peer *peer)
{
    uv_buf_t bufs[TRANSPORT_MAX_BUFS];
    struct transport_bytes bytes = {.bufs = bufs, .more = true};

    if (transport_is_stalled(&peer->transport) ||
        (peer->subscriber.reader.catching_up && is_catching_up(peer)))
        return;
    while (bytes.more && transport_is_writable(&peer->transport)) {
        uint64_t own;
        size_t len;
        int status;

        if (block_log_is_over(cursor_of(peer)))
            skip(peer);
        self_published_skip(peer);
        bytes.count = read_log(peer, bufs, &len, &bytes.more);
        own = self_published_ahead(peer, len);
        if (len > own) {
            cut_bufs(bufs, &bytes.count, &len, own);
            bytes.more = true;
        }
        status = transport_flush(&peer->transport, &bytes);
        advance(peer, bytes.passed);
        if (status == UV_EAGAIN) {
            if (fanout_has(&peer->subscriber))
                fanout_stall(peer->_fanout, &peer->subscriber);
            return;
        }
        if (bytes.passed > 0 && block_log_is_over(cursor_of(peer)))
            bytes.more = true; /* it was given up, and goes on elsewhere */
    }
    if (!transport_is_writable(&peer->transport))
        peer_leave(peer); /* its Close is out, or it is gone: nothing may follow */
}

/* ---- what the fanout asks ---- */

static void flush(struct subscriber *subscriber)
{
    subscription_flush(peer_of_subscriber(subscriber));
}

static void too_slow(struct subscriber *subscriber)
{
    struct peer *peer = peer_of_subscriber(subscriber);

    subscription_give_up(peer);
    if (!transport_is_writable(&peer->transport))
        return; /* it is gone, and about to leave */
    if (!transport_is_open(&peer->transport)) {
        peer_hit(peer, "max-lag", "cut short"); /* its Close follows as it would have */
        return;
    }
    if (peer_skips(peer)) {
        counters_add(&peer_surroundings(peer)->counters.slow_skipped, 1);
        peer_hit(peer, "max-lag", "skipped");
        return;
    }
    counters_add(&peer_surroundings(peer)->counters.slow_closed, 1);
    peer_hit(peer, "max-lag", "closed with 1008");
    peer_ends_for(peer, "max-lag");
    transport_close(&peer->transport, CLOSE_POLICY, "too slow");
}

/* Closes the peer (1000) if its last message is `timeout` milliseconds old. */
static void check_idle(struct peer *peer, uint64_t now, uint64_t timeout)
{
    if (peer_cold(peer) == NULL || peer_is_for_events(peer) ||
        (int32_t) ((uint32_t) now - peer_cold(peer)->last_message) < (int64_t) timeout ||
        !transport_is_open(&peer->transport))
        return;
    peer_hit(peer, "idle-timeout", "closed with 1000");
    peer_ends_for(peer, "idle-timeout");
    transport_close(&peer->transport, CLOSE_NORMAL, "idle");
}

/* Drops the peer if it is stalled and has read fewer than `least` bytes since the last sweep. */
static void check_reading(struct peer *peer, uint64_t least)
{
    size_t waiting = transport_waiting(&peer->transport);
    uint32_t before, unread = (uint32_t) (waiting < UINT32_MAX ? waiting : UINT32_MAX);

    if (peer_cold(peer) == NULL)
        return;
    before = peer_cold(peer)->unread;
    peer_cold(peer)->unread = unread;
    if (before == 0 || unread == 0 || (unread <= before && before - unread >= least))
        return;
    transport_abort_for(&peer->transport, "min-read-rate");
}

static void sweep(struct subscriber *subscriber, const struct subscriber_sweep *sweep)
{
    struct peer *peer = peer_of_subscriber(subscriber);

    if (sweep->idle_timeout > 0)
        check_idle(peer, sweep->now, sweep->idle_timeout);
    if (sweep->min_read > 0)
        check_reading(peer, sweep->min_read);
}

static bool close_one(struct subscriber *subscriber, enum frame_close_code code, const char *reason)
{
    struct transport *transport = &peer_of_subscriber(subscriber)->transport;
    bool open = transport_is_open(transport);

    transport_close(transport, code, reason);
    return open;
}

static void abort_one(struct subscriber *subscriber)
{
    transport_abort(&peer_of_subscriber(subscriber)->transport, UV_ECANCELED);
}

static const struct peer *peer_reading(const struct subscriber *subscriber)
{
    return container_of(subscriber, struct peer, subscriber);
}

static bool is_stalled(const struct subscriber *subscriber)
{
    return transport_is_stalled(&peer_reading(subscriber)->transport);
}

static struct block_cursor *live_cursor(const struct subscriber *subscriber)
{
    return subscription_live_cursor(peer_reading(subscriber));
}

static uint64_t queued(const struct subscriber *subscriber)
{
    return transport_queued(&peer_reading(subscriber)->transport);
}

static uint64_t unacknowledged(const struct subscriber *subscriber)
{
    return stream_waiting(&peer_reading(subscriber)->transport.stream);
}

static bool acknowledged(const struct subscriber *subscriber, uint64_t *sequence)
{
    const struct peer *peer = peer_reading(subscriber);

    if (peer_is_for_events(peer))
        return false;
    *sequence = peer_acknowledged(peer);
    return true;
}

const struct subscriber_ops peer_subscriber_ops = {
    .flush = flush,
    .too_slow = too_slow,
    .close = close_one,
    .abort = abort_one,
    .sweep = sweep,
    .is_stalled = is_stalled,
    .live_cursor = live_cursor,
    .queued = queued,
    .unacknowledged = unacknowledged,
    .acknowledged = acknowledged,
    .touched_first = (ptrdiff_t) offsetof(struct peer, transport.stream.tcp.io_watcher.fd) -
                     (ptrdiff_t) offsetof(struct peer, subscriber),
};

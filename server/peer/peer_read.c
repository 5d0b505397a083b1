#include "server/peer/peer_read.h"

#include <stdlib.h>
#include <string.h>

#include "server/broadcast/fanout.h"
#include "server/peer/peer_memory.h"

enum {
    CATCH_UP_BUFS = 4,           /* blocks of history that are written at a time */
    CATCH_UP_EVENTS = 12 * 1024, /* bytes of events that are made of it, and held, at a time */
    CATCH_UP_REST = 64 * 1024,   /* bytes left to read when it is told where to go on */
};

/* Where a message begins in the logs that its sender may read. */
struct own {
    uint64_t plain_at;
    uint64_t live_at; /* in the log of its form */
};

/* The messages of a peer that it has yet to come to, oldest first. */
struct own_list {
    struct buffer messages; /* of struct own */
    size_t at;              /* bytes: those before have been left out */
};

struct block_cursor *peer_meeting(const struct peer *peer)
{
    struct past *past = peer_past(peer);

    return past != NULL ? &past->meeting : NULL;
}

/* ---- its own messages (--no-echo) ----
 *
 * They lie in the log as everybody's: the cursor jumps over them. A peer that has read all before,
 * as most have, does so at once; otherwise it is noted where they are. A ping with the peer's place
 * follows before anything else of the log, as a client that counts cannot count them. */

void peer_read_forget_own(struct peer *peer)
{
    struct own_list *own = peer->_more != NULL ? peer->_more->own : NULL;

    if (own == NULL)
        return;
    buffer_deinit(&own->messages);
    free(own);
    peer->_more->own = NULL;
}

size_t peer_read_held(const struct peer *peer)
{
    const struct own_list *own = peer->_more != NULL ? peer->_more->own : NULL;

    return own != NULL ? own->messages._size : 0;
}

/* The next of them, or NULL. */
static const struct own *next_own(const struct peer *peer)
{
    const struct own_list *own = peer->_more != NULL ? peer->_more->own : NULL;

    return own != NULL ? (const struct own *) (const void *) (own->messages.data + own->at) : NULL;
}

static void forget_own(struct peer *peer)
{
    struct own_list *own = peer->_more->own;

    own->at += sizeof(struct own);
    if (own->at == own->messages.len) {
        peer_read_forget_own(peer);
    } else if (own->at > own->messages.len / 2) { /* in all, each is moved but a few times */
        buffer_drop(&own->messages, own->at);
        own->at = 0;
    }
}

static int note_own(struct peer *peer, const struct own *own)
{
    struct peer_more *more = peer->_more;
    int status;

    if (more->own == NULL)
        more->own = calloc(1, sizeof *more->own);
    if (more->own == NULL)
        return UV_ENOMEM;
    status = buffer_append(&more->own->messages, own, sizeof *own);
    if (status != 0 && more->own->messages.len == 0)
        peer_read_forget_own(peer);
    return status;
}

/* Where the message begins in the log that the cursor is in now. */
static uint64_t own_at(const struct peer *peer, const struct own *own)
{
    return peer->cursor.catching ? own->plain_at : own->live_at;
}

static void jump(struct peer *peer)
{
    struct block_unit unit;

    if (block_log_unit(&peer->cursor, &unit))
        block_log_advance(&peer->cursor, unit.len);
    peer->_more->untold = true;
}

/* True when the cursor has come to where it is to go on in the log of its form. */
static bool has_met(const struct peer *peer)
{
    const struct past *past = peer->cursor.catching ? peer_past(peer) : NULL;

    return past != NULL && past->meeting._block != NULL &&
           block_log_position(&peer->cursor) == past->stop;
}

/* True when it goes no further than the frame it is in: what is its own is behind that. */
static bool is_given_up(const struct peer *peer)
{
    return peer->cursor._block == NULL || peer->cursor._last;
}

static void send_place(struct peer *peer, struct event_id place)
{
    char text[EVENT_ID_SIZE];

    event_id_print(place, text);
    (void) transport_send(&peer->transport, FRAME_PING, text, strlen(text));
}

/* Leaves out those that the cursor has come to. */
static void jump_own(struct peer *peer)
{
    const struct own *own;

    while ((own = next_own(peer)) != NULL && !is_given_up(peer) && !has_met(peer) &&
           block_log_position(&peer->cursor) == own_at(peer, own)) {
        jump(peer);
        forget_own(peer);
    }
    if (peer->_more != NULL && peer->_more->untold && fanout_has(peer) && !is_given_up(peer)) {
        peer->_more->untold = false;
        send_place(peer, channel_place(peer->_fanout->channel, &peer->cursor));
    }
}

/* How many bytes from the cursor on are not its own. */
static uint64_t until_own(const struct peer *peer)
{
    const struct own *own = next_own(peer);

    if (own == NULL || is_given_up(peer))
        return UINT64_MAX;
    return own_at(peer, own) - block_log_position(&peer->cursor);
}

int peer_read_leave_out(struct peer *peer, const struct channel_receipt *receipt)
{
    const struct own own = {
        .plain_at = receipt->plain_at,
        .live_at = peer->cursor.form == CHANNEL_PLAIN ? receipt->plain_at : receipt->deflated_at,
    };

    if (!fanout_has(peer) || is_given_up(peer))
        return 0; /* it reads no further, or goes on behind it */
    if (next_own(peer) == NULL && !has_met(peer) &&
        block_log_position(&peer->cursor) == own_at(peer, &own)) {
        jump(peer);
        return 0;
    }
    return note_own(peer, &own);
}

/* ---- skipping ---- */

void peer_read_give_up(struct peer *peer)
{
    struct block_cursor *meeting = peer_meeting(peer);

    block_log_give_up(&peer->cursor);
    if (meeting != NULL && fanout_has(peer))
        channel_part(peer->_fanout->channel, meeting);
}

/* A reader that was given up has got what it had begun to read. Unless it is to be closed, it goes
 * on with what is new, and is told where that is. */
__attribute__((noinline)) static void skip(struct peer *peer)
{
    struct event_id start;

    if (!fanout_has(peer) || !transport_is_open(&peer->transport))
        return;
    if (channel_skip(peer->_fanout->channel, &peer->cursor, peer_meeting(peer), &start) != 0) {
        transport_close(&peer->transport, CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    peer_read_forget_own(peer);
    fanout_resume(peer->_fanout, peer); /* it does not catch up any more */
    if (peer_is_for_events(peer))
        return; /* each event has its ID */
    send_place(peer, start);
}

/* ---- catching up ---- */

/* Where the history ends that it is to read, it goes on with what is new. */
static void meet(struct peer *peer, struct past *past)
{
    struct channel *channel = peer->_fanout->channel;

    if (is_given_up(peer))
        return; /* it goes on with what is new then, or not at all */
    if (past->meeting._block == NULL && channel_lag(channel, &peer->cursor) <= CATCH_UP_REST &&
        channel_meet(channel, &peer->cursor, &past->meeting, &past->stop) != 0) {
        transport_close(&peer->transport, CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    if (past->meeting._block == NULL || block_log_position(&peer->cursor) != past->stop)
        return;
    channel_go_live(channel, &peer->cursor, &past->meeting);
    fanout_resume(peer->_fanout, peer);
    peer_memory_caught_up(peer);
    peer_free_more_if_unused(peer);
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
static void catch_up(struct peer *peer, struct past *past)
{
    uv_buf_t bufs[CATCH_UP_BUFS];
    struct transport_bytes bytes = {.bufs = bufs, .cut = peer->cursor.cut};
    size_t len;
    int status;

    jump_own(peer);
    bytes.count = block_log_read(&peer->cursor, bufs, CATCH_UP_BUFS, &len, &bytes.more);
    cut_bufs(bufs, &bytes.count, &len, until_own(peer));
    if (past->meeting._block != NULL)
        cut_bufs(bufs, &bytes.count, &len, past->stop - block_log_position(&peer->cursor));
    bytes.more = true;
    status = transport_flush(&peer->transport, &bytes);
    if (bytes.passed > 0) { /* else it is own frames that may be cut, and go first again */
        block_log_advance(&peer->cursor, bytes.passed);
        peer->cursor.cut = bytes.passed < len;
    }
    jump_own(peer);
    if (status == UV_EAGAIN)
        fanout_stall(peer->_fanout, peer);
    else if (status == 0)
        meet(peer, past);
}

/* True when no further event is to be begun: it goes on with others here, or was given up. */
static bool is_replayed(const struct peer *peer, const struct past *past)
{
    return block_log_is_over(&peer->cursor) ||
           (past->meeting._block != NULL && block_log_position(&peer->cursor) == past->stop);
}

/* What follows of the history, as events, as much as may be held for one peer. Returns 0 or
 * UV_ENOMEM. */
static int append_events(struct peer *peer, struct past *past, struct buffer *out)
{
    struct event_id id = channel_place(peer->_fanout->channel, &peer->cursor);
    int status = 0;

    while (status == 0 && (replay_is_within(&past->replay) || !is_replayed(peer, past))) {
        if (!replay_is_within(&past->replay))
            id.sequence++;
        status =
            replay_message(&past->replay, REPLAY_EVENTS, &peer->cursor, id, out, CATCH_UP_EVENTS);
    }
    return status == UV_ENOMEM ? status : 0;
}

/* The same, for events: one bounded write. */
static void catch_up_with_events(struct peer *peer, struct past *past)
{
    struct transport_bytes none = {.more = true};
    struct buffer *out = transport_raw_output(&peer->transport);
    int status;

    if (out == NULL || append_events(peer, past, out) != 0) {
        transport_abort(&peer->transport, UV_ENOMEM);
        return;
    }
    status = transport_flush(&peer->transport, &none);
    if (status == UV_EAGAIN)
        fanout_stall(peer->_fanout, peer);
    peer_memory_recount(peer);
    if (status == 0 && !is_given_up(peer))
        meet(peer, past);
}

/* True when that is all for now: it has more history to read. */
__attribute__((noinline)) static bool is_catching_up(struct peer *peer)
{
    if (!transport_is_open(&peer->transport))
        peer_read_give_up(peer); /* it is to go: that does not wait for history, */
    if (block_log_is_over(&peer->cursor) || peer_past(peer) == NULL ||
        (!transport_is_open(&peer->transport) && !peer_is_within_event(peer))) /* but for this */
        return false;
    if (peer_is_for_events(peer))
        catch_up_with_events(peer, peer_past(peer));
    else
        catch_up(peer, peer_past(peer));
    return peer->cursor.catching && transport_is_writable(&peer->transport);
}

/* What comes before own frames that wait, which bear the place behind it: the rest of a frame. */
static unsigned read_log(const struct peer *peer, uv_buf_t *bufs, size_t *len, bool *more)
{
    if (!peer->cursor.cut || transport_queued(&peer->transport) == 0)
        return block_log_read(&peer->cursor, bufs, TRANSPORT_MAX_BUFS, len, more);
    *more = true;
    return block_log_read_unit(&peer->cursor, bufs, len);
}

void peer_flush(struct peer *peer)
{
    uv_buf_t bufs[TRANSPORT_MAX_BUFS];
    struct transport_bytes bytes = {.bufs = bufs, .more = true};

    if (transport_is_stalled(&peer->transport) || (peer->cursor.catching && is_catching_up(peer)))
        return;
    while (bytes.more && transport_is_writable(&peer->transport)) {
        size_t len;
        int status;

        if (block_log_is_over(&peer->cursor))
            skip(peer);
        jump_own(peer);
        bytes.count = read_log(peer, bufs, &len, &bytes.more);
        if (len > until_own(peer)) {
            cut_bufs(bufs, &bytes.count, &len, until_own(peer));
            bytes.more = true;
        }
        bytes.cut = peer->cursor.cut;
        status = transport_flush(&peer->transport, &bytes);
        if (bytes.passed > 0) { /* else it is own frames that may be cut, and go first again */
            block_log_advance(&peer->cursor, bytes.passed);
            peer->cursor.cut = bytes.passed < len;
        }
        if (status == UV_EAGAIN) {
            if (fanout_has(peer))
                fanout_stall(peer->_fanout, peer);
            return;
        }
        if (bytes.passed > 0 && block_log_is_over(&peer->cursor))
            bytes.more = true; /* it was given up, and goes on elsewhere */
    }
    if (!transport_is_writable(&peer->transport))
        peer_leave(peer); /* its Close is out, or it is gone: nothing may follow */
}

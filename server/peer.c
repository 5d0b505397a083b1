#include "server/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/log.h"
#include "server/event_stream.h"
#include "server/fanout.h"
#include "server/limits.h"
#include "server/upgrade.h"
#include "server/worker.h"

/* While a peer catches up: */
struct past {
    struct block_cursor meeting; /* where it is to go on, */
    uint64_t stop;               /* once it has come here in the plain log */
};

/* What a peer needs that has yet to be upgraded, that says something, or that is watched by a limit
 * which is off unless somebody asks for it. */
struct peer_more {
    struct upgrade *upgrade;        /* NULL once upgraded */
    struct limits_rate *rate;       /* once it has said something */
    struct limits_address *address; /* where it counts, if addresses are counted */
    uint32_t last_message;          /* when it last said something: milliseconds, modulo 2^32 */
    uint32_t unread;                /* bytes that waited when its reading was last judged */
    bool uncounted;                 /* it is not among the server's connections */
    struct own_list *own;           /* with --no-echo, while it has yet to come to its own */
    struct pace_held *held;         /* while it says more than others can deliver */
    bool has_past;                  /* there is a `past`: not in what everybody has for a while */
    struct past past[];
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

enum {
    CATCH_UP_BUFS = 4,           /* blocks of history that are written at a time */
    CATCH_UP_EVENTS = 64 * 1024, /* bytes of events that are made of it at a time */
    CATCH_UP_REST = 64 * 1024,   /* bytes left to read when it is told where to go on */
};

static struct peer *peer_of(struct transport *transport)
{
    return container_of(transport, struct peer, transport);
}

static struct worker *worker_of(const struct peer *peer)
{
    return worker_of_transports(transport_context_of(&peer->transport));
}

/* NULL unless it catches up, or has done so. */
static struct past *past_of(const struct peer *peer)
{
    return peer->_more != NULL && peer->_more->has_past ? peer->_more->past : NULL;
}

static struct block_cursor *meeting_of(struct peer *peer)
{
    struct past *past = past_of(peer);

    return past != NULL ? &past->meeting : NULL;
}

static void leave(struct peer *peer)
{
    if (fanout_has(peer))
        fanout_leave(peer->_fanout, peer, meeting_of(peer));
}

/* NULL when out of memory. */
static struct peer_more *need_more(struct peer *peer)
{
    if (peer->_more == NULL)
        peer->_more = calloc(1, sizeof *peer->_more);
    return peer->_more;
}

static void forget_all_own(struct peer *peer)
{
    struct own_list *own = peer->_more != NULL ? peer->_more->own : NULL;

    if (own == NULL)
        return;
    buffer_deinit(&own->messages);
    free(own);
    peer->_more->own = NULL;
}

static void free_more(struct peer *peer)
{
    if (peer->_more == NULL)
        return;
    upgrade_free(peer->_more->upgrade);
    pace_forget(&peer->_more->held);
    free(peer->_more->rate);
    forget_all_own(peer);
    free(peer->_more);
    peer->_more = NULL;
}

/* Most peers need no more once they have been upgraded and have caught up. */
static void free_more_if_unused(struct peer *peer)
{
    const struct server_options *options = worker_options(worker_of(peer));
    const struct peer_more *more = peer->_more;

    if (more != NULL && more->upgrade == NULL && more->address == NULL && more->rate == NULL &&
        more->own == NULL && more->held == NULL && !peer->cursor.catching &&
        options->idle_timeout == 0 && options->min_read_rate == 0)
        free_more(peer);
}

/* Makes room for the peer's past. False when out of memory. */
static bool add_past(struct peer *peer)
{
    struct peer_more *larger = realloc(peer->_more, sizeof *larger + sizeof larger->past[0]);

    if (larger == NULL)
        return false;
    larger->past[0] = (struct past){.stop = 0};
    larger->has_past = true;
    peer->_more = larger;
    return true;
}

/* False when out of memory. */
static bool end_upgrade(struct peer *peer)
{
    upgrade_free(peer->_more->upgrade);
    peer->_more->upgrade = NULL;
    peer->_more->last_message = (uint32_t) uv_now(peer->transport.stream.tcp.loop);
    if (peer->cursor.catching)
        return add_past(peer);
    free_more_if_unused(peer);
    return true;
}

/* ---- arriving ---- */

/* Tells the log and the counts that this peer has hit a limit. */
static void hit(const struct peer *peer, const char *limit, const char *done)
{
    char name[64];

    limits_hit(worker_limits(worker_of(peer)), limit,
               stream_peer_name(&peer->transport.stream, name, sizeof name), done);
}

/* Counts the connection in, or refuses it. */
static void count_in(struct peer *peer)
{
    struct sockaddr_storage address = {0};
    const char *limit;

    if (limits_count_addresses(worker_limits(worker_of(peer))))
        stream_peer_address(&peer->transport.stream, &address);
    limit = limits_arrive(worker_limits(worker_of(peer)), (const struct sockaddr *) &address,
                          &peer->_more->address);
    peer->_more->uncounted = limit != NULL;
    if (limit == NULL)
        return;
    hit(peer, limit, "refused with 503");
    upgrade_refuse(peer->_more->upgrade, &peer->transport, 503,
                   "there are too many connections: try again later");
}

int peer_accept(struct transport_context *transports, int fd, bool loopback)
{
    struct peer *peer = calloc(1, sizeof *peer);
    int status = UV_ENOMEM;

    if (peer == NULL || need_more(peer) == NULL)
        goto fail;
    list_init(&peer->place);
    peer->_more->uncounted = true;
    status = transport_init(&peer->transport, transports);
    if (status != 0)
        goto fail;
    worker_peer_arrived(worker_of(peer)); /* from here on it leaves through on_closed */
    status = stream_open(&peer->transport.stream, fd);
    if (status != 0)
        (void) close(fd);
    if (status == 0 && worker_tls(worker_of(peer)) != NULL)
        status = stream_start_tls(&peer->transport.stream, worker_tls(worker_of(peer)), NULL);
    if (status == 0)
        status = upgrade_new(&peer->_more->upgrade, worker_policy(worker_of(peer)), loopback);
    if (status == 0)
        status = transport_start(&peer->transport);
    if (status == 0)
        count_in(peer);
    else
        transport_abort(&peer->transport, status);
    return 0; /* it has been taken, whatever became of it */

fail:
    (void) close(fd);
    if (peer != NULL)
        free_more(peer);
    free(peer);
    return status;
}

/* Finds the channel that is asked for, and joins it. Returns NULL, or why it is refused, with
 * `*http` as the status. */
static const char *join(struct peer *peer, const struct upgrade_request *request,
                        struct event_id *start, int *http)
{
    unsigned form = request->events           ? (unsigned) CHANNEL_EVENTS
                    : request->deflate.agreed ? request->deflate.server_max_window_bits
                                              : (unsigned) CHANNEL_PLAIN;
    int status = fanouts_get(worker_fanouts(worker_of(peer)), request->channel.data,
                             request->channel.len, &peer->_fanout);

    *http = 503;
    if (status == UV_EMFILE) {
        hit(peer, "max-channels", "refused with 503");
        return "there are too many channels: try again later";
    }
    if (status == 0)
        status = fanout_join(peer->_fanout, peer, form, &request->since, start);
    if (status == UV_EINVAL) {
        *http = 400;
        return "this event ID is of a message to come: send one as you got it";
    }
    return status != 0 ? "out of memory" : NULL;
}

/* It has joined, and is told so: from here on it gets frames, or events. */
static int open_transport(struct peer *peer, const struct upgrade_request *request)
{
    if (log_enabled(LOG_DEBUG)) {
        char name[64];

        log_debug("%s: joined%s", stream_peer_name(&peer->transport.stream, name, sizeof name),
                  request->events ? " (events)" : "");
    }
    if (!request->events)
        return transport_open(&peer->transport, &request->deflate);
    transport_open_raw(&peer->transport);
    return 0;
}

static void on_opening(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of(transport);
    struct upgrade_request request;
    struct event_id start;
    const char *why;
    size_t used;
    int http;
    enum upgrade_result result =
        upgrade_input(peer->_more->upgrade, transport, data, len, &used, &request);

    if (result == UPGRADE_REFUSED && upgrade_limit(peer->_more->upgrade) != NULL)
        hit(peer, upgrade_limit(peer->_more->upgrade), "refused");
    if (result != UPGRADE_JOIN)
        return;
    why = join(peer, &request, &start, &http);
    if (why != NULL) {
        upgrade_refuse(peer->_more->upgrade, transport, http, why);
        return;
    }
    if (!upgrade_accept(peer->_more->upgrade, transport, start))
        return;
    transport->note = (uint32_t) start.sequence;
    if (!end_upgrade(peer) || open_transport(peer, &request) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    transport_input(transport, data + used, len - used);
}

static void on_opening_timeout(struct transport *transport)
{
    struct peer *peer = peer_of(transport);

    hit(peer, upgrade_time_limit(peer->_more->upgrade), "refused with 408");
    upgrade_refuse(peer->_more->upgrade, transport, 408, "the request did not come in time");
}

/* ---- saying and hearing ---- */

/* It says more than others can deliver, or may go on. */
static void on_held(void *publisher, bool held)
{
    struct peer *peer = publisher;

    if (!held) {
        transport_resume(&peer->transport);
        return;
    }
    transport_pause(&peer->transport);
    if (log_enabled(LOG_DEBUG)) {
        char name[64];

        log_debug("%s: waits for the subscribers of other workers",
                  stream_peer_name(&peer->transport.stream, name, sizeof name));
    }
}

/* ---- its own messages (--no-echo) ----
 *
 * They lie in the log as everybody's: the cursor jumps over them. Who has read all before, as most
 * have, does so at once; otherwise it is noted where they are. */

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
        forget_all_own(peer);
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
        forget_all_own(peer);
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
}

/* True when the cursor has come to where it is to go on in the log of its form. */
static bool has_met(const struct peer *peer)
{
    const struct past *past = peer->cursor.catching ? past_of(peer) : NULL;

    return past != NULL && past->meeting._block != NULL &&
           block_log_position(&peer->cursor) == past->stop;
}

/* True when it goes no further than the frame it is in: what is its own is behind that. */
static bool is_given_up(const struct peer *peer)
{
    return peer->cursor._block == NULL || peer->cursor._last;
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
}

/* How many bytes from the cursor on are not its own. */
static uint64_t until_own(const struct peer *peer)
{
    const struct own *own = next_own(peer);

    if (own == NULL || is_given_up(peer))
        return UINT64_MAX;
    return own_at(peer, own) - block_log_position(&peer->cursor);
}

/* The peer has published this message. Returns 0 or UV_ENOMEM. */
static int leave_out(struct peer *peer, const struct channel_receipt *receipt)
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

static int publish(struct peer *peer, enum frame_opcode opcode, const struct frame_part *parts,
                   size_t count)
{
    struct channel_receipt receipt;
    bool echoes = !worker_options(worker_of(peer))->no_echo;
    int status = channel_publish(peer->_fanout->channel, worker_publisher(worker_of(peer)), opcode,
                                 parts, count, echoes ? NULL : &receipt);

    return status == 0 && !echoes ? leave_out(peer, &receipt) : status;
}

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct peer *peer = peer_of(transport);
    struct frame_part parts[] = {worker_prefix(worker_of(peer)), {data, len}};
    bool text = opcode == FRAME_TEXT;
    uint64_t now = uv_now(transport->stream.tcp.loop);
    struct worker *worker = worker_of(peer);
    struct fanout *fanout = peer->_fanout;
    struct peer_more *more;
    const char *limit;

    /* Who cannot be written to has not heard the goodbye; the others have, and expect no more. */
    if (worker_is_stopping(worker_of(peer)))
        return;
    if ((worker_options(worker_of(peer))->publish & SERVER_OPTIONS_PUBLISH_WS) == 0) {
        transport_reject(transport, CLOSE_POLICY, "this feed is read-only", NULL);
        return;
    }
    more = need_more(peer);
    if (more == NULL) {
        transport_close(transport, CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    limit = limits_judge_message(worker_limits(worker_of(peer)), &more->rate, now, len);
    if (limit != NULL) {
        transport_reject(transport, CLOSE_POLICY, "too fast", limit);
        return;
    }
    more->last_message = (uint32_t) now;
    /* It may have left: who cannot be written to any more can still be heard to its end. */
    if (publish(peer, opcode, text ? parts : parts + 1, text ? 2 : 1) != 0)
        transport_close(transport, CLOSE_INTERNAL_ERROR, "out of memory");
    else
        pace_published(worker_pace(worker), &more->held, peer, fanout->channel, &fanout->_listener,
                       len, on_held);
}

static void on_control(struct transport *transport)
{
    struct peer *peer = peer_of(transport);
    struct peer_more *more = need_more(peer);
    const char *limit = NULL;

    if (more != NULL)
        limit = limits_judge_control(worker_limits(worker_of(peer)), &more->rate,
                                     uv_now(transport->stream.tcp.loop));
    if (limit != NULL)
        transport_reject(transport, CLOSE_POLICY, "too many control frames", limit);
}

/* It hears, and says nothing. */
static bool is_for_events(const struct peer *peer)
{
    return peer->cursor.form == CHANNEL_EVENTS;
}

void peer_judge_idle(struct peer *peer, uint64_t now, uint64_t timeout)
{
    if (peer->_more == NULL || is_for_events(peer) ||
        (uint32_t) now - peer->_more->last_message < timeout ||
        !transport_is_open(&peer->transport))
        return;
    hit(peer, "idle-timeout", "closed with 1000");
    transport_close(&peer->transport, CLOSE_NORMAL, "idle");
}

void peer_judge_reading(struct peer *peer, uint64_t least)
{
    size_t waiting = transport_waiting(&peer->transport);
    uint32_t before, unread = (uint32_t) (waiting < UINT32_MAX ? waiting : UINT32_MAX);

    if (peer->_more == NULL)
        return;
    before = peer->_more->unread;
    peer->_more->unread = unread;
    if (before == 0 || unread == 0 || (unread <= before && before - unread >= least))
        return;
    transport_abort_for(&peer->transport, "min-read-rate");
}

/* ---- places ---- */

/* A comment (WHATWG HTML, 9.2.7). */
static const char heartbeat[] = {':', '\n', '\n'};

static size_t ping_payload(struct transport *transport, char *out)
{
    struct peer *peer = peer_of(transport);

    if (!fanout_has(peer))
        return 0;
    if (is_for_events(peer)) {
        memcpy(out, heartbeat, sizeof heartbeat);
        return sizeof heartbeat;
    }
    return strlen(event_id_print(channel_place(peer->_fanout->channel, &peer->cursor), out));
}

/* The echo of an ID acknowledges all up to there. */
static void on_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of(transport);
    struct event_id id, last;

    if (!fanout_has(peer) || event_id_parse((const char *) data, len, &id) != 0)
        return;
    last = channel_last_id(peer->_fanout->channel);
    if (id.epoch == last.epoch && id.sequence <= last.sequence &&
        id.sequence > peer_acknowledged(peer))
        transport->note = (uint32_t) id.sequence;
}

uint64_t peer_acknowledged(const struct peer *peer)
{
    uint64_t last = channel_last_id(peer->_fanout->channel).sequence;

    return last - ((uint32_t) last - peer->transport.note);
}

/* A reader that was given up has got what it had begun to read. Unless it is to be closed, it goes
 * on with what is new, and is told where that is. */
__attribute__((noinline)) static void skip(struct peer *peer)
{
    char text[EVENT_ID_SIZE];
    struct event_id start;

    if (!fanout_has(peer) || !transport_is_open(&peer->transport))
        return;
    if (channel_skip(peer->_fanout->channel, &peer->cursor, meeting_of(peer), &start) != 0) {
        transport_close(&peer->transport, CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    forget_all_own(peer);
    fanout_resume(peer->_fanout, peer); /* it does not catch up any more */
    if (is_for_events(peer))
        return; /* each event has its ID */
    event_id_print(start, text);
    (void) transport_send(&peer->transport, FRAME_PING, text, strlen(text));
}

/* ---- catching up ---- */

/* Where the history ends that it is to read, it goes on with what is new. */
static void meet(struct peer *peer, struct past *past)
{
    struct channel *channel = peer->_fanout->channel;

    if (past->meeting._block == NULL && channel_lag(channel, &peer->cursor) <= CATCH_UP_REST &&
        channel_meet(channel, &peer->cursor, &past->meeting, &past->stop) != 0) {
        transport_close(&peer->transport, CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    if (past->meeting._block == NULL || block_log_position(&peer->cursor) != past->stop)
        return;
    channel_go_live(channel, &peer->cursor, &past->meeting);
    fanout_resume(peer->_fanout, peer);
    free_more_if_unused(peer);
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

/* The next messages of history, as events of its own, up to where it goes on with others. Returns 0
 * or UV_ENOMEM. */
static int append_events(struct peer *peer, const struct past *past, struct buffer *out)
{
    struct event_id id = channel_place(peer->_fanout->channel, &peer->cursor);
    struct channel_message message;
    int status = 0;

    while (status == 0 && out->len < CATCH_UP_EVENTS &&
           (past->meeting._block == NULL || block_log_position(&peer->cursor) != past->stop) &&
           channel_next(&peer->cursor, &message)) {
        struct frame_part payload = {message.payload, message.len};
        char line[EVENT_STREAM_MAX_ID + 1];
        size_t len;

        id.sequence++;
        len = event_stream_write_id(line, id);
        status = buffer_append(out, line, len);
        if (status == 0)
            status = event_stream_add(out, message.opcode, &payload, 1);
    }
    return status;
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
    else if (status == 0)
        meet(peer, past);
}

/* True when that is all for now: it has more history to read. */
__attribute__((noinline)) static bool is_catching_up(struct peer *peer)
{
    if (!transport_is_open(&peer->transport))
        block_log_give_up(&peer->cursor); /* it is to go: that does not wait for history */
    if (!transport_is_open(&peer->transport) || block_log_is_over(&peer->cursor) ||
        past_of(peer) == NULL)
        return false;
    if (is_for_events(peer))
        catch_up_with_events(peer, past_of(peer));
    else
        catch_up(peer, past_of(peer));
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
        leave(peer); /* its Close is out, or it is gone: nothing may follow */
}

/* Answers have left: further requests, which were held, may be read. */
static void feed_held(struct peer *peer)
{
    struct buffer held;

    if (peer->_more == NULL || peer->_more->upgrade == NULL ||
        !transport_is_writable(&peer->transport) ||
        !upgrade_take_held(peer->_more->upgrade, &peer->transport, &held))
        return;
    transport_input(&peer->transport, held.data, held.len);
    buffer_deinit(&held);
}

static void flush(struct transport *transport)
{
    peer_flush(peer_of(transport));
    feed_held(peer_of(transport));
}

static void on_drained(struct transport *transport)
{
    struct peer *peer = peer_of(transport);

    if (peer->_more != NULL)
        peer->_more->unread = 0;
    if (fanout_has(peer))
        fanout_resume(peer->_fanout, peer);
    peer_flush(peer);
    feed_held(peer);
}

void peer_too_slow(struct peer *peer)
{
    block_log_give_up(&peer->cursor);
    if (!transport_is_open(&peer->transport)) {
        hit(peer, "max-lag", "cut short"); /* its Close follows as it would have */
        return;
    }
    if (worker_options(worker_of(peer))->skip_slow) {
        hit(peer, "max-lag", "skipped");
        return;
    }
    hit(peer, "max-lag", "closed with 1008");
    transport_close(&peer->transport, CLOSE_POLICY, "too slow");
}

/* ---- leaving ---- */

static const char *why_lost(const struct transport *transport, int status)
{
    const char *tls = stream_error(&transport->stream);

    return tls != NULL ? tls : uv_strerror(status);
}

static void log_end(const struct peer *peer, const struct transport_end *end)
{
    char name[64], reason[256];

    stream_peer_name(&peer->transport.stream, name, sizeof name);
    escape_text(reason, sizeof reason, end->reason, end->reason_len);
    if (end->fate == TRANSPORT_PEER_CLOSED)
        log_debug("%s: closed with %u '%s'", name, end->code, reason);
    else if (end->fate == TRANSPORT_PEER_FAULT)
        log_debug("%s: broke the protocol, closed with %u: %s", name, end->code, reason);
    else
        log_debug("%s: lost: %s", name, why_lost(&peer->transport, end->status));
}

static void on_end(struct transport *transport, const struct transport_end *end)
{
    struct peer *peer = peer_of(transport);

    if (log_enabled(LOG_DEBUG))
        log_end(peer, end);
    if (end->fate == TRANSPORT_LOST)
        leave(peer);
}

static void on_limit(struct transport *transport, const char *limit, uint16_t code)
{
    char done[32] = "dropped";

    if (code != 0)
        (void) snprintf(done, sizeof done, "closed with %u", code);
    hit(peer_of(transport), limit, done);
}

static void on_closed(struct transport *transport)
{
    struct peer *peer = peer_of(transport);
    struct worker *worker = worker_of(peer);

    leave(peer);
    if (peer->_fanout != NULL)
        fanouts_put(worker_fanouts(worker), peer->_fanout);
    if (peer->_more == NULL || !peer->_more->uncounted)
        limits_depart(worker_limits(worker), peer->_more != NULL ? peer->_more->address : NULL);
    free_more(peer);
    free(peer);
    worker_peer_left(worker);
}

const struct transport_ops peer_transport_ops = {
    .on_opening = on_opening,
    .on_opening_timeout = on_opening_timeout,
    .on_message = on_message,
    .on_control = on_control,
    .on_limit = on_limit,
    .ping_payload = ping_payload,
    .on_pong = on_pong,
    .flush = flush,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_closed = on_closed,
};

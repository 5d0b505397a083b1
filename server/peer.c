#include "server/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/log.h"
#include "server/fanout.h"
#include "server/limits.h"
#include "server/upgrade.h"
#include "server/worker.h"

/* What a peer needs that has yet to be upgraded, that says something, or that is watched by a limit
 * which is off unless somebody asks for it. */
struct peer_more {
    struct upgrade *upgrade;        /* NULL once upgraded */
    struct limits_rate *rate;       /* once it has said something */
    struct limits_address *address; /* where it counts, if addresses are counted */
    uint32_t last_message;          /* when it last said something: milliseconds, modulo 2^32 */
    uint32_t unread;                /* bytes that waited when its reading was last judged */
    bool uncounted;                 /* it is not among the server's connections */
    struct pace_held *held;         /* while it says more than others can deliver */
};

static struct peer *peer_of(struct transport *transport)
{
    return container_of(transport, struct peer, transport);
}

static struct worker *worker_of(const struct peer *peer)
{
    return worker_of_transports(transport_context_of(&peer->transport));
}

static void leave(struct peer *peer)
{
    if (peer->_fanout == NULL)
        return;
    fanout_leave(peer->_fanout, peer);
    peer->_fanout = NULL;
}

/* NULL when out of memory. */
static struct peer_more *need_more(struct peer *peer)
{
    if (peer->_more == NULL)
        peer->_more = calloc(1, sizeof *peer->_more);
    return peer->_more;
}

static void free_more(struct peer *peer)
{
    if (peer->_more == NULL)
        return;
    upgrade_free(peer->_more->upgrade);
    pace_forget(&peer->_more->held);
    free(peer->_more->rate);
    free(peer->_more);
    peer->_more = NULL;
}

/* The upgrade is over; most peers need no more from here on. */
static void end_upgrade(struct peer *peer)
{
    const struct server_options *options = worker_options(worker_of(peer));

    upgrade_free(peer->_more->upgrade);
    peer->_more->upgrade = NULL;
    if (peer->_more->address == NULL && options->idle_timeout == 0 && options->min_read_rate == 0)
        free_more(peer);
    else
        peer->_more->last_message = (uint32_t) uv_now(peer->transport.stream.tcp.loop);
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

static void on_opening(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of(transport);
    struct extension_deflate deflate;
    size_t used;

    enum upgrade_result result =
        upgrade_input(peer->_more->upgrade, transport, data, len, &used, &deflate);

    if (result == UPGRADE_REFUSED && upgrade_limit(peer->_more->upgrade) != NULL)
        hit(peer, upgrade_limit(peer->_more->upgrade), "refused");
    if (result != UPGRADE_DONE)
        return;
    end_upgrade(peer);
    if (transport_open(transport, &deflate) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    peer->_fanout = worker_fanout(worker_of(peer));
    fanout_join(peer->_fanout, peer,
                deflate.agreed ? deflate.server_max_window_bits : CHANNEL_PLAIN);
    if (log_enabled(LOG_DEBUG)) {
        char name[64];

        log_debug("%s: joined", stream_peer_name(&transport->stream, name, sizeof name));
    }
    transport_input(transport, data + used, len - used);
}

static void on_opening_timeout(struct transport *transport)
{
    struct peer *peer = peer_of(transport);

    hit(peer, "handshake-timeout", "refused with 408");
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

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct peer *peer = peer_of(transport);
    struct frame_part parts[] = {worker_prefix(worker_of(peer)), {data, len}};
    bool text = opcode == FRAME_TEXT;
    uint64_t now = uv_now(transport->stream.tcp.loop);
    struct worker *worker = worker_of(peer);
    struct fanout *fanout = worker_fanout(worker);
    struct peer_more *more;
    const char *limit;

    /* Who cannot be written to has not heard the goodbye; the others have, and expect no more. */
    if (worker_is_stopping(worker_of(peer)))
        return;
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
    if (channel_publish(fanout->channel, worker_publisher(worker), opcode, text ? parts : parts + 1,
                        text ? 2 : 1) != 0)
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

void peer_judge_idle(struct peer *peer, uint64_t now, uint64_t timeout)
{
    if (peer->_more == NULL || (uint32_t) now - peer->_more->last_message < timeout ||
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

/* A reader that was given up has got what it had begun to read. Unless it is to be closed, it goes
 * on with what is new. */
static void skip(struct peer *peer)
{
    if (peer->_fanout != NULL && transport_is_open(&peer->transport))
        channel_skip(peer->_fanout->channel, &peer->cursor);
}

void peer_flush(struct peer *peer)
{
    uv_buf_t bufs[TRANSPORT_MAX_BUFS];
    struct transport_bytes bytes = {.bufs = bufs, .more = true};

    if (transport_is_stalled(&peer->transport))
        return;
    while (bytes.more && transport_is_writable(&peer->transport)) {
        size_t len;
        int status;

        bytes.count = block_log_read(&peer->cursor, bufs, TRANSPORT_MAX_BUFS, &len, &bytes.more);
        bytes.cut = peer->cursor.cut;
        status = transport_flush(&peer->transport, &bytes);
        if (bytes.passed > 0) { /* else it is own frames that may be cut, and go first again */
            block_log_advance(&peer->cursor, bytes.passed);
            peer->cursor.cut = bytes.passed < len;
        }
        if (status == UV_EAGAIN) {
            if (peer->_fanout != NULL)
                fanout_stall(peer->_fanout, peer);
            return;
        }
        /* Now, and not when something new is published: that is the first thing it shall get. */
        if (block_log_is_over(&peer->cursor))
            skip(peer);
    }
    if (!transport_is_writable(&peer->transport))
        leave(peer); /* its Close is out, or it is gone: nothing may follow */
}

static void flush(struct transport *transport)
{
    peer_flush(peer_of(transport));
}

static void on_drained(struct transport *transport)
{
    struct peer *peer = peer_of(transport);

    if (peer->_more != NULL)
        peer->_more->unread = 0;
    if (peer->_fanout != NULL)
        fanout_resume(peer->_fanout, peer);
    peer_flush(peer);
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
    .flush = flush,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_closed = on_closed,
};

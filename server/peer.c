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

static struct peer *peer_of(struct transport *transport)
{
    return container_of(transport, struct peer, transport);
}

static struct worker *worker_of(const struct peer *peer)
{
    return worker_of_transports(peer->transport.context);
}

static void leave(struct peer *peer)
{
    if (peer->_fanout == NULL)
        return;
    fanout_leave(peer->_fanout, peer);
    peer->_fanout = NULL;
}

static void end_upgrade(struct peer *peer)
{
    upgrade_free(peer->_upgrade);
    peer->_upgrade = NULL;
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
                          &peer->_address);
    peer->_counted = limit == NULL;
    if (limit == NULL)
        return;
    hit(peer, limit, "refused with 503");
    upgrade_refuse(peer->_upgrade, &peer->transport, 503,
                   "there are too many connections: try again later");
}

int peer_accept(struct transport_context *transports, int fd, bool loopback)
{
    struct peer *peer = calloc(1, sizeof *peer);
    int status = peer != NULL ? transport_init(&peer->transport, transports) : UV_ENOMEM;

    if (status != 0) {
        (void) close(fd);
        free(peer);
        return status;
    }
    list_init(&peer->place);
    worker_peer_arrived(worker_of(peer)); /* from here on it leaves through on_closed */
    status = stream_open(&peer->transport.stream, fd);
    if (status == 0 && worker_tls(worker_of(peer)) != NULL)
        status = stream_start_tls(&peer->transport.stream, worker_tls(worker_of(peer)), NULL);
    if (status == 0)
        status = upgrade_new(&peer->_upgrade, worker_policy(worker_of(peer)), loopback);
    if (status == 0)
        status = transport_start(&peer->transport);
    if (status == 0)
        count_in(peer);
    else
        transport_abort(&peer->transport, status);
    return 0; /* it has been taken, whatever became of it */
}

static void on_opening(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of(transport);
    struct extension_deflate deflate;
    size_t used;

    enum upgrade_result result =
        upgrade_input(peer->_upgrade, transport, data, len, &used, &deflate);

    if (result == UPGRADE_REFUSED && upgrade_limit(peer->_upgrade) != NULL)
        hit(peer, upgrade_limit(peer->_upgrade), "refused");
    if (result != UPGRADE_DONE)
        return;
    end_upgrade(peer);
    if (transport_open(transport, &deflate) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    peer->_last_message = (uint32_t) uv_now(transport->context->loop);
    peer->window_bits = deflate.agreed ? deflate.server_max_window_bits : CHANNEL_PLAIN;
    peer->_fanout = worker_fanout(worker_of(peer));
    fanout_join(peer->_fanout, peer);
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
    upgrade_refuse(peer->_upgrade, transport, 408, "the request did not come in time");
}

/* ---- saying and hearing ---- */

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct peer *peer = peer_of(transport);
    struct frame_part parts[] = {worker_prefix(worker_of(peer)), {data, len}};
    bool text = opcode == FRAME_TEXT;
    uint64_t now = uv_now(transport->context->loop);
    const char *limit =
        limits_judge_message(worker_limits(worker_of(peer)), &peer->_rate, now, len);

    /* Who cannot be written to has not heard the goodbye; the others have, and expect no more. */
    if (worker_is_stopping(worker_of(peer)))
        return;
    if (limit != NULL) {
        transport_reject(transport, CLOSE_POLICY, "too fast", limit);
        return;
    }
    peer->_last_message = (uint32_t) now;
    /* It may have left: who cannot be written to any more can still be heard to its end. */
    if (channel_publish(worker_fanout(worker_of(peer))->channel, worker_publisher(worker_of(peer)),
                        opcode, text ? parts : parts + 1, text ? 2 : 1) != 0)
        transport_close(transport, CLOSE_INTERNAL_ERROR, "out of memory");
}

static void on_control(struct transport *transport)
{
    struct peer *peer = peer_of(transport);
    const char *limit = limits_judge_control(worker_limits(worker_of(peer)), &peer->_rate,
                                             uv_now(transport->context->loop));

    if (limit != NULL)
        transport_reject(transport, CLOSE_POLICY, "too many control frames", limit);
}

void peer_judge_idle(struct peer *peer, uint64_t now, uint64_t timeout)
{
    if ((uint32_t) now - peer->_last_message < timeout || !transport_is_open(&peer->transport))
        return;
    hit(peer, "idle-timeout", "closed with 1000");
    transport_close(&peer->transport, CLOSE_NORMAL, "idle");
}

void peer_judge_reading(struct peer *peer, uint64_t least)
{
    size_t waiting = transport_waiting(&peer->transport);
    uint32_t before = peer->_unread;

    peer->_unread = (uint32_t) (waiting < UINT32_MAX ? waiting : UINT32_MAX);
    if (before == 0 || waiting == 0 || (peer->_unread <= before && before - peer->_unread >= least))
        return;
    transport_abort_for(&peer->transport, "min-read-rate");
}

void peer_flush(struct peer *peer)
{
    uv_buf_t bufs[TRANSPORT_MAX_BUFS];
    bool more = true;

    if (transport_is_stalled(&peer->transport))
        return;
    while (more && transport_is_writable(&peer->transport)) {
        size_t len = 0;
        unsigned count = block_log_read(&peer->cursor, bufs, TRANSPORT_MAX_BUFS, &len, &more);
        int status = transport_flush(&peer->transport, bufs, count, more);

        if (status == UV_EAGAIN) {
            if (peer->_fanout != NULL)
                fanout_stall(peer->_fanout, peer);
            return;
        }
        if (status == 0)
            block_log_advance(&peer->cursor, len);
    }
    if (!transport_is_writable(&peer->transport))
        leave(peer); /* its Close is out, or it is gone: nothing may follow */
}

static void flush(struct transport *transport)
{
    peer_flush(peer_of(transport));
}

static void on_drained(struct transport *transport, size_t passed)
{
    struct peer *peer = peer_of(transport);

    peer->_unread = 0;
    if (peer->_fanout == NULL)
        return;
    block_log_advance(&peer->cursor, passed);
    fanout_resume(peer->_fanout, peer);
    if (peer->_too_slow)
        leave(peer);
    peer_flush(peer);
}

void peer_too_slow(struct peer *peer)
{
    if (!transport_is_open(&peer->transport))
        return;
    hit(peer, "max-lag", "closed with 1008");
    /* The Close comes next behind the stalled write, which still reads from the log. */
    peer->_too_slow = true;
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
    end_upgrade(peer);
    if (peer->_counted)
        limits_depart(worker_limits(worker), peer->_address);
    free(peer->_rate);
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

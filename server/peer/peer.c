#include "server/peer/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/escape.h"
#include "common/base/log.h"
#include "server/broadcast/fanout.h"
#include "server/http/connection.h"
#include "server/net/admission.h"
#include "server/net/limits.h"
#include "server/peer/peer_memory.h"
#include "server/peer/peer_private.h"

void peer_leave(struct peer *peer)
{
    struct peer_context *context = peer_surroundings(peer);

    if (!fanout_has(&peer->subscriber))
        return;
    counters_add(&context->counters.unsubscribed[peer_kind(peer)], 1);
    if (peer_record(peer) != NULL && context->options->log_connections)
        peer_list_note_leaving(peer, peer_record(peer));
    fanout_leave(peer->_fanout, &peer->subscriber, subscription_live_cursor(peer));
}

struct peer_cold *peer_need_cold(struct peer *peer)
{
    if (peer_cold(peer) == NULL) {
        peer_set_cold(peer, calloc(1, sizeof *peer_cold(peer)));
        if (peer_cold(peer) != NULL) {
            list_init(&peer_cold(peer)->charged);
            peer_cold(peer)->peer = peer;
        }
    }
    return peer_cold(peer);
}

static void free_cold(struct peer *peer)
{
    struct peer_cold *cold = peer_cold(peer);

    if (cold == NULL)
        return;
    peer_set_cold(peer, NULL);
    connection_free(cold->connection);
    throttle_forget(&cold->throttled);
    if (cold->unstored != NULL)
        submit_forget(&cold->unstored->outstanding);
    free(cold->unstored);
    free(cold->rate);
    list_remove(&cold->charged);
    free(cold->replay);
    free(cold);
}

void peer_free_cold_if_unused(struct peer *peer)
{
    const struct server_options *options = peer_surroundings(peer)->options;
    const struct peer_cold *cold = peer_cold(peer);

    if (cold != NULL && cold->connection == NULL && cold->rate == NULL && cold->number == 0 &&
        !cold->untold && cold->throttled == NULL && cold->charge == 0 && cold->watched_since == 0 &&
        !peer->subscriber.reader.catching_up && !peer_is_unstored(cold) &&
        options->idle_timeout == 0 && options->min_read_rate == 0)
        free_cold(peer);
}

/* ---- arriving ---- */

void peer_hit(const struct peer *peer, const char *limit, const char *done)
{
    char name[64];

    limits_hit(peer_surroundings(peer)->limits, limit,
               stream_peer_name(&peer->transport.stream, name, sizeof name), done);
}

void peer_ends_for(const struct peer *peer, const char *limit)
{
    if (peer_record(peer) != NULL)
        peer_record(peer)->limit = limit;
}

/* NULL when out of memory. */
static struct peer *make_peer(struct peer_context *context, const struct admission *admission)
{
    bool counts = limits_count_addresses(context->limits);
    struct peer *fresh = calloc(1, counts ? sizeof(struct counted_peer) : sizeof *fresh);

    if (fresh == NULL || peer_need_cold(fresh) == NULL) {
        free(fresh);
        return NULL;
    }
    list_init(&fresh->subscriber.node);
    peer_cold(fresh)->refused = admission->limit != NULL;
    if (counts) {
        container_of(fresh, struct counted_peer, peer)->address = admission->address;
        list_init(&container_of(fresh, struct counted_peer, peer)->record.node);
    }
    return fresh;
}

struct limits_address *peer_address(const struct peer *peer)
{
    if (!limits_count_addresses(peer_surroundings(peer)->limits))
        return NULL;
    return container_of(peer, struct counted_peer, peer)->address;
}

const char *peer_on_forwarded(struct transport *transport, const struct sockaddr *client,
                              struct limits_address **address)
{
    struct peer *peer = peer_of_transport(transport);
    struct limits *limits = peer_surroundings(peer)->limits;
    const char *limit;

    if (!limits_count_addresses(limits) || peer_cold(peer)->refused)
        return NULL;
    limit = limits_move(limits, client, &container_of(peer, struct counted_peer, peer)->address);
    *address = peer_address(peer);
    return limit;
}

/* The connection is gone, as far as limits are concerned. */
static void count_out(struct peer *peer)
{
    struct limits *limits = peer_surroundings(peer)->limits;
    struct peer_cold *cold = peer_cold(peer);

    if (cold != NULL && cold->gone)
        return;
    if (cold != NULL && cold->refused)
        limits_refused(limits);
    else
        limits_depart(limits, peer_address(peer));
    if (cold != NULL)
        cold->gone = true;
}

bool peer_drop_kept(struct transport_context *transports)
{
    struct transport *transport = transport_context_take_kept(transports);

    if (transport == NULL)
        return false;
    count_out(peer_of_transport(transport));
    transport_abort(transport, UV_ECANCELED);
    return true;
}

static bool make_room(void *context)
{
    struct peer_context *surroundings = context;

    return surroundings->make_room(surroundings);
}

int peer_accept(struct transport_context *transports, int fd, const struct peer_arrival *arrival)
{
    struct peer_context *context = peer_context_of(transports);
    struct admission admission;
    const struct connection_policy *policy =
        arrival->admin ? context->admin_policy : context->policy;
    const struct sockaddr *client = arrival->client;
    struct peer *peer = NULL;
    int status = 0;

    if (arrival->admin)
        admission = (struct admission){0};
    else if (!admission_begin(&admission, context->limits, fd, client, make_room, context))
        goto fail_admit;
    peer = make_peer(context, &admission);
    status = peer != NULL ? transport_init(&peer->transport, transports) : UV_ENOMEM;
    if (status != 0)
        goto fail_peer;
    context->peers++;
    counters_add(&context->counters.accepted, 1);
    context->peers_ever++; /* from here on it leaves through on_closed */
    status = stream_open(&peer->transport.stream, fd);
    if (status != 0)
        (void) close(fd);
    peer_cold(peer)->gone = arrival->admin; /* it is not counted */
    if (peer_record(peer) != NULL && !arrival->admin)
        peer_list_add(context, peer, peer_record(peer));
    if (status == 0 && arrival->tls)
        status = stream_accept_tls(&peer->transport.stream, context->tls);
    if (status == 0 && client != NULL)
        status = stream_set_peer_address(&peer->transport.stream, client);
    if (status == 0)
        status = connection_new(&peer_cold(peer)->connection, policy, arrival->loopback,
                                admission.address);
    if (status == 0)
        status = transport_start(&peer->transport);
    if (status != 0)
        transport_abort(&peer->transport, status);
    else if (admission.limit != NULL)
        opening_refuse(peer, admission.limit);
    return 0; /* it has been taken, whatever became of it */

fail_peer:
    if (!arrival->admin)
        admission_end(&admission, context->limits);
    if (peer != NULL)
        free_cold(peer);
    free(peer);
fail_admit:
    (void) close(fd);
    return status;
}

/* ---- what comes ---- */

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct peer *peer = peer_of_transport(transport);
    struct frame_part payload = {data, len};
    const char *limit = NULL;
    int status = UV_ENOMEM;

    /* A peer that cannot be written to has not got the Close; the others have, and expect no more.
     */
    if (peer_surroundings(peer)->leaving)
        return;
    if (peer_record(peer) != NULL)
        peer_record(peer)->bytes_in += len;
    if (peer_need_cold(peer) != NULL)
        status = peer_publish(peer, opcode, &payload, &limit);
    if (status == UV_EACCES)
        transport_reject(transport, CLOSE_POLICY, "this feed is read-only", NULL);
    else if (status == UV_EPERM)
        transport_reject(transport, CLOSE_POLICY, "no right to publish here", NULL);
    else if (status == UV_E2BIG)
        transport_reject(transport, CLOSE_TOO_BIG, "more than a second's worth", limit);
    else if (status == UV_EAGAIN)
        transport_reject(transport, CLOSE_POLICY, "too fast", limit);
    else if (status != 0)
        transport_close(transport, CLOSE_INTERNAL_ERROR, "out of memory");
}

static uint64_t max_message(const struct transport *transport)
{
    const struct peer *peer = container_of(transport, struct peer, transport);

    return channel_settings(peer->_fanout->channel)->max_message;
}

static bool holds_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    return peer_holds_pong(peer_of_transport(transport), data, len);
}

static void on_control(struct transport *transport)
{
    struct peer *peer = peer_of_transport(transport);
    struct peer_cold *cold = peer_need_cold(peer);
    const char *limit = NULL;

    if (cold != NULL)
        limit = limits_check_control(peer_surroundings(peer)->limits, &cold->rate,
                                     uv_now(transport->stream.tcp.loop));
    if (limit != NULL)
        transport_reject(transport, CLOSE_POLICY, "too many control frames", limit);
}

void peer_expel(struct peer *peer)
{
    struct transport *transport = &peer->transport;
    bool frames = transport_is_open(transport) && !peer_is_for_events(peer);
    char name[64];

    log_info("%s: its client certificate is no longer accepted: %s",
             stream_peer_name(&transport->stream, name, sizeof name),
             frames ? "closed with 1008" : "ended");
    if (frames)
        transport_reject(transport, CLOSE_POLICY, "the client certificate is no longer accepted",
                         NULL);
    else
        transport_abort(transport, UV_EACCES);
}

/* ---- event IDs ---- */

/* A comment (WHATWG HTML, 9.2.7). */
static const char heartbeat[] = {':', '\n', '\n'};

static size_t ping_payload(struct transport *transport, char *out)
{
    struct peer *peer = peer_of_transport(transport);

    if (!fanout_has(&peer->subscriber))
        return 0;
    if (peer_is_within_event(peer))
        return 0;
    if (peer_is_for_events(peer)) {
        memcpy(out, heartbeat, sizeof heartbeat);
        return sizeof heartbeat;
    }
    return strlen(
        event_id_print(channel_id_at(peer->_fanout->channel, &peer->subscriber.reader), out));
}

/* The echo of an ID acknowledges all up to there. */
static void on_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of_transport(transport);
    struct event_id id, last;

    if (!fanout_has(&peer->subscriber) || event_id_parse((const char *) data, len, &id) != 0)
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

/* A new turn has come for one whose requests had cost its share of an earlier one. */
static void on_share(struct transport *transport)
{
    opening_feed(peer_of_transport(transport));
}

static void on_taken(struct transport *transport)
{
    peer_memory_recount(peer_of_transport(transport));
}

static void flush(struct transport *transport)
{
    struct peer *peer = peer_of_transport(transport);

    if (peer_is_opening(peer))
        opening_flush(peer);
    else
        subscription_flush(peer);
    peer_memory_recount(peer);
}

static void on_drained(struct transport *transport)
{
    struct peer *peer = peer_of_transport(transport);

    if (peer_cold(peer) != NULL)
        peer_cold(peer)->unread = 0;
    if (fanout_has(&peer->subscriber))
        fanout_resume(peer->_fanout, &peer->subscriber);
    if (peer_is_opening(peer))
        opening_flush(peer);
    else
        subscription_flush(peer);
    if (!transport_is_stalled(transport))
        peer_memory_caught_up(peer);
    peer_memory_recount(peer);
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

/* A notice, which may come in the midst of subscription_flush: the peer leaves its channel at the
 * end of its flush, or in on_closed. */
static void on_end(struct transport *transport, const struct transport_end *end)
{
    const struct peer *peer = peer_of_transport(transport);

    if (stream_met_http(&transport->stream))
        peer_hit(peer, "plain-http", "answered with 400: TLS is spoken on this address");
    if (peer_record(peer) != NULL && peer_surroundings(peer)->options->log_connections)
        peer_list_note_end(peer, peer_record(peer), end);
    if (log_enabled(LOG_DEBUG))
        log_end(peer, end);
}

static void on_limit(struct transport *transport, const char *limit, uint16_t code)
{
    char done[32] = "dropped";

    if (code != 0)
        (void) snprintf(done, sizeof done, "closed with %u", code);
    peer_hit(peer_of_transport(transport), limit, done);
    peer_ends_for(peer_of_transport(transport), limit);
}

static void on_closed(struct transport *transport)
{
    struct peer *peer = peer_of_transport(transport);
    struct peer_context *context = peer_surroundings(peer);

    peer_leave(peer);
    if (peer_record(peer) != NULL)
        peer_list_remove(peer, peer_record(peer), context->options->log_connections);
    peer_users_leave(peer);
    peer_memory_forget(peer);
    if (peer->_fanout != NULL)
        fanouts_put(context->fanouts, peer->_fanout);
    count_out(peer);
    free_cold(peer);
    free(peer);
    context->peers--;
    context->on_left(context);
}

const struct transport_ops peer_transport_ops = {
    .on_opening = opening_input,
    .on_opening_timeout = opening_timeout,
    .is_idle = opening_is_idle,
    .on_message = on_message,
    .max_message = max_message,
    .on_control = on_control,
    .on_limit = on_limit,
    .ping_payload = ping_payload,
    .holds_pong = holds_pong,
    .on_pong = on_pong,
    .on_taken = on_taken,
    .on_share = on_share,
    .flush = flush,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_closed = on_closed,
};

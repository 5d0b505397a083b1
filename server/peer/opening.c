#include <stdlib.h>

#include "common/base/log.h"
#include "server/broadcast/fanout.h"
#include "server/http/connection.h"
#include "server/peer/peer_memory.h"
#include "server/peer/peer_private.h"

/* Makes room for the peer's past. False when out of memory. */
static bool add_replay(struct peer *peer)
{
    peer_cold(peer)->replay = calloc(1, sizeof *peer_cold(peer)->replay);
    return peer_cold(peer)->replay != NULL;
}

/* False when out of memory. */
static bool end_connection(struct peer *peer)
{
    connection_free(peer_cold(peer)->connection);
    peer_cold(peer)->connection = NULL;
    peer_cold(peer)->last_message = (uint32_t) peer_context_clock(peer_surroundings(peer));
    if (peer->subscriber.reader.catching_up)
        return add_replay(peer);
    peer_free_cold_if_unused(peer);
    return true;
}

void opening_refuse(struct peer *peer, const char *limit)
{
    peer_hit(peer, limit, "refused with 503");
    connection_refuse(peer_cold(peer)->connection, &peer->transport, 503,
                      "there are too many connections: try again later");
}

/* Returns NULL, or why it is refused. */
static const char *enter(struct peer *peer, const struct identity *identity)
{
    const char *limit = peer_users_enter(peer, identity);

    if (limit == NULL)
        return NULL;
    if (*limit == '\0')
        return RESPONSE_OUT_OF_MEMORY;
    peer_hit(peer, limit, "refused with 503");
    return "this user has as many connections as it may have: try again later";
}

/* Finds the channel that is asked for, and joins it. Returns NULL, or why it is refused, with
 * `*http` as the status. */
static const char *join(struct peer *peer, const struct connection_join *request,
                        struct event_id *start, int *http)
{
    unsigned encoding = request->events           ? (unsigned) CHANNEL_EVENTS
                        : request->ids            ? (unsigned) CHANNEL_IDS
                        : request->deflate.agreed ? request->deflate.server_max_window_bits
                                                  : (unsigned) CHANNEL_PLAIN;
    const char *why;
    int status;

    *http = 503;
    if (peer_surroundings(peer)->policy->ending)
        return RESPONSE_GOING_AWAY;
    why = enter(peer, request->identity);
    if (why != NULL)
        return why;
    status = fanouts_get(peer_surroundings(peer)->fanouts, request->channel.name,
                         request->channel.len, request->may_create, &peer->_fanout);
    if (status == UV_ENOENT) {
        *http = 404;
        return RESPONSE_CHANNEL_NOT_LISTED;
    }
    if (status == UV_EMFILE) {
        peer_hit(peer, "max-channels", "refused with 503");
        return RESPONSE_TOO_MANY_CHANNELS;
    }
    if (status == 0 && request->replay_from.kind != CHANNEL_REPLAY_NOW) {
        struct channel_info info;

        channel_info(peer->_fanout->channel, &info);
        transport_charge(&peer->transport, channel_seek_work(info.bytes));
    }
    if (status == 0)
        status =
            fanout_join(peer->_fanout, &peer->subscriber, encoding, &request->replay_from, start);
    if (status == UV_EINVAL && (request->events || request->ids))
        /* as an ID of another epoch: see replay_from_parse_any */
        status = fanout_join(peer->_fanout, &peer->subscriber, encoding,
                             &(struct channel_replay_from){.kind = CHANNEL_REPLAY_ALL}, start);
    if (status == UV_EMFILE) {
        peer_hit(peer, "max-subscribers", "refused with 503");
        return "this channel has as many subscribers as it may have: try again later";
    }
    if (status == UV_EINVAL) {
        *http = 400;
        return RESPONSE_FUTURE_ID;
    }
    return status != 0 ? RESPONSE_OUT_OF_MEMORY : NULL;
}

/* True if messages are missing behind the ID that it came back with, and it wants none then. */
static bool is_gap_refused(const struct connection_join *request, struct event_id start)
{
    return request->refuses_gap && request->replay_from.kind == CHANNEL_REPLAY_ID &&
           (request->replay_from.id.epoch != start.epoch ||
            request->replay_from.id.sequence != start.sequence);
}

/* It has joined, and is told so: from here on it gets frames, or events. */
static int open_transport(struct peer *peer, const struct connection_join *request)
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

void opening_input(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of_transport(transport);
    struct connection_join request;
    struct event_id start;
    const char *why;
    size_t used;
    int http;
    enum connection_result result =
        connection_input(peer_cold(peer)->connection, transport, data, len, &used, &request);

    if (result == CONNECTION_ENDED && connection_limit(peer_cold(peer)->connection) != NULL)
        peer_hit(peer, connection_limit(peer_cold(peer)->connection), "refused");
    if (result != CONNECTION_JOIN)
        return;
    why = join(peer, &request, &start, &http);
    if (why != NULL) {
        connection_refuse(peer_cold(peer)->connection, transport, http, why);
        return;
    }
    if (is_gap_refused(&request, start) && !request.ids) {
        peer_leave(peer);
        connection_refuse(peer_cold(peer)->connection, transport, 410, RESPONSE_GAP);
        return;
    }
    /* The newest ID is read after joining: all up to it will be sent. */
    if (!connection_accept(peer_cold(peer)->connection, transport, start,
                           channel_last_id(peer->_fanout->channel)))
        return;
    transport->note = (uint32_t) start.sequence;
    counters_add(&peer_surroundings(peer)->counters.subscribed[peer_kind(peer)], 1);
    if (peer_record(peer) != NULL)
        peer_record(peer)->began = start.sequence;
    if (!end_connection(peer) || open_transport(peer, &request) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    if (is_gap_refused(&request, start)) { /* a page sees no status, but this */
        transport_reject(transport, CLOSE_POLICY, "gap", NULL);
        subscription_give_up(peer);
    }
    if (len > used)
        transport_input(transport, data + used, len - used);
}

bool opening_is_idle(const struct transport *transport)
{
    const struct peer *peer = container_of(transport, struct peer, transport);

    return connection_is_idle(peer_cold(peer)->connection);
}

void opening_timeout(struct transport *transport)
{
    connection_expire(peer_cold(peer_of_transport(transport))->connection, transport);
}

/* Answers have left: the next piece of one may be made; or further requests, which were held, may
 * be read. */
void opening_feed(struct peer *peer)
{
    struct buffer buffered;

    if (!peer_is_opening(peer) || !transport_is_writable(&peer->transport) ||
        !connection_take_buffered(peer_cold(peer)->connection, &peer->transport, &buffered))
        return;
    if (buffered.len > 0)
        transport_input(&peer->transport, buffered.data, buffered.len);
    else
        opening_input(&peer->transport, NULL, 0); /* its request was pending, and joins */
    buffer_deinit(&buffered);
}

void opening_flush(struct peer *peer)
{
    struct transport_bytes none = {.more = connection_is_answering(peer_cold(peer)->connection)};

    if (transport_flush(&peer->transport, &none) == 0)
        opening_feed(peer);
}

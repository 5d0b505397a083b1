#include "server/peer/peer_list.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/net/address.h"
#include "server/peer/peer_private.h"

static uint64_t now_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void peer_list_add(struct peer_context *context, const struct peer *peer,
                   struct peer_record *record)
{
    char address[ADDRESS_NAME_SIZE];

    record->id = context->first_id + context->id_step * context->peers_ever;
    record->since = now_ms();
    list_append(&context->records, &record->node);
    if (context->options->log_connections)
        record->address =
            strdup(stream_peer_name(&peer->transport.stream, address, sizeof address));
}

/* False for what is no TCP. */
static bool get_round_trip(const struct peer *peer, uint32_t *microseconds)
{
    struct tcp_info tcp;
    socklen_t len = sizeof tcp;
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *) &peer->transport.stream.tcp, &fd) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) != 0)
        return false;
    *microseconds = tcp.tcpi_rtt;
    return true;
}

/* Of one that is in a channel. */
static const char *transport_of(const struct peer *peer)
{
    return peer_is_for_events(peer) ? "events" : "websocket";
}

static uint64_t messages_out(const struct peer *peer, const struct peer_record *record)
{
    return channel_id_at(peer->_fanout->channel, &peer->subscriber.reader).sequence - record->began;
}

/* NULL: it is nobody in particular. */
static const char *user_of(const struct peer *peer)
{
    const struct principal *principal = peer_identity(peer).principal;

    return principal != NULL && principal->user[0] != '\0' ? principal->user : NULL;
}

void peer_list_describe(const struct peer *peer, struct peer_info *info)
{
    const struct peer_record *record = peer_record(peer);

    *info = (struct peer_info){
        .id = record->id,
        .since = record->since,
        .transport = "http",
        .messages_in = record->messages_in,
        .bytes_in = record->bytes_in,
        .bytes_out = record->bytes_out,
    };
    stream_peer_name(&peer->transport.stream, info->address, sizeof info->address);
    info->has_round_trip = get_round_trip(peer, &info->round_trip);
    info->user = user_of(peer);
    if (!fanout_has(&peer->subscriber))
        return;
    info->transport = transport_of(peer);
    info->channel = peer->_fanout->channel->name;
    info->lag = channel_lag(peer->_fanout->channel, &peer->subscriber.reader);
    info->messages_out = messages_out(peer, record);
}

/* ---- the end ---- */

void peer_list_note_leaving(const struct peer *peer, struct peer_record *record)
{
    record->transport = transport_of(peer);
    record->messages_out = messages_out(peer, record);
}

/* Who has ended it: where there was no Close, and we have not ended it, an end of what the client
 * sends is the client's, whose system says so also for a program that was killed. */
static const char *by_whom(const struct peer_record *record, const struct transport_end *end)
{
    static const int own[] = {UV_ECANCELED, UV_ENOMEM, UV_ENOBUFS, UV_EACCES};

    if (end->own_code != 0 || end->finished || end->fate == TRANSPORT_PEER_FAULT)
        return "server";
    if (end->fate == TRANSPORT_PEER_CLOSED || end->status == UV_EOF)
        return "client";
    if (record->limit != NULL)
        return strcmp(record->limit, "ping-timeout") == 0 ? "network" : "server";
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (end->status == own[i])
            return "server";
    }
    return "network";
}

static uint16_t close_code(const struct peer *peer, const struct transport_end *end)
{
    if (end->own_code != 0)
        return end->own_code;
    if (end->fate != TRANSPORT_LOST)
        return end->code;
    return peer_is_opening(peer) || peer_is_for_events(peer) ? 0 : CLOSE_ABNORMAL;
}

static char *why(const struct transport_end *end)
{
    if (end->fate == TRANSPORT_LOST)
        return end->finished || end->status == UV_EOF || end->own_code != 0
                   ? NULL
                   : strdup(uv_strerror(end->status));
    return end->reason_len > 0 ? strndup((const char *) end->reason, end->reason_len) : NULL;
}

void peer_list_note_end(const struct peer *peer, struct peer_record *record,
                        const struct transport_end *end)
{
    char address[ADDRESS_NAME_SIZE];

    /* A proxy may have said since whose it is; and the socket may be closed already. */
    stream_peer_name(&peer->transport.stream, address, sizeof address);
    if (strcmp(address, "unknown") != 0 || record->address == NULL) {
        free(record->address);
        record->address = strdup(address);
    }
    record->by = by_whom(record, end);
    record->code = close_code(peer, end);
    free(record->reason);
    record->reason = why(end);
}

/* What the log calls it is what scripts look for: names stay. */
static void log_connection(const struct peer *peer, const struct peer_record *record)
{
    const char *channel = peer->_fanout != NULL ? peer->_fanout->channel->name : "";
    const char *user = user_of(peer);
    struct log_field fields[14] = {
        {"id", LOG_FIELD_NUMBER, NULL, record->id},
        {"address", LOG_FIELD_TEXT, record->address != NULL ? record->address : "unknown", 0},
        {"channel", LOG_FIELD_TEXT, channel, 0},
        {"transport", LOG_FIELD_TEXT, record->transport != NULL ? record->transport : "http", 0},
        {"seconds", LOG_FIELD_MILLISECONDS, NULL, now_ms() - record->since},
        {"messages_in", LOG_FIELD_NUMBER, NULL, record->messages_in},
        {"bytes_in", LOG_FIELD_NUMBER, NULL, record->bytes_in},
        {"messages_out", LOG_FIELD_NUMBER, NULL, record->messages_out},
        {"bytes_out", LOG_FIELD_NUMBER, NULL, record->bytes_out},
        {"by", LOG_FIELD_TEXT, record->by != NULL ? record->by : "server", 0},
    };
    size_t count = 10;

    if (user != NULL)
        fields[count++] = (struct log_field){"user", LOG_FIELD_TEXT, user, 0};
    if (record->code != 0)
        fields[count++] = (struct log_field){"code", LOG_FIELD_NUMBER, NULL, record->code};
    if (record->reason != NULL)
        fields[count++] = (struct log_field){"reason", LOG_FIELD_TEXT, record->reason, 0};
    if (record->limit != NULL)
        fields[count++] = (struct log_field){"limit", LOG_FIELD_TEXT, record->limit, 0};
    log_fields(LOG_INFO, "connection", fields, count);
}

void peer_list_remove(const struct peer *peer, struct peer_record *record, bool logs)
{
    if (logs && record->id != 0) /* the operator's are not noted */
        log_connection(peer, record);
    free(record->address);
    free(record->reason);
    peer_users_forget_record(&peer_surroundings(peer)->users, &record->node);
    list_remove(&record->node);
}

/* ---- all of them ---- */

void peer_list_each(struct peer_context *context, uint64_t after,
                    bool (*see)(void *argument, struct peer *peer), void *argument)
{
    LIST_FOR_EACH_SAFE (node, next, &context->records) {
        struct peer_record *record = container_of(node, struct peer_record, node);

        if (record->id > after &&
            !see(argument, &container_of(record, struct counted_peer, record)->peer))
            return;
    }
}

void peer_list_end(struct peer *peer, const char *reason)
{
    struct transport *transport = &peer->transport;

    if (transport_is_open(transport) && fanout_has(&peer->subscriber) && !peer_is_for_events(peer))
        transport_reject(transport, CLOSE_POLICY, reason, NULL);
    else
        transport_abort(transport, UV_ECANCELED);
}

#include "server/peer/peer_list.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/escape.h"
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
    return channel_id_at(peer->_fanout->channel, &peer->subscriber.cursor).sequence - record->began;
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
    info->lag = channel_lag(peer->_fanout->channel, &peer->subscriber.cursor);
    info->messages_out = messages_out(peer, record);
}

/* ---- the end ---- */

void peer_list_note_leaving(const struct peer *peer, struct peer_record *record)
{
    record->transport = transport_of(peer);
    record->messages_out = messages_out(peer, record);
}

void peer_list_note_end(const struct peer *peer, struct peer_record *record,
                        const struct transport_end *end)
{
    const char *by = end->fate == TRANSPORT_PEER_CLOSED ? "client" : "server";
    char address[ADDRESS_NAME_SIZE], reason[96], text[256];

    /* A proxy may have said since whose it is; and the socket may be closed already. */
    stream_peer_name(&peer->transport.stream, address, sizeof address);
    if (strcmp(address, "unknown") == 0 && record->address != NULL)
        (void) snprintf(address, sizeof address, "%s", record->address);
    escape_text(reason, sizeof reason, end->reason, end->reason_len);
    if (end->fate == TRANSPORT_LOST)
        (void) snprintf(text, sizeof text, "address='%s' ended=lost error='%s'", address,
                        uv_strerror(end->status));
    else
        (void) snprintf(text, sizeof text, "address='%s' ended=%s code=%u reason='%s'", address, by,
                        end->code, reason);
    free(record->end);
    record->end = strdup(text);
}

static void log_connection(const struct peer *peer, const struct peer_record *record)
{
    const char *channel = peer->_fanout != NULL ? peer->_fanout->channel->name : "";
    const char *user = user_of(peer);
    uint64_t ms = now_ms() - record->since;
    char shown[256], shown_user[256] = "";

    if (user != NULL)
        (void) escape_text(shown_user, sizeof shown_user, user, strlen(user));
    log_info("connection id=%" PRIu64 " transport=%s channel='%s'%s%s%s seconds=%" PRIu64
             ".%03u messages_in=%" PRIu64 " bytes_in=%" PRIu64 " messages_out=%" PRIu64
             " bytes_out=%" PRIu64 " %s",
             record->id, record->transport != NULL ? record->transport : "http",
             escape_text(shown, sizeof shown, channel, strlen(channel)),
             user != NULL ? " user='" : "", shown_user, user != NULL ? "'" : "", ms / 1000,
             (unsigned) (ms % 1000), record->messages_in, record->bytes_in, record->messages_out,
             record->bytes_out, record->end != NULL ? record->end : "ended=server");
}

void peer_list_remove(const struct peer *peer, struct peer_record *record, bool logs)
{
    if (logs && record->id != 0) /* the operator's are not noted */
        log_connection(peer, record);
    free(record->address);
    free(record->end);
    peer_users_forget_record(&peer_surroundings(peer)->users, &record->node);
    list_remove(&record->node);
}

/* ---- all of them ---- */

void peer_list_each(struct peer_context *context, uint64_t after,
                    bool (*see)(void *argument, struct peer *peer), void *argument)
{
    struct list *node, *next;

    for (node = context->records.next; node != &context->records; node = next) {
        struct peer_record *record = container_of(node, struct peer_record, node);

        next = node->next;
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

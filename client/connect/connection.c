#include "client/connect/connection.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "client/connect/connection_private.h"
#include "common/base/escape.h"
#include "common/base/list.h"
#include "common/net/stream.h"

enum {
    CLOSING_TIMEOUT = 2 * 1000, /* milliseconds for each step of the closing handshake */
    /* The same where the server is to take first all that was sent (--input-eof close). */
    LONG_CLOSING_TIMEOUT = 30 * 1000,
    COMPRESSION_LEVEL = 6,
};

/* ---- the end ---- */

void connection_conclude(struct connection *connection, const struct outcome *outcome)
{
    if (connection->_told)
        return;
    connection->_told = true;
    (void) uv_timer_stop(&connection->_patience);
    connection->_ops->on_end(connection, outcome);
}

/* A server that speaks TLS on this port may end what is no TLS without a word. */
static bool may_want_tls(const struct connection *connection, int status)
{
    return !connection->_url->secure && connection->_opened == 0 && !connection->_answered &&
           (status == UV_EOF || status == UV_ECONNRESET);
}

/* No Close came: the likely cause, and what to do. */
static void conclude_lost(struct connection *connection, int status)
{
    const struct stream *stream = &connection->_transport.stream;
    const char *why = stream_error(stream);
    bool tls = why != NULL && status == UV_EPROTO;
    struct outcome outcome = {
        .exit = tls ? CLIENT_TLS : CLIENT_LOST,
        .lasting = tls && !stream_was_cut(stream),
    };

    if (connection->_limit != NULL && strcmp(connection->_limit, "ping-timeout") == 0)
        why = "no answer to a ping (--ping-timeout): the server or the network is gone";
    else if (why == NULL && may_want_tls(connection, status))
        why = "the server ended it without an answer; does it speak TLS on this port? Then it is a "
              "wss:// URL";
    else if (why == NULL)
        why = status == UV_EOF ? "the server ended it without a Close" : uv_strerror(status);
    (void) error_set(&outcome.error, status, "%s: %s%s", connection->_url->text,
                     tls ? "" : "connection lost: ", why);
    connection_conclude(connection, &outcome);
}

/* True for codes that would come again: the server is done, or cannot bear what we are. */
static bool is_lasting(unsigned code)
{
    switch (code) {
    case CLOSE_NORMAL:
    case CLOSE_NO_STATUS:
    case CLOSE_PROTOCOL_ERROR:
    case CLOSE_UNSUPPORTED_DATA:
    case CLOSE_INVALID_DATA:
    case CLOSE_TOO_BIG:
        return true;
    default:
        return false;
    }
}

static void conclude_closed(struct connection *connection, unsigned code, const char *reason)
{
    bool ours = connection->_ended && code == connection->_options->close_code;
    bool clean =
        ours || code == CLOSE_NORMAL || code == CLOSE_GOING_AWAY || code == CLOSE_NO_STATUS;
    struct outcome outcome = {
        .exit = clean ? CLIENT_OK : CLIENT_CLOSED,
        .lasting = is_lasting(code),
    };

    (void) error_set(&outcome.error, 0, "%s: the server closed with %u%s%s", connection->_url->text,
                     code, *reason != '\0' ? ": " : "", reason);
    connection_conclude(connection, &outcome);
}

static void conclude_fault(struct connection *connection, unsigned code, const char *reason)
{
    struct outcome outcome = {.exit = CLIENT_PROTOCOL, .lasting = true};

    if (connection->_limit != NULL) /* which is ours */
        (void) error_set(&outcome.error, UV_EPROTO,
                         "%s: %s: more than --%s allows (closed with %u)", connection->_url->text,
                         reason, connection->_limit, code);
    else
        (void) error_set(&outcome.error, UV_EPROTO,
                         "%s: the server broke the protocol: %s (closed with %u)",
                         connection->_url->text, reason, code);
    connection_conclude(connection, &outcome);
}

static void on_end(struct transport *transport, const struct transport_end *end)
{
    struct connection *connection = container_of(transport, struct connection, _transport);
    char reason[512];

    if (end->fate == TRANSPORT_LOST && connection_events_end(connection, end->status))
        return;
    if (connection_opening_is_refused(connection)) { /* and that is all of the body */
        connection_opening_conclude(connection);
        return;
    }
    escape_text(reason, sizeof reason, end->reason, end->reason_len);
    switch (end->fate) {
    case TRANSPORT_PEER_CLOSED:
        conclude_closed(connection, end->code, reason);
        break;
    case TRANSPORT_PEER_FAULT:
        conclude_fault(connection, end->code, reason);
        break;
    case TRANSPORT_LOST:
        conclude_lost(connection, end->status);
        break;
    }
}

static void on_closed(struct transport *transport)
{
    struct connection *connection = container_of(transport, struct connection, _transport);

    connection->_live = false;
    http_head_deinit(&connection->_head);
    refusal_deinit(&connection->_refusal);
    event_parser_deinit(&connection->_events);
    connection->_events = (struct event_parser){0};
    connection->_streaming = false;
    connection->_ops->on_closed(connection);
}

static void on_limit(struct transport *transport, const char *limit, uint16_t code)
{
    struct connection *connection = container_of(transport, struct connection, _transport);

    (void) code;
    connection->_limit = limit;
}

/* ---- messages ---- */

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct connection *connection = container_of(transport, struct connection, _transport);

    monitor_frame(connection->_monitor, false, opcode, len);
    connection->_ops->on_message(connection, opcode, data, len);
}

static void on_ping(struct transport *transport, const uint8_t *data, size_t len)
{
    struct connection *connection = container_of(transport, struct connection, _transport);

    connection->_ops->on_ping(connection, data, len);
}

static void on_frame(struct transport *transport, bool own, enum frame_opcode opcode, size_t len)
{
    struct connection *connection = container_of(transport, struct connection, _transport);

    monitor_frame(connection->_monitor, own, opcode, len);
}

static void on_bytes(struct transport *transport, size_t len)
{
    struct connection *connection = container_of(transport, struct connection, _transport);

    monitor_bytes(connection->_monitor, len);
}

static void flush(struct transport *transport)
{
    struct connection *connection = container_of(transport, struct connection, _transport);
    int status = transport_flush(transport, NULL);

    connection->_ops->on_flushed(connection, status);
}

static const struct transport_ops connection_transport_ops = {
    .on_opening = connection_opening_input,
    .on_opening_timeout = connection_opening_timeout,
    .on_message = on_message,
    .on_limit = on_limit,
    .on_frame = on_frame,
    .on_bytes = on_bytes,
    .on_ping = on_ping,
    .flush = flush,
    .on_drained = flush,
    .on_end = on_end,
    .on_closed = on_closed,
};

void connection_send(struct connection *connection, enum frame_opcode opcode, const void *data,
                     size_t len)
{
    int status = transport_send(&connection->_transport, opcode, data, len);

    if (status == 0)
        monitor_frame(connection->_monitor, true, opcode, len);
    if (status == UV_ENOMEM || status == UV_EIO)
        transport_abort(&connection->_transport, status);
}

size_t connection_queued(const struct connection *connection)
{
    return transport_queued(&connection->_transport);
}

void connection_pause(struct connection *connection)
{
    if (connection->_live)
        transport_pause(&connection->_transport, TRANSPORT_UNTIL_TAKEN);
}

void connection_resume(struct connection *connection)
{
    if (connection->_live)
        transport_resume(&connection->_transport, TRANSPORT_UNTIL_TAKEN);
}

/* ---- life ---- */

int connection_init(struct connection *connection, uv_loop_t *loop,
                    const struct client_options *options, const struct connection_ops *ops,
                    struct monitor *monitor)
{
    const struct transport_config config = {
        .server = false,
        .max_message = options->max_message,
        .compression_level = COMPRESSION_LEVEL,
        .hears_on = true, /* the server may still send a Close */
        .closing_timeout =
            options->input_eof == CLIENT_EOF_CLOSE ? LONG_CLOSING_TIMEOUT : CLOSING_TIMEOUT,
        .ping_interval = (uint32_t) options->ping_interval,
        .ping_timeout = (uint32_t) options->ping_timeout,
    };

    connection->_options = options;
    connection->_ops = ops;
    connection->_monitor = monitor;
    connection->_live = false;
    (void) uv_timer_init(loop, &connection->_patience); /* which cannot fail */
    return transport_context_init(&connection->_transports, loop, &connection_transport_ops,
                                  &config);
}

void connection_close_handles(struct connection *connection)
{
    transport_context_close(&connection->_transports);
    uv_close((uv_handle_t *) &connection->_patience, NULL);
}

void connection_deinit(struct connection *connection)
{
    transport_context_deinit(&connection->_transports);
    free(connection->_event_id);
    connection->_event_id = NULL;
}

int connection_start(struct connection *connection, int fd, const struct url *url,
                     struct tls_context *tls, const struct client_handshake_request *request)
{
    int status = transport_init(&connection->_transport, &connection->_transports);

    if (status != 0) {
        (void) close(fd);
        return status;
    }
    connection->_url = url;
    connection->_request = *request;
    connection->_streaming = false;
    if (request->events && request->last_event_id == NULL)
        connection->_request.last_event_id = connection->_event_id;
    connection->_limit = NULL;
    connection->_opened = 0;
    connection->_live = true;
    connection->_told = false;
    connection->_answered = false;
    connection->_ended = false;
    connection->_alerted = false;
    connection->_refusal = (struct refusal){0};
    connection->_refused = (struct outcome){.exit = CLIENT_OK};
    http_head_init(&connection->_head, HTTP_HEAD_RESPONSE);
    status = stream_open(&connection->_transport.stream, fd);
    if (status != 0)
        (void) close(fd);
    stream_configure(&connection->_transport.stream);
    if (status == 0)
        status = connection_opening_begin(connection, tls);
    if (status != 0)
        connection_abort(connection, status);
    return 0;
}

/* A field that stands there once, or NULL. */
static const char *single(const struct connection *connection, const char *name)
{
    return http_head_count(&connection->_head, name) == 1 ? http_head_get(&connection->_head, name)
                                                          : NULL;
}

const char *connection_last_event_id(const struct connection *connection)
{
    return single(connection, "Last-Event-ID");
}

const char *connection_live_event_id(const struct connection *connection)
{
    return single(connection, "Live-Event-ID");
}

bool connection_is_echoed(const struct connection *connection)
{
    const char *echo = http_head_get(&connection->_head, "Wsbroadcast-Echo");

    return echo == NULL || strcasecmp(echo, "no") != 0;
}

bool connection_has_input(const struct connection *connection)
{
    return connection->_live && stream_has_input(&connection->_transport.stream);
}

bool connection_is_live(const struct connection *connection)
{
    return connection->_live;
}

bool connection_is_open(const struct connection *connection)
{
    return connection->_live &&
           (connection->_streaming || transport_is_open(&connection->_transport));
}

void connection_close(struct connection *connection)
{
    if (connection->_streaming) { /* which has no closing handshake */
        connection->_streaming = false;
        transport_abort(&connection->_transport, UV_ECANCELED);
        return;
    }
    transport_close(&connection->_transport, CLOSE_NORMAL, "");
    transport_resume(&connection->_transport,
                     TRANSPORT_UNTIL_ALL); /* the server's Close wants to be read */
}

void connection_end(struct connection *connection)
{
    const struct client_options *options = connection->_options;

    connection->_ended = true;
    if (options->close_code != 0 && !connection->_streaming)
        transport_close(&connection->_transport, (enum frame_close_code) options->close_code,
                        options->close_reason);
    connection_close(connection);
}

void connection_abort(struct connection *connection, int status)
{
    if (connection->_live)
        transport_abort(&connection->_transport, status);
}

void connection_give_up(struct connection *connection, const struct outcome *outcome)
{
    if (!connection->_live)
        return;
    if (connection_opening_is_refused(connection))
        connection_opening_conclude(connection);
    connection_conclude(connection, outcome);
    if (connection_is_open(connection))
        connection_close(connection);
    else
        transport_abort(&connection->_transport, UV_ECANCELED);
}

uint64_t connection_age(const struct connection *connection)
{
    return connection->_opened > 0 ? uv_now(connection->_transports.loop) - connection->_opened : 0;
}

void connection_flush(struct connection *connection)
{
    transport_context_flush(&connection->_transports);
}

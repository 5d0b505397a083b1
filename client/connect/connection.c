#include "client/connect/connection.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "client/connect/request.h"
#include "client/connect/retry_after.h"
#include "common/base/escape.h"
#include "common/base/list.h"
#include "common/net/stream.h"

enum {
    CLOSING_TIMEOUT = 2 * 1000, /* milliseconds for each step of the closing handshake */
    /* The same where the server is to take first all that was sent (--input-eof close). */
    LONG_CLOSING_TIMEOUT = 30 * 1000,
    COMPRESSION_LEVEL = 6,
    TLS_ALERT = 21, /* the first byte of a record that is an alert (RFC 8446, 5.1) */
};

/* ---- the end ---- */

/* The first to know how it ended tells. */
static void conclude(struct connection *connection, const struct outcome *outcome)
{
    if (connection->_told)
        return;
    connection->_told = true;
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
    conclude(connection, &outcome);
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
    bool clean = code == CLOSE_NORMAL || code == CLOSE_GOING_AWAY || code == CLOSE_NO_STATUS;
    struct outcome outcome = {
        .exit = clean ? CLIENT_OK : CLIENT_CLOSED,
        .lasting = is_lasting(code),
    };

    (void) error_set(&outcome.error, 0, "%s: the server closed with %u%s%s", connection->_url->text,
                     code, *reason != '\0' ? ": " : "", reason);
    conclude(connection, &outcome);
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
    conclude(connection, &outcome);
}

static void on_end(struct transport *transport, const struct transport_end *end)
{
    struct connection *connection = container_of(transport, struct connection, _transport);
    char reason[512];

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
    connection->_ops->on_closed(connection);
}

static void on_limit(struct transport *transport, const char *limit, uint16_t code)
{
    struct connection *connection = container_of(transport, struct connection, _transport);

    (void) code;
    connection->_limit = limit;
}

/* ---- the opening handshake ---- */

/* RFC 9110, 15.4: those that say where, and keep the method. */
static bool is_redirection(int status)
{
    return status == 301 || status == 302 || status == 307 || status == 308;
}

/* RFC 9110, 15.5 and 15.6: what may be otherwise next time. */
static bool may_get_better(int status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

/* The server answered with another status than 101. */
static void judge_refusal(struct connection *connection, struct outcome *outcome)
{
    const struct http_head *head = &connection->_head;

    outcome->exit = CLIENT_REFUSED;
    outcome->lasting = !may_get_better(head->status);
    if (is_redirection(head->status))
        outcome->location = http_head_get(head, "Location");
    if (head->status == 503 || head->status == 429)
        outcome->asked = retry_after_parse(http_head_get(head, "Retry-After"), time(NULL));
}

/* What to do about a refusal, written into `out` if it is not static. */
static const char *advice(const struct connection *connection, char *out, size_t size)
{
    const struct url *url = connection->_url;

    switch (connection->_head.status) {
    case 400:
        return url->secure ? ""
                           : "; does the server speak TLS on this port? Then it is a wss:// URL";
    case 401:
        if (request_has_credentials(&connection->_request))
            return "; the server does not accept the credentials that were given";
        if (connection->_request.withheld)
            return "; credentials are for the origin of the URL alone, which redirected here";
        return "; say who you are with --user-file, --bearer-file or WSRECV_TOKEN";
    case 404:
        if (url->target[1] != '\0' && url->target[1] != '?')
            return "; check the path";
        (void) snprintf(out, size, "; is %s://%s/ws meant?", url->secure ? "wss" : "ws",
                        url->authority);
        return out;
    default:
        return "";
    }
}

/* The response head is complete. True when frames follow. */
static bool judge_response(struct connection *connection)
{
    struct outcome outcome = {.exit = CLIENT_PROTOCOL, .lasting = true};
    char meant[320];
    struct error error;
    int status = client_handshake_check_response(&connection->_handshake, &connection->_request,
                                                 &connection->_head, &connection->_deflate, &error);

    if (status == 0)
        return true;
    if (status != UV_EPROTO)
        judge_refusal(connection, &outcome);
    (void) error_set(&outcome.error, status, "%s: %s%s", connection->_url->text, error.text,
                     advice(connection, meant, sizeof meant));
    conclude(connection, &outcome);
    connection_abort(connection, status);
    return false;
}

static void not_http(struct connection *connection)
{
    struct outcome outcome = {.exit = CLIENT_PROTOCOL, .lasting = true};

    if (connection->_alerted)
        (void) error_set(&outcome.error, UV_EPROTO,
                         "%s: the server speaks TLS on this port; is it a wss:// URL?",
                         connection->_url->text);
    else
        (void) error_set(&outcome.error, UV_EPROTO, "%s: the server does not answer in HTTP: %s",
                         connection->_url->text, connection->_head.why);
    conclude(connection, &outcome);
    connection_abort(connection, UV_EPROTO);
}

static void on_opening(struct transport *transport, const uint8_t *data, size_t len)
{
    struct connection *connection = container_of(transport, struct connection, _transport);
    size_t used;
    enum http_head_result result = http_head_feed(&connection->_head, data, len, &used);

    if (!connection->_answered && len > 0) {
        connection->_answered = true;
        connection->_alerted = data[0] == TLS_ALERT;
    }
    monitor_response(connection->_monitor, data, used, result != HTTP_HEAD_MORE);
    switch (result) {
    case HTTP_HEAD_MORE:
        break;
    case HTTP_HEAD_DONE:
        if (!judge_response(connection))
            break;
        if (transport_open(transport, &connection->_deflate) != 0) {
            connection_abort(connection, UV_ENOMEM);
            break;
        }
        connection->_opened = uv_now(connection->_transports.loop);
        monitor_connected(connection->_monitor);
        connection->_ops->on_open(connection);
        transport_input(transport, data + used, len - used);
        break;
    case HTTP_HEAD_BAD:
        not_http(connection);
        break;
    }
}

static void on_opening_timeout(struct transport *transport)
{
    transport_abort(transport, UV_ETIMEDOUT);
}

/* Asks for the upgrade. */
static int begin_handshake(struct connection *connection, struct tls_context *tls)
{
    const struct url *url = connection->_url;
    struct transport *transport = &connection->_transport;
    struct buffer *out = transport_opening_output(transport);
    int status = 0;

    if (tls != NULL)
        status = stream_start_tls(&transport->stream, tls, url->host);
    if (status == 0)
        status = out != NULL ? client_handshake_init(&connection->_handshake) : UV_ENOMEM;
    if (status == 0)
        status =
            client_handshake_write_request(&connection->_handshake, out, &connection->_request);
    if (status == 0) {
        monitor_request(connection->_monitor, out->data, out->len);
        status = transport_start(transport);
    }
    return status;
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
    .on_opening = on_opening,
    .on_opening_timeout = on_opening_timeout,
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
        transport_pause(&connection->_transport);
}

void connection_resume(struct connection *connection)
{
    if (connection->_live)
        transport_resume(&connection->_transport);
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
    return transport_context_init(&connection->_transports, loop, &connection_transport_ops,
                                  &config);
}

void connection_close_handles(struct connection *connection)
{
    transport_context_close(&connection->_transports);
}

void connection_deinit(struct connection *connection)
{
    transport_context_deinit(&connection->_transports);
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
    connection->_limit = NULL;
    connection->_opened = 0;
    connection->_live = true;
    connection->_told = false;
    connection->_answered = false;
    connection->_alerted = false;
    http_head_init(&connection->_head, HTTP_HEAD_RESPONSE);
    status = stream_open(&connection->_transport.stream, fd);
    if (status != 0)
        (void) close(fd);
    stream_configure(&connection->_transport.stream);
    if (status == 0)
        status = begin_handshake(connection, tls);
    if (status != 0)
        connection_abort(connection, status);
    return 0;
}

const char *connection_last_event_id(const struct connection *connection)
{
    static const char name[] = "Last-Event-ID";

    return http_head_count(&connection->_head, name) == 1 ? http_head_get(&connection->_head, name)
                                                          : NULL;
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
    return connection->_live && transport_is_open(&connection->_transport);
}

void connection_close(struct connection *connection)
{
    transport_close(&connection->_transport, CLOSE_NORMAL, "");
    transport_resume(&connection->_transport); /* the server's Close wants to be read */
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
    conclude(connection, outcome);
    if (transport_is_open(&connection->_transport))
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

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/connect/connection_private.h"
#include "client/connect/request.h"
#include "client/connect/retry_after.h"
#include "common/base/list.h"
#include "common/net/stream.h"

enum {
    PATIENCE = 1000, /* milliseconds for the body of a refusal */
    TLS_ALERT = 21,  /* the first byte of a record that is an alert (RFC 8446, 5.1) */
};

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
static void check_refusal(struct connection *connection, struct outcome *outcome)
{
    const struct http_head *head = &connection->_head;

    outcome->exit = CLIENT_REFUSED;
    outcome->lasting = !may_get_better(head->status);
    outcome->unauthorized = head->status == 401;
    if (is_redirection(head->status))
        outcome->location = http_head_get(head, "Location");
    outcome->head = head;
    if (head->status == 503 || head->status == 429)
        outcome->asked = retry_after_parse(http_head_get(head, "Retry-After"), time(NULL));
}

/* What to do about a refusal, written into `out` if it is not static. */
static const char *advice(const struct connection *connection, char *out, size_t size)
{
    const struct url *url = connection->_url;

    if (connection->_request.events && connection->_head.status != 401)
        return url->secure ? "; for a WebSocket write wss://" : "; for a WebSocket write ws://";
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

/* ---- a refusal and its body ---- */

bool connection_opening_is_refused(const struct connection *connection)
{
    return connection->_refused.exit != CLIENT_OK && !connection->_told;
}

void connection_opening_conclude(struct connection *connection)
{
    struct buffer said = {0};

    if (refusal_write(&connection->_refusal, &said) == 0)
        connection->_refused.said = (const char *) said.data;
    connection_conclude(connection, &connection->_refused);
    connection->_refused.said = NULL;
    buffer_deinit(&said);
}

static void end_refusal(struct connection *connection)
{
    connection_opening_conclude(connection);
    connection_abort(connection, UV_ECONNREFUSED);
}

static void on_patience(uv_timer_t *timer)
{
    end_refusal(container_of(timer, struct connection, _patience));
}

/* Bytes of the body. */
static void hear_refusal(struct connection *connection, const uint8_t *data, size_t len)
{
    if (len > 0 && !refusal_feed(&connection->_refusal, &connection->_head, data, len))
        end_refusal(connection);
}

/* What the server says about it is waited for; a redirection is followed at once. */
static void begin_refusal(struct connection *connection, const uint8_t *data, size_t len)
{
    if (connection->_refused.location != NULL ||
        !refusal_begin(&connection->_refusal, &connection->_head)) {
        end_refusal(connection);
        return;
    }
    (void) uv_timer_start(&connection->_patience, on_patience, PATIENCE, 0);
    hear_refusal(connection, data, len);
}

/* The response head is complete, `data` is behind it. True when frames follow. */
static bool check_response(struct connection *connection, const uint8_t *data, size_t len)
{
    struct outcome outcome = {.exit = CLIENT_PROTOCOL, .lasting = true};
    char meant[320];
    struct error error;
    int status;

    if (connection->_request.events && connection_events_judge(connection, &outcome))
        return true;
    if (connection->_request.events && outcome.error.text[0] != '\0') {
        connection_conclude(connection, &outcome);
        connection_abort(connection, UV_EPROTO);
        return false;
    }
    status = client_handshake_check_response(&connection->_handshake, &connection->_request,
                                             &connection->_head, &connection->_deflate, &error);

    if (status == 0)
        return true;
    if (status != UV_EPROTO)
        check_refusal(connection, &outcome);
    (void) error_set(&outcome.error, status, "%s: %s%s", connection->_url->text, error.text,
                     advice(connection, meant, sizeof meant));
    if (status != UV_EPROTO) {
        connection->_refused = outcome;
        begin_refusal(connection, data, len);
        return false;
    }
    connection_conclude(connection, &outcome);
    connection_abort(connection, status);
    return false;
}

/* ---- the response ---- */

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
    connection_conclude(connection, &outcome);
    connection_abort(connection, UV_EPROTO);
}

void connection_opening_input(struct transport *transport, const uint8_t *data, size_t len)
{
    struct connection *connection = container_of(transport, struct connection, _transport);
    enum http_head_result result;
    size_t used;

    if (connection->_streaming) {
        connection_events_input(connection, data, len);
        return;
    }
    if (connection_opening_is_refused(connection)) {
        hear_refusal(connection, data, len);
        return;
    }
    result = http_head_feed(&connection->_head, data, len, &used);
    if (!connection->_answered && len > 0) {
        connection->_answered = true;
        connection->_alerted = data[0] == TLS_ALERT;
    }
    monitor_response(connection->_monitor, data, used, result != HTTP_HEAD_MORE);
    switch (result) {
    case HTTP_HEAD_MORE:
        break;
    case HTTP_HEAD_DONE:
        if (!check_response(connection, data + used, len - used))
            break;
        if (connection->_request.events) {
            connection_events_begin(connection);
            connection_events_input(connection, data + used, len - used);
            break;
        }
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

void connection_opening_timeout(struct transport *transport)
{
    transport_abort(transport, UV_ETIMEDOUT);
}

int connection_opening_begin(struct connection *connection, struct tls_context *tls)
{
    struct transport *transport = &connection->_transport;
    struct buffer *out = transport_opening_output(transport);
    int status = 0;

    if (tls != NULL)
        status = stream_start_tls(&transport->stream, tls, connection->_request.server_name);
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

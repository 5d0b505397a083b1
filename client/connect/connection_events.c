#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/connect/connection_private.h"
#include "common/base/escape.h"
#include "common/base/utf8.h"
#include "common/net/stream.h"
#include "common/websocket/event_id.h"

static bool is_stream(const struct http_head *head)
{
    static const char wanted[] = "text/event-stream";
    const char *type = http_head_get(head, "Content-Type");

    return type != NULL && strcspn(type, "; \t") == sizeof wanted - 1 &&
           strncasecmp(type, wanted, sizeof wanted - 1) == 0;
}

bool connection_events_judge(struct connection *connection, struct outcome *outcome)
{
    const struct http_head *head = &connection->_head;
    const char *type = http_head_get(head, "Content-Type");
    char shown[100];

    outcome->error.text[0] = '\0';
    if (head->status == 204) { /* WHATWG HTML, 9.2.3: do not come back */
        outcome->exit = CLIENT_OK;
        (void) error_set(&outcome->error, 0, "%s: the server has no events (204)",
                         connection->_url->text);
    } else if (head->status == 200 && !is_stream(head)) {
        (void) error_set(&outcome->error, UV_EPROTO,
                         "%s: the server answers with '%s', which is no event stream; for a "
                         "WebSocket write ws:// or wss://",
                         connection->_url->text,
                         type != NULL ? escape_text(shown, sizeof shown, type, strlen(type)) : "");
    }
    return head->status == 200 && is_stream(head);
}

/* ---- events ---- */

/* An ID that counts, as our server's do, tells what was lost before the message: as a ping would
 * that comes right before it. */
static void tell_position(struct connection *connection, const char *text, bool with_message)
{
    struct event_id id;
    char before[EVENT_ID_SIZE];

    if (connection_last_event_id(connection) == NULL ||
        event_id_parse(text, strlen(text), &id) != 0 || (with_message && id.sequence == 0)) {
        free(connection->_event_id);
        connection->_event_id = *text != '\0' ? strdup(text) : NULL;
        return;
    }
    id.sequence -= with_message ? 1 : 0;
    (void) event_id_print(id, before);
    connection->_ops->on_ping(connection, (const uint8_t *) before, strlen(before));
}

static bool is_wanted(const struct connection *connection, const char *type)
{
    const struct string_list *wanted = &connection->_options->events;

    for (size_t i = 0; i < wanted->count; i++) {
        if (strcmp(wanted->items[i], type) == 0)
            return true;
    }
    return wanted->count == 0;
}

/* Our server's binary messages are base64. False when that is not valid. */
static bool tell_binary(struct connection *connection, const struct event *event)
{
    uint8_t *bytes = malloc(event->len / 4 * 3 + 1);
    int len = -1;

    if (bytes != NULL && event->len % 4 == 0 && event->len < INT32_MAX)
        len = EVP_DecodeBlock(bytes, event->data, (int) event->len);
    for (size_t i = 1; len > 0 && i <= 2 && event->data[event->len - i] == '='; i++)
        len--;
    if (len >= 0)
        connection->_ops->on_message(connection, FRAME_BINARY, bytes, (size_t) len);
    free(bytes);
    return len >= 0;
}

static void fail(struct connection *connection, const char *why);

static void tell_message(struct connection *connection, const struct event *event)
{
    bool ours = connection_last_event_id(connection) != NULL;

    monitor_frame(connection->_monitor, false, FRAME_TEXT, event->len);
    if (ours && strcmp(event->type, "binary") == 0 && tell_binary(connection, event))
        return;
    if (utf8_valid(event->data, event->len))
        connection->_ops->on_message(connection, FRAME_TEXT, event->data, event->len);
    else
        fail(connection, "an event is not UTF-8");
}

static bool on_event(void *owner, const struct event *event)
{
    struct connection *connection = owner;

    if (event->id != NULL)
        tell_position(connection, event->id, event->has_data);
    if (!connection->_streaming || !event->has_data)
        return connection->_streaming;
    if (!is_wanted(connection, event->type)) {
        connection->_ops->on_skipped(connection);
        return connection->_streaming;
    }
    tell_message(connection, event);
    return connection->_streaming;
}

static void on_retry(void *owner, uint64_t milliseconds)
{
    ((struct connection *) owner)->_retry = milliseconds;
}

static const struct event_parser_ops connection_event_ops = {
    .on_event = on_event,
    .on_retry = on_retry,
};

/* ---- the stream ---- */

static void end_with(struct connection *connection, const struct outcome *outcome)
{
    connection->_streaming = false;
    connection_conclude(connection, outcome);
    connection_abort(connection, UV_EPROTO);
}

static void fail(struct connection *connection, const char *why)
{
    struct outcome outcome = {.exit = CLIENT_PROTOCOL, .lasting = true};

    (void) error_set(&outcome.error, UV_EPROTO, "%s: %s", connection->_url->text, why);
    end_with(connection, &outcome);
}

static bool on_piece(void *owner, const uint8_t *data, size_t len)
{
    struct connection *connection = owner;

    switch (event_parser_feed(&connection->_events, data, len)) {
    case EVENT_PARSER_MORE:
        return true;
    case EVENT_PARSER_STOPPED:
        break;
    case EVENT_PARSER_TOO_LONG:
        fail(connection, "an event is longer than --max-message allows");
        break;
    case EVENT_PARSER_NO_MEMORY:
        fail(connection, "out of memory");
        break;
    }
    return false;
}

void connection_events_begin(struct connection *connection)
{
    event_parser_init(&connection->_events, connection->_options->max_message,
                      &connection_event_ops, connection);
    connection->_retry = 0;
    connection->_streaming = true;
    connection->_opened = uv_now(connection->_transports.loop);
    (void) http_body_begin(&connection->_body, &connection->_head, on_piece, connection);
    monitor_connected(connection->_monitor);
    connection->_ops->on_open(connection);
}

/* The server has ended it in good order: it may be asked again. */
static void conclude(struct connection *connection)
{
    struct outcome outcome = {.exit = CLIENT_OK, .asked = connection->_retry};

    (void) error_set(&outcome.error, 0, "%s: the server ended the event stream",
                     connection->_url->text);
    end_with(connection, &outcome);
}

void connection_events_input(struct connection *connection, const uint8_t *data, size_t len)
{
    enum http_body_result result;

    if (!connection->_streaming || len == 0)
        return;
    monitor_bytes(connection->_monitor, len);
    result = http_body_feed(&connection->_body, &connection->_head, data, len);
    if (!connection->_streaming)
        return;
    if (result == HTTP_BODY_DONE)
        conclude(connection);
    else if (result == HTTP_BODY_BAD)
        fail(connection, "the body of the response is not well-formed");
}

bool connection_events_end(struct connection *connection, int status)
{
    bool framed = http_head_count(&connection->_head, "Transfer-Encoding") +
                      http_head_count(&connection->_head, "Content-Length") >
                  0;

    if (!connection->_streaming || status != UV_EOF || framed ||
        stream_error(&connection->_transport.stream) != NULL)
        return false;
    conclude(connection);
    return true;
}

#include "server/http/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/escape.h"
#include "common/base/log.h"
#include "server/http/exchange.h"
#include "server/http/services.h"
#include "server/metrics/counters.h"

enum {
    MAX_RESPONSES = 64 * 1024, /* bytes of responses that wait while further requests are read */
};

/* ---- life ---- */

/* Ready for a head. */
static void begin_head(struct connection *connection)
{
    connection->complete = false;
    http_head_init(&connection->head, HTTP_HEAD_REQUEST);
    http_head_limit(&connection->head, connection->policy->max_header_bytes,
                    connection->policy->max_header_count);
}

int connection_new(struct connection **connection, const struct connection_policy *policy,
                   bool loopback, struct limits_address *address)
{
    struct connection *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->policy = policy;
    fresh->loopback = loopback;
    fresh->address = address;
    begin_head(fresh);
    *connection = fresh;
    return 0;
}

void connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    exchange_free(connection->exchange); /* before the head, which it borrows */
    http_head_deinit(&connection->head);
    buffer_deinit(&connection->buffered);
    free(connection->proxy);
    free(connection);
}

/* ---- responses ---- */

/* The path that is asked for, decoded and escaped. What else is in a target may be secret. */
static const char *show_path(const struct connection *connection, char *shown, size_t size)
{
    struct request_target target;
    char path[256];
    size_t len = 0;

    if (request_target_parse(&target, http_head_target(&connection->head)) == 0) {
        size_t end = strcspn(target.path, "#");

        if (end > target.path_len)
            end = target.path_len;
        len = request_target_decode((struct request_target_text){target.path, end}, path,
                                    sizeof path);
    }
    return escape_text(shown, size, path, len);
}

void connection_log_refusal(const struct connection *connection, const struct transport *transport,
                            const struct response *response)
{
    int status = response->status;
    enum log_level level = status == 403 || status == 421 || response->by_proxy || response->guessed
                               ? LOG_INFO
                               : LOG_DEBUG;
    char name[64], shown[256];

    if (!log_enabled(level))
        return;
    stream_peer_name(&transport->stream, name, sizeof name);
    log_repeated(level, "refused", name, "%s: refused with %d: '%s': %s", name, status,
                 show_path(connection, shown, sizeof shown), response->why);
}

bool connection_write(struct connection *connection, struct transport *transport,
                      struct response *response, bool keep_alive)
{
    const struct connection_policy *policy = connection->policy;
    struct buffer *out = transport_opening_output(transport);
    bool head_only = strcmp(http_head_method(&connection->head), "HEAD") == 0;
    int status = UV_ENOMEM;

    response_address(response, &connection->head, connection->complete, &policy->services->origins,
                     connection->loopback && policy->names.count == 0, policy->router->endpoint);
    response->credentials = auth_cookie(policy->services->auth) != NULL;
    if (response_is_hidden_preflight(response, &connection->head)) {
        response->status = 204;
        response->why = NULL;
    }
    if (out != NULL)
        status = response_write(out, response, keep_alive, head_only);
    if (status == 0 && policy->services->counters != NULL)
        counters_add_response(policy->services->counters, (unsigned) response->status);
    if (status != 0)
        transport_abort(transport, status);
    return status == 0;
}

/* Ends the connection with a response that no handler has made. */
static void refuse(struct connection *connection, struct transport *transport,
                   struct response *response)
{
    connection_log_refusal(connection, transport, response);
    if (connection_write(connection, transport, response, false))
        transport_finish(transport);
}

void connection_refuse(struct connection *connection, struct transport *transport, int status,
                       const char *why)
{
    struct response response = {.status = status, .why = why};

    if (connection->exchange != NULL)
        request_cancel(&connection->exchange->request);
    refuse(connection, transport, &response);
}

bool connection_accept(struct connection *connection, struct transport *transport,
                       struct event_id start, struct event_id live)
{
    const struct request_join *join = &connection->exchange->request.join;
    struct buffer *out = transport_opening_output(transport);
    int status = UV_ENOMEM;

    if (out != NULL && join->events)
        status = response_write_events(out, http_head_get(&connection->head, "Origin"),
                                       auth_cookie(connection->policy->services->auth) != NULL,
                                       start, live);
    else if (out != NULL)
        status = server_handshake_write(out, &join->handshake, start, live);
    if (status != 0) {
        transport_abort(transport, UV_ENOMEM);
        return false;
    }
    if (connection->policy->services->counters != NULL)
        counters_add_response(connection->policy->services->counters, join->events ? 200 : 101);
    return true;
}

/* ---- one request after the other ---- */

void connection_begin_request(struct connection *connection, struct transport *transport)
{
    if (connection->kept)
        transport_restart_opening(transport);
    connection->begun = true;
    connection->kept = false;
}

/* How many bytes before a further request are empty lines, which belong to none (RFC 9112, 2.2). */
static size_t count_empty_lines(const struct connection *connection, const uint8_t *data,
                                size_t len)
{
    size_t n = 0;

    while (connection->kept && n < len && (data[n] == '\r' || data[n] == '\n'))
        n++;
    return n;
}

void connection_go_on(struct connection *connection, struct transport *transport)
{
    const struct buffer *buffered = &connection->buffered;

    exchange_end(connection->exchange);
    http_head_deinit(&connection->head);
    begin_head(connection);
    connection->begun = false;
    connection->kept = true;
    transport_await_request(transport);
    if (count_empty_lines(connection, buffered->data, buffered->len) < buffered->len)
        connection_begin_request(connection, transport);
}

static bool is_in_body(const struct connection *connection)
{
    return connection->exchange != NULL && connection->exchange->in_body;
}

static enum connection_result feed_head(struct connection *connection, struct transport *transport,
                                        const uint8_t *data, size_t len, size_t *used)
{
    struct response response = {0};

    switch (http_head_feed(&connection->head, data, len, used)) {
    case HTTP_HEAD_MORE:
        break;
    case HTTP_HEAD_DONE:
        connection->complete = true;
        transport_charge(transport, TRANSPORT_WORK_REQUEST);
        return exchange_begin(connection, transport, *used < len);
    case HTTP_HEAD_BAD:
        response_refuse(&response, connection->head.status, connection->head.why);
        refuse(connection, transport, &response);
        return CONNECTION_ENDED;
    }
    return CONNECTION_MORE;
}

/* The rest of the input waits, and so does what is behind it: for the next turn, if the requests of
 * this one have cost their share of its work; else until responses have left, and others have
 * delivered what was published. */
static void hold(struct connection *connection, struct transport *transport, const uint8_t *data,
                 size_t len)
{
    connection_begin_request(connection, transport);
    if (buffer_append(&connection->buffered, data, len) != 0)
        transport_abort(transport, UV_ENOMEM);
    else if (transport_is_spent(transport))
        transport_wait_for_share(transport);
    else
        transport_pause(transport, TRANSPORT_UNTIL_TAKEN);
}

static bool is_paused(const struct connection *connection)
{
    return connection->exchange != NULL && connection->exchange->paused != NULL;
}

static bool is_full(const struct connection *connection, const struct transport *transport)
{
    return connection_is_answering(connection) || connection->buffered.len > 0 ||
           transport_queued(transport) > MAX_RESPONSES || is_paused(connection);
}

static enum connection_result join_channel(struct connection *connection,
                                           struct connection_join *join)
{
    const struct request *request = &connection->exchange->request;

    connection->exchange->joins = false;
    join->events = request->join.events;
    join->ids = !join->events && request->join.handshake.ids;
    join->refuses_gap = request->join.refuses_gap;
    join->deflate = request->join.handshake.deflate;
    join->channel = request->channel;
    join->replay_from = request->join.replay_from;
    join->may_create = request->join.may_create;
    join->identity = &request->identity;
    return CONNECTION_JOIN;
}

enum connection_result connection_input(struct connection *connection, struct transport *transport,
                                        const uint8_t *data, size_t len, size_t *used,
                                        struct connection_join *join)
{
    enum connection_result result = CONNECTION_MORE;

    *used = 0;
    if (connection->exchange != NULL && connection->exchange->joins)
        return join_channel(connection, join);
    while (result == CONNECTION_MORE && *used < len && !is_full(connection, transport) &&
           !transport_is_spent(transport)) {
        size_t taken;

        *used += count_empty_lines(connection, data + *used, len - *used);
        if (*used == len)
            break;
        connection_begin_request(connection, transport);
        result = is_in_body(connection)
                     ? exchange_feed_body(connection->exchange, data + *used, len - *used, &taken)
                     : feed_head(connection, transport, data + *used, len - *used, &taken);
        *used += taken;
    }
    if (result == CONNECTION_JOIN)
        return join_channel(connection, join);
    *used += count_empty_lines(connection, data + *used, len - *used);
    if (result == CONNECTION_MORE && *used < len) {
        hold(connection, transport, data + *used, len - *used);
        *used = len;
    }
    return result;
}

bool connection_take_buffered(struct connection *connection, struct transport *transport,
                              struct buffer *buffered)
{
    struct exchange *exchange = connection->exchange;
    bool joins = exchange != NULL && exchange->joins;

    if (exchange != NULL && exchange->page != NULL && transport_queued(transport) == 0)
        (void) exchange_write_page(exchange);
    if (!joins && (connection->buffered.len == 0 || transport_is_deferred(transport)))
        return false;
    if (!joins && (transport_queued(transport) > 0 || connection_is_answering(connection) ||
                   is_paused(connection))) {
        transport_pause(
            transport,
            TRANSPORT_UNTIL_TAKEN); /* nothing, not even the end, is to be read before it */
        return false;
    }
    *buffered = connection->buffered;
    connection->buffered = (struct buffer){0};
    transport_resume(transport, TRANSPORT_UNTIL_ALL);
    return true;
}

/* ---- the time ---- */

/* The limit that ends the time for what is to come now: the option that sets it. */
static const char *time_limit(const struct connection *connection)
{
    if (connection->policy->ending)
        return "close-timeout";
    return is_in_body(connection) ? "message-timeout" : "handshake-timeout";
}

void connection_expire(struct connection *connection, struct transport *transport)
{
    struct exchange *exchange = connection->exchange;
    char name[64];

    if (exchange != NULL && exchange->page != NULL) {
        transport_abort_for(transport, time_limit(connection));
    } else if (connection_is_answering(connection)) {
        exchange_expire(exchange, time_limit(connection));
    } else if (connection->policy->ending) {
        connection_refuse(connection, transport, 503, RESPONSE_GOING_AWAY);
    } else {
        limits_hit(connection->policy->services->limits, time_limit(connection),
                   stream_peer_name(&transport->stream, name, sizeof name), "refused with 408");
        connection_refuse(connection, transport, 408, "the request took too long to arrive");
    }
}

/* ---- what it is, and holds ---- */

bool connection_is_answering(const struct connection *connection)
{
    return exchange_is_answering(connection->exchange);
}

uint64_t connection_pinned(const struct connection *connection)
{
    return connection != NULL && connection->exchange != NULL && connection->exchange->page != NULL
               ? http_page_pinned(connection->exchange->page)
               : 0;
}

size_t connection_held(const struct connection *connection)
{
    size_t held;

    if (connection == NULL)
        return 0;
    held = sizeof *connection + http_head_held(&connection->head) + connection->buffered._size;
    if (connection->exchange != NULL)
        held += sizeof *connection->exchange + connection->exchange->body.data._size;
    return held;
}

void connection_forget(struct connection *connection)
{
    buffer_deinit(&connection->buffered);
    buffer_init(&connection->buffered);
    exchange_end(connection->exchange);
}

bool connection_is_idle(const struct connection *connection)
{
    return !connection->begun;
}

const char *connection_limit(const struct connection *connection)
{
    return connection->head.limit;
}

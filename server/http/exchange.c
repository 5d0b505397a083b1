#include "server/http/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "server/http/forwarded.h"
#include "server/http/services.h"
#include "server/net/guessing.h"

enum {
    PIECE = 32 * 1024, /* bytes of a page that are made, and held, at a time */
    MEASURING = 3,     /* units of work for a byte of a message whose length as JSON is found */
};

static enum connection_result settle(struct exchange *exchange, enum request_outcome outcome);

static struct exchange *exchange_of(struct request *request)
{
    return container_of(request, struct exchange, request);
}

/* ---- life ---- */

/* NULL when out of memory. */
static struct exchange *need_exchange(struct connection *connection, struct transport *transport)
{
    struct exchange *exchange = connection->exchange;

    if (exchange == NULL) {
        exchange = calloc(1, sizeof *exchange);
        connection->exchange = exchange;
    }
    if (exchange != NULL) {
        exchange->connection = connection;
        exchange->transport = transport;
    }
    return exchange;
}

void exchange_end(struct exchange *exchange)
{
    if (exchange == NULL || !exchange->begun)
        return;
    exchange->begun = false;
    exchange->joins = false;
    exchange->in_body = false;
    request_deinit(&exchange->request);
    body_deinit(&exchange->body);
    exchange->body = (struct body){0};
    http_page_free(exchange->page);
    exchange->page = NULL;
}

void exchange_free(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    exchange_end(exchange);
    throttle_forget(&exchange->paused);
    free(exchange->rate);
    free(exchange);
}

/* ---- the response ---- */

static void tell_limit(const struct exchange *exchange, const struct response *response)
{
    char name[64], done[32];

    if (response->limit == NULL)
        return;
    (void) snprintf(done, sizeof done, "answered with %d", response->status);
    limits_hit(exchange->connection->policy->services->limits, response->limit,
               stream_peer_name(&exchange->transport->stream, name, sizeof name), done);
}

/* The response is written: the next request may come, or none. */
static enum connection_result end_response(struct exchange *exchange, bool keep_alive)
{
    if (keep_alive)
        connection_go_on(exchange->connection, exchange->transport);
    else
        transport_finish(exchange->transport);
    return keep_alive ? CONNECTION_MORE : CONNECTION_ENDED;
}

enum connection_result exchange_write_page(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct transport *transport = exchange->transport;
    struct buffer *out = transport_opening_output(transport);
    size_t before = out != NULL ? out->len : 0;
    bool done;

    if (out == NULL ||
        http_page_write(exchange->page, out, PIECE, connection->head.minor > 0, &done) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return CONNECTION_ENDED;
    }
    transport_charge(transport, (out->len - before) * (uint64_t) TRANSPORT_WORK_COPY +
                                    http_page_take_measured(exchange->page) * (uint64_t) MEASURING);
    if (!done) {
        transport_pause(transport, TRANSPORT_UNTIL_ANSWERED);
        transport_restart_opening(transport); /* it has this time for each piece */
        return CONNECTION_MORE;
    }
    http_page_free(exchange->page);
    exchange->page = NULL;
    transport_resume(transport, TRANSPORT_UNTIL_ANSWERED);
    /* The server may have begun to end since the head was written. */
    return end_response(exchange, exchange->keep_alive && !connection->policy->ending);
}

/* True if the connection can go on behind the response. */
static bool may_go_on(const struct exchange *exchange, const struct response *response)
{
    const struct connection *connection = exchange->connection;
    /* The body of a refused request is not read. */
    bool whole = !connection->head.has_body || exchange->step == ROUTER_ON_BODY;
    /* To HTTP/1.0 there are no chunks: a page lasts until the connection ends. */
    bool lasts = response->page != NULL && connection->head.minor == 0;

    return connection->head.keep_alive && whole && !lasts && !response->closes &&
           !connection->policy->ending && exchange->refusals < EXCHANGE_MAX_REFUSALS;
}

/* A credential was refused: that counts. */
static void count_guess(struct exchange *exchange)
{
    struct limits *limits = exchange->connection->policy->services->limits;
    struct sockaddr_storage client;

    stream_peer_address(&exchange->transport->stream, &client);
    if (!guessing_failed(&limits->guessing, (const struct sockaddr *) &client,
                         uv_hrtime() / 1000000))
        exchange->guesses++;
}

/* True if too many of its client were refused. */
static bool guesses(const struct exchange *exchange)
{
    const struct services *services = exchange->connection->policy->services;
    uint64_t most = services->options->max_auth_failures;
    struct sockaddr_storage client;

    if (services->auth == NULL || most == 0)
        return false;
    if (exchange->guesses >= most)
        return true;
    if (atomic_load(&services->limits->guessing.count) == 0)
        return false;
    stream_peer_address(&exchange->transport->stream, &client);
    return guessing_is_blocked(&services->limits->guessing, (const struct sockaddr *) &client,
                               uv_hrtime() / 1000000, most);
}

/* Writes the response of the request. */
static enum connection_result reply(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct transport *transport = exchange->transport;
    struct response *response = &exchange->request.response;

    transport_charge(transport,
                     (response->body.len + response->work) * (uint64_t) TRANSPORT_WORK_COPY);
    if (response->status >= 400) {
        exchange->refusals++;
        connection_log_refusal(connection, transport, response);
    }
    tell_limit(exchange, response);
    if (response->guessed)
        count_guess(exchange);
    exchange->keep_alive = may_go_on(exchange, response);
    if (!connection_write(connection, transport, response, exchange->keep_alive))
        return CONNECTION_ENDED;
    if (response->page != NULL && !request_has_method(&exchange->request, "HEAD")) {
        exchange->page = response->page;
        response->page = NULL;
        return exchange_write_page(exchange);
    }
    response_deinit(response);
    return end_response(exchange, exchange->keep_alive);
}

/* ---- the body ---- */

static enum connection_result refuse_body(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct response *response = &request->response;

    response->closes = true;
    response_refuse(response, exchange->body.status, exchange->body.why);
    if (exchange->body.status == 413) {
        response->limit = "max-message";
        (void) snprintf(response->text, sizeof response->text,
                        "the body is too long: at most %llu bytes are accepted (--max-message)",
                        (unsigned long long) request->max_body);
        response->why = response->text;
    }
    return reply(exchange);
}

/* The body has come: its handler runs. */
static enum request_outcome run_on_body(struct exchange *exchange)
{
    struct request *request = &exchange->request;

    exchange->in_body = false;
    exchange->step = ROUTER_ON_BODY;
    request->body = exchange->body.data.data;
    request->body_len = exchange->body.data.len;
    request->now = uv_now(exchange->transport->stream.tcp.loop);
    transport_charge(exchange->transport, request->body_len * (uint64_t) TRANSPORT_WORK_COPY);
    return router_run(exchange->connection->policy->router, exchange->route, request,
                      &exchange->step);
}

/* RFC 9110, 10.1.1: the client waits to be told that it may send the body. */
static enum connection_result invite_body(struct exchange *exchange)
{
    struct transport *transport = exchange->transport;
    const struct http_head *head = exchange->request.head;
    struct buffer *out;

    if (exchange->more || head->minor == 0 || http_head_get(head, "Expect") == NULL)
        return CONNECTION_MORE;
    out = transport_opening_output(transport);
    if (out != NULL && buffer_printf(out, "HTTP/1.1 100 Continue\r\n\r\n") == 0)
        return CONNECTION_MORE;
    transport_abort(transport, UV_ENOMEM);
    return CONNECTION_ENDED;
}

/* `*whole` says that all of it has come already. */
static enum connection_result begin_body(struct exchange *exchange, bool *whole)
{
    *whole = false;
    switch (body_begin(&exchange->body, &exchange->connection->head, exchange->request.max_body)) {
    case BODY_DONE:
        *whole = true;
        return CONNECTION_MORE;
    case BODY_BAD:
        return refuse_body(exchange);
    case BODY_MORE:
        break;
    }
    exchange->in_body = true;
    transport_expect_body(exchange->transport);
    return invite_body(exchange);
}

enum connection_result exchange_feed_body(struct exchange *exchange, const uint8_t *data,
                                          size_t len, size_t *used)
{
    switch (body_feed(&exchange->body, &exchange->connection->head, data, len, used)) {
    case BODY_DONE:
        return settle(exchange, run_on_body(exchange));
    case BODY_BAD:
        return refuse_body(exchange);
    case BODY_MORE:
        break;
    }
    return CONNECTION_MORE;
}

/* ---- the steps ---- */

/* While the request is pending nothing is read: what comes next has to wait, and so has the end of
 * the input, as a client that has shut its side still waits for the response. */
static enum connection_result wait(struct exchange *exchange)
{
    transport_pause(exchange->transport, TRANSPORT_UNTIL_ANSWERED);
    transport_restart_opening(exchange->transport);
    return CONNECTION_MORE;
}

static enum connection_result settle(struct exchange *exchange, enum request_outcome outcome)
{
    bool whole;

    if (outcome == REQUEST_BODY) {
        enum connection_result result = begin_body(exchange, &whole);

        if (!whole)
            return result;
        outcome = run_on_body(exchange);
    }
    if (outcome == REQUEST_JOIN) {
        transport_charge(exchange->transport,
                         exchange->request.response.work * (uint64_t) TRANSPORT_WORK_COPY);
        return CONNECTION_JOIN;
    }
    return outcome == REQUEST_PENDING ? wait(exchange) : reply(exchange);
}

/* The request was pending, and is resumed. */
static void on_resumed(struct request *request, enum request_outcome outcome)
{
    struct exchange *exchange = exchange_of(request);
    struct transport *transport = exchange->transport;
    struct connection *connection = exchange->connection;

    if (!transport_is_writable(transport))
        return; /* it is about to be freed */
    if (outcome == REQUEST_PASSED && exchange->step < ROUTER_HANDLE) {
        exchange->step++;
        request->now = uv_now(transport->stream.tcp.loop);
        outcome = router_run(connection->policy->router, exchange->route, request, &exchange->step);
    }
    if (outcome == REQUEST_PENDING) {
        (void) wait(exchange);
        return;
    }
    exchange->joins = outcome == REQUEST_JOIN;
    if (!exchange->joins) {
        transport_resume(transport, TRANSPORT_UNTIL_ANSWERED);
        (void) settle(exchange, outcome);
    }
    if (exchange->joins || exchange->in_body)
        transport_wait_for_share(transport); /* there may be no output whose end leads on */
}

/* It publishes faster than others can deliver: the next request is not read; or it may go on. */
static void on_paused(void *publisher, bool paused)
{
    struct exchange *exchange = publisher;
    struct transport *transport = exchange->transport;
    char name[64];

    if (!paused) {
        transport_resume(transport, TRANSPORT_UNTIL_DELIVERED);
        transport_wait_for_share(transport); /* what is held comes first */
        return;
    }
    transport_pause(transport, TRANSPORT_UNTIL_DELIVERED);
    if (log_enabled(LOG_DEBUG))
        log_debug("%s: paused: subscribers of other workers are behind",
                  stream_peer_name(&transport->stream, name, sizeof name));
}

/* Takes a trusted proxy's word for whom the request is. Returns REQUEST_PASSED, or REQUEST_ANSWERED
 * if that client has too many connections, or there is no memory. */
static enum request_outcome find_client(struct exchange *exchange, bool *secure)
{
    struct connection *connection = exchange->connection;
    const struct connection_policy *policy = connection->policy;
    struct stream *stream = &exchange->transport->stream;
    struct sockaddr_storage peer;
    const struct sockaddr *client = (const struct sockaddr *) &peer;
    struct forwarded forwarded;
    const char *limit;

    *secure = stream_is_tls(stream);
    if (policy->proxies == NULL)
        return REQUEST_PASSED;
    if (connection->proxy != NULL)
        peer = *connection->proxy;
    else
        stream_peer_address(stream, &peer);
    if (forwarded_find(&connection->head, policy->proxies, client, &forwarded) ==
        FORWARDED_CLIENT) {
        client = (const struct sockaddr *) &forwarded.client;
        *secure = forwarded.secure;
    } else if (connection->proxy == NULL) {
        return REQUEST_PASSED;
    } /* else the last request was another client's */
    if (connection->proxy == NULL)
        connection->proxy = malloc(sizeof peer);
    if (connection->proxy == NULL || stream_set_peer_address(stream, client) != 0)
        return request_refuse(&exchange->request, 503, "out of memory: try again later");
    *connection->proxy = peer;
    limit = policy->on_forwarded(exchange->transport, client, &connection->address);
    if (limit == NULL)
        return REQUEST_PASSED;
    exchange->request.response.limit = limit;
    return request_refuse(&exchange->request, 503,
                          "there are too many connections: try again later");
}

/* Finds the route of the request, and takes it through its steps. */
static enum request_outcome begin_route(struct exchange *exchange, bool secure)
{
    const struct connection *connection = exchange->connection;
    const struct connection_policy *policy = connection->policy;
    struct request *request = &exchange->request;
    enum request_outcome outcome =
        request_check(request, connection->loopback && policy->names.count == 0);

    if (outcome != REQUEST_PASSED)
        return outcome;
    exchange->route = router_find(policy->router, request);
    if (exchange->route == NULL || !exchange->route->any_name) {
        outcome = request_check_name(request, &policy->names, secure, connection->loopback);
        if (outcome != REQUEST_PASSED)
            return outcome; /* whatever else is wrong */
    }
    return exchange->route != NULL
               ? router_run(policy->router, exchange->route, request, &exchange->step)
               : REQUEST_ANSWERED;
}

enum connection_result exchange_begin(struct connection *connection, struct transport *transport,
                                      bool more)
{
    const struct connection_policy *policy = connection->policy;
    struct exchange *exchange = need_exchange(connection, transport);
    enum request_outcome outcome;
    struct request *request;
    bool secure;

    if (exchange == NULL) {
        transport_abort(transport, UV_ENOMEM);
        return CONNECTION_ENDED;
    }
    request = &exchange->request;
    request_init(request, &connection->head, on_resumed);
    request->services = policy->services;
    request->client = (struct limits_client){connection->address, &exchange->rate};
    request->throttle = (struct throttle_publisher){&exchange->paused, exchange, on_paused};
    request->now = uv_now(transport->stream.tcp.loop);
    exchange->begun = true;
    exchange->more = more;
    exchange->route = NULL;
    exchange->step = ROUTER_VALIDATE;
    outcome = find_client(exchange, &secure);
    request->client.address = connection->address;
    request->guesses = guesses(exchange);
    if (outcome == REQUEST_PASSED)
        outcome = begin_route(exchange, secure);
    return settle(exchange, outcome);
}

void exchange_expire(struct exchange *exchange, const char *limit)
{
    request_expire(&exchange->request);
    exchange->request.response.limit = limit;
    exchange->joins = false;
    (void) reply(exchange);
}

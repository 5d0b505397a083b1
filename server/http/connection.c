#include "server/http/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/escape.h"
#include "common/base/log.h"
#include "common/http/http_head.h"
#include "server/http/body.h"
#include "server/http/exchange.h"
#include "server/http/http_api.h"
#include "server/http/replay_from.h"

enum {
    MAX_ANSWERS = 64 * 1024, /* bytes of answers that wait while further requests are read */
};

int connection_new(struct connection **connection, const struct connection_policy *policy,
                   bool loopback, struct limits_address *address)
{
    struct connection *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->policy = policy;
    fresh->loopback = loopback;
    fresh->address = address;
    exchange_begin_head(fresh);
    *connection = fresh;
    return 0;
}

void connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    http_head_deinit(&connection->head);
    buffer_deinit(&connection->held);
    if (connection->talk != NULL) {
        body_deinit(&connection->talk->body);
        http_page_free(connection->talk->page);
        question_forget(connection->talk->question);
        throttle_forget(&connection->talk->paused);
        free(connection->talk->rate);
        free(connection->talk);
    }
    free(connection);
}

/* Answers what is not for http_api. False when the transport had to be aborted. */
static bool refuse(struct connection *connection, struct transport *transport, int status,
                   const char *why, bool keep_alive)
{
    struct http_api_answer answer;

    http_api_judge_other(connection->policy->api, &connection->head,
                         exchange_is_local_only(connection), status, why, &answer);
    if (!exchange_write(connection, transport, &answer, keep_alive))
        return false;
    if (!keep_alive)
        transport_finish(transport);
    return true;
}

bool connection_accept(struct connection *connection, struct transport *transport,
                       struct event_id place)
{
    struct buffer *out = transport_opening_output(transport);
    struct server_handshake_verdict verdict;
    int status = UV_ENOMEM;

    if (out != NULL && connection->talk != NULL && connection->talk->events) {
        status = http_api_write_events(out, http_head_get(&connection->head, "Origin"), place);
    } else if (out != NULL) {
        /* Once more: to keep the verdict for every connection would cost more. */
        server_handshake_check(&connection->head, &connection->policy->handshake,
                               exchange_is_local_only(connection), &verdict);
        status = server_handshake_write(out, &verdict, place);
    }
    if (status == 0)
        return true;
    transport_abort(transport, UV_ENOMEM);
    return false;
}

static bool is_in_body(const struct connection *connection)
{
    return connection->talk != NULL && connection->talk->in_body;
}

/* ---- plain HTTP ---- */

static enum connection_result publish(struct connection *connection, struct transport *transport)
{
    struct http_api_request request = exchange_request(connection, transport);
    struct http_api_answer answer = {.status = 200};

    transport_charge(transport, connection->talk->body.data.len * (uint64_t) TRANSPORT_WORK_COPY);
    http_api_publish(connection->policy->api, &request, connection->talk->body.data.data,
                     connection->talk->body.data.len, &answer);
    return exchange_reply(connection, transport, &answer, true);
}

static enum connection_result refuse_body(struct connection *connection,
                                          struct transport *transport)
{
    struct http_api_answer answer = {
        .limit = connection->talk->body.status == 413 ? "max-message" : NULL,
    };

    http_api_refuse(&answer, connection->talk->body.status, connection->talk->body.why);
    if (connection->talk->body.status == 413) {
        struct http_api_request request = exchange_request(connection, transport);

        (void) snprintf(answer.text, sizeof answer.text,
                        "the body is too long: at most %llu bytes are taken (--max-message)",
                        (unsigned long long) http_api_max_body(connection->policy->api, &request));
        answer.why = answer.text;
    }
    return exchange_reply(connection, transport, &answer, false);
}

/* The head of a request with a body has come, and `more` of what is behind it. */
static enum connection_result begin_body(struct connection *connection, struct transport *transport,
                                         const struct http_api_request *request, bool more)
{
    uint64_t most = http_api_max_body(connection->policy->api, request);
    struct buffer *out;

    if (memory_is_over(connection->policy->api->memory)) {
        struct http_api_answer answer = {.limit = "max-memory"};

        http_api_refuse(&answer, 503, "the server is short of memory: try again later");
        return exchange_reply(connection, transport, &answer, false);
    }
    switch (body_begin(&connection->talk->body, &connection->head, most)) {
    case BODY_DONE:
        return publish(connection, transport);
    case BODY_BAD:
        return refuse_body(connection, transport);
    case BODY_MORE:
        break;
    }
    connection->talk->in_body = true;
    transport_expect_body(transport);
    if (more || connection->head.minor == 0 || http_head_get(&connection->head, "Expect") == NULL)
        return CONNECTION_MORE;
    out = transport_opening_output(transport); /* RFC 9110, 10.1.1: it waits to be told */
    if (out != NULL && buffer_printf(out, "HTTP/1.1 100 Continue\r\n\r\n") == 0)
        return CONNECTION_MORE;
    transport_abort(transport, UV_ENOMEM);
    return CONNECTION_REFUSED;
}

static enum connection_result feed_body(struct connection *connection, struct transport *transport,
                                        const uint8_t *data, size_t len, size_t *used)
{
    switch (body_feed(&connection->talk->body, &connection->head, data, len, used)) {
    case BODY_DONE:
        return publish(connection, transport);
    case BODY_BAD:
        return refuse_body(connection, transport);
    case BODY_MORE:
        break;
    }
    return CONNECTION_MORE;
}

/* ---- all of it ---- */

/* True for what http_api knows: the endpoint and its channels, without an upgrade; or the list of
 * them, where the endpoint does not have that path. */
static bool is_for_api(const struct server_handshake_verdict *verdict)
{
    return verdict->plain ||
           (verdict->status == 404 && request_target_is(&verdict->resource, http_api_list));
}

static enum connection_result answer_plain(struct connection *connection,
                                           struct transport *transport,
                                           const struct server_handshake_verdict *verdict,
                                           struct connection_join *request, bool more)
{
    struct http_api_request wanted;
    struct http_api_answer answer;

    if (connection->talk == NULL)
        connection->talk = calloc(1, sizeof *connection->talk);
    if (connection->talk == NULL) {
        transport_abort(transport, UV_ENOMEM);
        return CONNECTION_REFUSED;
    }
    connection->talk->transport = transport;
    connection->talk->resource = verdict->resource;
    connection->talk->channel = verdict->channel;
    connection->talk->list = !verdict->plain;
    wanted = exchange_request(connection, transport);
    switch (http_api_judge(connection->policy->api, &wanted, &request->since, &answer)) {
    case HTTP_API_EVENTS:
        http_api_free(&answer);
        connection->talk->events = request->events = true;
        return CONNECTION_JOIN;
    case HTTP_API_BODY:
        http_api_free(&answer);
        return begin_body(connection, transport, &wanted, more);
    case HTTP_API_ASK:
        return exchange_ask(connection, transport, &wanted, &answer);
    case HTTP_API_ANSWER:
        break;
    }
    /* A body that nobody wants is not read. */
    return exchange_reply(connection, transport, &answer, !connection->head.has_body);
}

/* Judges a request whose head is complete: by the name that it asks for, and by all else. */
static void judge(const struct connection *connection, bool tls,
                  struct server_handshake_verdict *verdict)
{
    const struct connection_policy *policy = connection->policy;
    const char *host = http_head_get(&connection->head, "Host");
    char shown[128];

    server_handshake_check(&connection->head, &policy->handshake,
                           exchange_is_local_only(connection), verdict);
    if (verdict->status == 400 ||
        server_names_include(&policy->names, &connection->head, tls, connection->loopback))
        return;
    (void) snprintf(verdict->text, sizeof verdict->text,
                    "this server is not '%s'; start it with --server-name '%s', too, if it is",
                    escape_text(shown, sizeof shown, host, strlen(host)), shown);
    verdict->status = 421;
    verdict->why = verdict->text;
    verdict->plain = false;
    verdict->by_proxy = false;
}

/* Answers a request whose head is complete; `more` has come behind it. */
static enum connection_result answer(struct connection *connection, struct transport *transport,
                                     struct connection_join *request, bool more)
{
    struct http_head *head = &connection->head;
    struct server_handshake_verdict verdict;
    bool keep_alive;

    transport_charge(transport, TRANSPORT_WORK_REQUEST);
    judge(connection, stream_is_tls(&transport->stream), &verdict);
    request->events = false;
    request->deflate = verdict.deflate;
    request->channel = verdict.channel;
    if (verdict.status == 101 &&
        replay_from_parse(head, &verdict.resource, &request->since, &verdict.why) == 0)
        return CONNECTION_JOIN;
    if (verdict.status == 101)
        verdict.status = 400;
    if (is_for_api(&verdict))
        return answer_plain(connection, transport, &verdict, request, more);
    /* A body is not read here, and a malformed request's end is not to be trusted. */
    keep_alive = head->keep_alive && !head->has_body && verdict.status != 400 &&
                 !connection->policy->ending && ++connection->refusals < EXCHANGE_MAX_REFUSALS;
    exchange_log_refusal(connection, transport, verdict.status, verdict.why, verdict.by_proxy);
    if (!refuse(connection, transport, verdict.status, verdict.why, keep_alive) || !keep_alive)
        return CONNECTION_REFUSED;
    exchange_go_on(connection, transport);
    return CONNECTION_MORE;
}

static enum connection_result feed_head(struct connection *connection, struct transport *transport,
                                        const uint8_t *data, size_t len, size_t *used,
                                        struct connection_join *request)
{
    switch (http_head_feed(&connection->head, data, len, used)) {
    case HTTP_HEAD_MORE:
        break;
    case HTTP_HEAD_DONE:
        return answer(connection, transport, request, *used < len);
    case HTTP_HEAD_BAD:
        exchange_log_refusal(connection, transport, connection->head.status, connection->head.why,
                             false);
        (void) refuse(connection, transport, connection->head.status, connection->head.why, false);
        return CONNECTION_REFUSED;
    }
    return CONNECTION_MORE;
}

/* The rest of the input waits, and so does what is behind it: for the next turn, if the requests of
 * this one have cost their share of its work; else until answers have left, and others have
 * delivered what was published. */
static void hold(struct connection *connection, struct transport *transport, const uint8_t *data,
                 size_t len)
{
    exchange_begin_request(connection, transport);
    if (buffer_append(&connection->held, data, len) != 0)
        transport_abort(transport, UV_ENOMEM);
    else if (transport_is_spent(transport))
        transport_wait_for_share(transport);
    else
        transport_pause(transport);
}

static bool is_full(const struct connection *connection, const struct transport *transport)
{
    return connection_is_answering(connection) || connection->held.len > 0 ||
           transport_queued(transport) > MAX_ANSWERS ||
           (connection->talk != NULL && connection->talk->paused != NULL);
}

enum connection_result connection_input(struct connection *connection, struct transport *transport,
                                        const uint8_t *data, size_t len, size_t *used,
                                        struct connection_join *request)
{
    enum connection_result result = CONNECTION_MORE;

    *used = 0;
    while (result == CONNECTION_MORE && *used < len && !is_full(connection, transport) &&
           !transport_is_spent(transport)) {
        size_t taken;

        *used += exchange_empty_lines(connection, data + *used, len - *used);
        if (*used == len)
            break;
        exchange_begin_request(connection, transport);
        result = is_in_body(connection)
                     ? feed_body(connection, transport, data + *used, len - *used, &taken)
                     : feed_head(connection, transport, data + *used, len - *used, &taken, request);
        *used += taken;
    }
    *used += exchange_empty_lines(connection, data + *used, len - *used);
    if (result == CONNECTION_MORE && *used < len) {
        hold(connection, transport, data + *used, len - *used);
        *used = len;
    }
    return result;
}

bool connection_take_held(struct connection *connection, struct transport *transport,
                          struct buffer *held)
{
    if (connection->talk != NULL && connection->talk->page != NULL &&
        transport_queued(transport) == 0)
        (void) exchange_page(connection, transport);
    if (connection->held.len == 0 || transport_is_deferred(transport))
        return false;
    if (transport_queued(transport) > 0 || connection_is_answering(connection) ||
        (connection->talk != NULL && connection->talk->paused != NULL)) {
        transport_pause(transport); /* nothing, not even the end, is to be read before it */
        return false;
    }
    *held = connection->held;
    connection->held = (struct buffer){0};
    transport_resume(transport);
    return true;
}

bool connection_is_answering(const struct connection *connection)
{
    return connection->talk != NULL &&
           (connection->talk->page != NULL || connection->talk->question != NULL);
}

uint64_t connection_pinned(const struct connection *connection)
{
    return connection != NULL && connection->talk != NULL && connection->talk->page != NULL
               ? http_page_pinned(connection->talk->page)
               : 0;
}

size_t connection_held(const struct connection *connection)
{
    size_t held;

    if (connection == NULL)
        return 0;
    held = sizeof *connection + http_head_held(&connection->head) + connection->held._size;
    if (connection->talk != NULL)
        held += sizeof *connection->talk + connection->talk->body.data._size;
    return held;
}

void connection_forget(struct connection *connection)
{
    buffer_deinit(&connection->held);
    buffer_init(&connection->held);
    if (connection->talk == NULL)
        return;
    body_deinit(&connection->talk->body);
    connection->talk->body = (struct body){0};
    connection->talk->in_body = false;
    http_page_free(connection->talk->page);
    connection->talk->page = NULL;
    question_forget(connection->talk->question);
    connection->talk->question = NULL;
}

bool connection_is_idle(const struct connection *connection)
{
    return !connection->begun;
}

const char *connection_time_limit(const struct connection *connection)
{
    return is_in_body(connection) ? "message-timeout" : "handshake-timeout";
}

void connection_refuse(struct connection *connection, struct transport *transport, int status,
                       const char *why)
{
    exchange_log_refusal(connection, transport, status, why, false);
    (void) refuse(connection, transport, status, why, false);
}

const char *connection_limit(const struct connection *connection)
{
    return connection->head.limit;
}

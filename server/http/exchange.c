#include "server/http/exchange.h"

#include <stdio.h>
#include <string.h>

#include "common/base/escape.h"
#include "common/base/log.h"

enum {
    PIECE = 32 * 1024, /* bytes of a page that are made, and held, at a time */
    MEASURING = 3,     /* units of work for a byte of a message whose length as JSON is found */
};

void exchange_begin_head(struct connection *connection)
{
    http_head_init(&connection->head, HTTP_HEAD_REQUEST);
    http_head_limit(&connection->head, connection->policy->max_header_bytes,
                    connection->policy->max_header_count);
}

/* The path that is asked for, decoded and escaped. What else is in a target may be secret. */
static const char *show_path(const struct connection *connection, char *shown, size_t size)
{
    struct request_target resource;
    char path[256];
    size_t len = 0;

    if (request_target_parse(&resource, http_head_target(&connection->head)) == 0) {
        size_t end = strcspn(resource.path, "#");

        if (end > resource.path_len)
            end = resource.path_len;
        len = request_target_decode((struct request_target_text){resource.path, end}, path,
                                    sizeof path);
    }
    return escape_text(shown, size, path, len);
}

void exchange_log_refusal(const struct connection *connection, const struct transport *transport,
                          int status, const char *why, bool by_proxy)
{
    enum log_level level = status == 403 || status == 421 || by_proxy ? LOG_INFO : LOG_DEBUG;
    char name[64], shown[256];

    if (!log_enabled(level))
        return;
    stream_peer_name(&transport->stream, name, sizeof name);
    log_repeated(level, "refused", name, "%s: refused with %d: '%s': %s", name, status,
                 show_path(connection, shown, sizeof shown), why);
}

void exchange_begin_request(struct connection *connection, struct transport *transport)
{
    if (connection->kept)
        transport_restart_opening(transport);
    connection->begun = true;
    connection->kept = false;
}

size_t exchange_empty_lines(const struct connection *connection, const uint8_t *data, size_t len)
{
    size_t n = 0;

    while (connection->kept && n < len && (data[n] == '\r' || data[n] == '\n'))
        n++;
    return n;
}

void exchange_go_on(struct connection *connection, struct transport *transport)
{
    const struct buffer *held = &connection->held;

    http_head_deinit(&connection->head);
    if (connection->talk != NULL) {
        body_deinit(&connection->talk->body);
        connection->talk->body = (struct body){0};
        connection->talk->in_body = false;
    }
    exchange_begin_head(connection);
    connection->begun = false;
    connection->kept = true;
    transport_await_request(transport);
    if (exchange_empty_lines(connection, held->data, held->len) < held->len)
        exchange_begin_request(connection, transport);
}

/* It publishes faster than others can deliver: the next request is not read; or it may go on. */
static void on_paused(void *publisher, bool paused)
{
    struct talk *talk = publisher;
    char name[64];

    if (!paused) {
        transport_resume(talk->transport);
        transport_wait_for_share(talk->transport); /* first comes what is held */
        return;
    }
    transport_pause(talk->transport);
    if (log_enabled(LOG_DEBUG))
        log_debug("%s: waits for the subscribers of other workers",
                  stream_peer_name(&talk->transport->stream, name, sizeof name));
}

struct http_api_request exchange_request(struct connection *connection,
                                         const struct transport *transport)
{
    return (struct http_api_request){
        .head = &connection->head,
        .resource = &connection->talk->resource,
        .channel = {connection->talk->channel.name, connection->talk->channel.len},
        .list = connection->talk->list,
        .loopback = exchange_is_local_only(connection),
        .client = {connection->address, &connection->talk->rate},
        .throttle = {&connection->talk->paused, connection->talk, on_paused},
        .now = uv_now(transport->stream.tcp.loop),
    };
}

static void tell_limit(const struct connection *connection, const struct transport *transport,
                       const struct http_api_answer *answer)
{
    char name[64], done[32];

    if (answer->limit == NULL)
        return;
    (void) snprintf(done, sizeof done, "answered with %d", answer->status);
    limits_hit(connection->policy->api->limits, answer->limit,
               stream_peer_name(&transport->stream, name, sizeof name), done);
}

/* The answer is written: the next request may come, or none. */
static enum connection_result end_answer(struct connection *connection, struct transport *transport,
                                         bool keep_alive)
{
    if (keep_alive)
        exchange_go_on(connection, transport);
    else
        transport_finish(transport);
    return keep_alive ? CONNECTION_MORE : CONNECTION_REFUSED;
}

enum connection_result exchange_page(struct connection *connection, struct transport *transport)
{
    struct talk *talk = connection->talk;
    struct buffer *out = transport_opening_output(transport);
    size_t before = out != NULL ? out->len : 0;
    bool done;

    if (out == NULL || http_page_write(talk->page, out, PIECE,
                                       http_api_has_chunks(&connection->head), &done) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return CONNECTION_REFUSED;
    }
    transport_charge(transport, (out->len - before) * (uint64_t) TRANSPORT_WORK_COPY +
                                    http_page_take_measured(talk->page) * (uint64_t) MEASURING);
    if (!done) {
        transport_pause(transport);
        transport_restart_opening(transport); /* it has this time for each piece */
        return CONNECTION_MORE;
    }
    http_page_free(talk->page);
    talk->page = NULL;
    if (connection->held.len == 0)
        transport_resume(transport);
    /* The end may have come since the head was written. */
    return end_answer(connection, transport, talk->keep_alive && !connection->policy->ending);
}

bool exchange_write(struct connection *connection, struct transport *transport,
                    struct http_api_answer *answer, bool keep_alive)
{
    struct buffer *out = transport_opening_output(transport);
    bool head_only = strcmp(http_head_method(&connection->head), "HEAD") == 0;
    int status = UV_ENOMEM;

    http_api_address(connection->policy->api, &connection->head, exchange_is_local_only(connection),
                     answer);
    if (out != NULL)
        status = http_api_write(out, answer, keep_alive, head_only);
    if (!head_only && answer->page != NULL) { /* what is behind the head */
        connection->talk->page = answer->page;
        answer->page = NULL;
    }
    http_api_free(answer);
    if (status != 0)
        transport_abort(transport, status);
    return status == 0;
}

enum connection_result exchange_reply(struct connection *connection, struct transport *transport,
                                      struct http_api_answer *answer, bool whole)
{
    bool lasts = answer->page != NULL && !http_api_has_chunks(&connection->head);
    bool refused = answer->status >= 400;
    bool keep_alive = connection->head.keep_alive && whole && !lasts &&
                      !connection->policy->ending &&
                      (!refused || ++connection->refusals < EXCHANGE_MAX_REFUSALS);

    transport_charge(transport, (answer->json.len + answer->work) * (uint64_t) TRANSPORT_WORK_COPY);
    if (refused)
        exchange_log_refusal(connection, transport, answer->status, answer->why, false);
    tell_limit(connection, transport, answer);
    connection->talk->keep_alive = keep_alive;
    if (!exchange_write(connection, transport, answer, keep_alive))
        return CONNECTION_REFUSED;
    if (connection->talk->page != NULL)
        return exchange_page(connection, transport);
    return end_answer(connection, transport, keep_alive);
}

/* All workers have been asked. */
static void on_answered(void *asker, const struct question *question)
{
    struct connection *connection = asker;
    struct talk *talk = connection->talk;
    struct http_api_answer answer = {.status = 200};

    talk->question = NULL;
    if (!transport_is_writable(talk->transport))
        return;
    http_api_tell(question, &answer);
    if (connection->held.len == 0)
        transport_resume(talk->transport);
    (void) exchange_reply(connection, talk->transport, &answer, !connection->head.has_body);
}

enum connection_result exchange_ask(struct connection *connection, struct transport *transport,
                                    const struct http_api_request *request,
                                    struct http_api_answer *answer)
{
    if (!http_api_ask(connection->policy->api, request, connection, on_answered,
                      &connection->talk->question, answer))
        return exchange_reply(connection, transport, answer, !connection->head.has_body);
    http_api_free(answer);
    transport_pause(transport);
    return CONNECTION_MORE;
}

#include "server/http/upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/escape.h"
#include "common/base/log.h"
#include "common/http/http_head.h"
#include "server/http/body.h"
#include "server/http/http_api.h"
#include "server/http/since.h"
#include "server/http/upgrade_answer.h"

enum {
    MAX_ANSWERS = 64 * 1024, /* bytes of answers that wait while further requests are read */
};

int upgrade_new(struct upgrade **upgrade, const struct upgrade_policy *policy, bool loopback,
                struct limits_address *address)
{
    struct upgrade *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->policy = policy;
    fresh->loopback = loopback;
    fresh->address = address;
    upgrade_answer_begin_head(fresh);
    *upgrade = fresh;
    return 0;
}

void upgrade_free(struct upgrade *upgrade)
{
    if (upgrade == NULL)
        return;
    http_head_deinit(&upgrade->head);
    buffer_deinit(&upgrade->held);
    if (upgrade->talk != NULL) {
        http_body_deinit(&upgrade->talk->body);
        http_page_free(upgrade->talk->page);
        question_forget(upgrade->talk->question);
        throttle_forget(&upgrade->talk->paused);
        free(upgrade->talk->rate);
        free(upgrade->talk);
    }
    free(upgrade);
}

/* Answers what is not for http_api. False when the transport had to be aborted. */
static bool refuse(struct upgrade *upgrade, struct transport *transport, int status,
                   const char *why, bool keep_alive)
{
    struct http_api_answer answer;

    http_api_judge_other(upgrade->policy->api, &upgrade->head,
                         upgrade_answer_is_local_only(upgrade), status, why, &answer);
    if (!upgrade_answer_write(upgrade, transport, &answer, keep_alive))
        return false;
    if (!keep_alive)
        transport_finish(transport);
    return true;
}

bool upgrade_accept(struct upgrade *upgrade, struct transport *transport, struct event_id place)
{
    struct buffer *out = transport_opening_output(transport);
    struct server_handshake_verdict verdict;
    int status = UV_ENOMEM;

    if (out != NULL && upgrade->talk != NULL && upgrade->talk->events) {
        status = http_api_write_events(out, http_head_get(&upgrade->head, "Origin"), place);
    } else if (out != NULL) {
        /* Once more: to keep the verdict for every connection would cost more. */
        server_handshake_check(&upgrade->head, &upgrade->policy->handshake,
                               upgrade_answer_is_local_only(upgrade), &verdict);
        status = server_handshake_write(out, &verdict, place);
    }
    if (status == 0)
        return true;
    transport_abort(transport, UV_ENOMEM);
    return false;
}

static bool is_in_body(const struct upgrade *upgrade)
{
    return upgrade->talk != NULL && upgrade->talk->in_body;
}

/* ---- plain HTTP ---- */

static enum upgrade_result publish(struct upgrade *upgrade, struct transport *transport)
{
    struct http_api_request request = upgrade_answer_request(upgrade, transport);
    struct http_api_answer answer = {.status = 200};

    transport_charge(transport, upgrade->talk->body.data.len * (uint64_t) TRANSPORT_WORK_COPY);
    http_api_publish(upgrade->policy->api, &request, upgrade->talk->body.data.data,
                     upgrade->talk->body.data.len, &answer);
    return upgrade_answer_reply(upgrade, transport, &answer, true);
}

static enum upgrade_result refuse_body(struct upgrade *upgrade, struct transport *transport)
{
    struct http_api_answer answer = {
        .limit = upgrade->talk->body.status == 413 ? "max-message" : NULL,
    };

    http_api_refuse(&answer, upgrade->talk->body.status, upgrade->talk->body.why);
    if (upgrade->talk->body.status == 413) {
        struct http_api_request request = upgrade_answer_request(upgrade, transport);

        (void) snprintf(answer.text, sizeof answer.text,
                        "the body is too long: at most %llu bytes are taken (--max-message)",
                        (unsigned long long) http_api_max_body(upgrade->policy->api, &request));
        answer.why = answer.text;
    }
    return upgrade_answer_reply(upgrade, transport, &answer, false);
}

/* The head of a request with a body has come, and `more` of what is behind it. */
static enum upgrade_result begin_body(struct upgrade *upgrade, struct transport *transport,
                                      const struct http_api_request *request, bool more)
{
    uint64_t most = http_api_max_body(upgrade->policy->api, request);
    struct buffer *out;

    if (memory_is_over(upgrade->policy->api->memory)) {
        struct http_api_answer answer = {.limit = "max-memory"};

        http_api_refuse(&answer, 503, "the server is short of memory: try again later");
        return upgrade_answer_reply(upgrade, transport, &answer, false);
    }
    switch (http_body_begin(&upgrade->talk->body, &upgrade->head, most)) {
    case HTTP_BODY_DONE:
        return publish(upgrade, transport);
    case HTTP_BODY_BAD:
        return refuse_body(upgrade, transport);
    case HTTP_BODY_MORE:
        break;
    }
    upgrade->talk->in_body = true;
    transport_expect_body(transport);
    if (more || upgrade->head.minor == 0 || http_head_get(&upgrade->head, "Expect") == NULL)
        return UPGRADE_MORE;
    out = transport_opening_output(transport); /* RFC 9110, 10.1.1: it waits to be told */
    if (out != NULL && buffer_printf(out, "HTTP/1.1 100 Continue\r\n\r\n") == 0)
        return UPGRADE_MORE;
    transport_abort(transport, UV_ENOMEM);
    return UPGRADE_REFUSED;
}

static enum upgrade_result feed_body(struct upgrade *upgrade, struct transport *transport,
                                     const uint8_t *data, size_t len, size_t *used)
{
    switch (http_body_feed(&upgrade->talk->body, &upgrade->head, data, len, used)) {
    case HTTP_BODY_DONE:
        return publish(upgrade, transport);
    case HTTP_BODY_BAD:
        return refuse_body(upgrade, transport);
    case HTTP_BODY_MORE:
        break;
    }
    return UPGRADE_MORE;
}

/* ---- all of it ---- */

/* True for what http_api knows: the endpoint and its channels, without an upgrade; or the list of
 * them, where the endpoint does not have that path. */
static bool is_for_api(const struct server_handshake_verdict *verdict)
{
    return verdict->plain ||
           (verdict->status == 404 && request_target_is(&verdict->resource, http_api_list));
}

static enum upgrade_result answer_plain(struct upgrade *upgrade, struct transport *transport,
                                        const struct server_handshake_verdict *verdict,
                                        struct upgrade_request *request, bool more)
{
    struct http_api_request wanted;
    struct http_api_answer answer;

    if (upgrade->talk == NULL)
        upgrade->talk = calloc(1, sizeof *upgrade->talk);
    if (upgrade->talk == NULL) {
        transport_abort(transport, UV_ENOMEM);
        return UPGRADE_REFUSED;
    }
    upgrade->talk->transport = transport;
    upgrade->talk->resource = verdict->resource;
    upgrade->talk->channel = verdict->channel;
    upgrade->talk->list = !verdict->plain;
    wanted = upgrade_answer_request(upgrade, transport);
    switch (http_api_judge(upgrade->policy->api, &wanted, &request->since, &answer)) {
    case HTTP_API_EVENTS:
        http_api_free(&answer);
        upgrade->talk->events = request->events = true;
        return UPGRADE_JOIN;
    case HTTP_API_BODY:
        http_api_free(&answer);
        return begin_body(upgrade, transport, &wanted, more);
    case HTTP_API_ASK:
        return upgrade_answer_ask(upgrade, transport, &wanted, &answer);
    case HTTP_API_ANSWER:
        break;
    }
    /* A body that nobody wants is not read. */
    return upgrade_answer_reply(upgrade, transport, &answer, !upgrade->head.has_body);
}

/* Judges a request whose head is complete: by the name that it asks for, and by all else. */
static void judge(const struct upgrade *upgrade, bool tls, struct server_handshake_verdict *verdict)
{
    const struct upgrade_policy *policy = upgrade->policy;
    const char *host = http_head_get(&upgrade->head, "Host");
    char shown[128];

    server_handshake_check(&upgrade->head, &policy->handshake,
                           upgrade_answer_is_local_only(upgrade), verdict);
    if (verdict->status == 400 ||
        server_names_include(&policy->names, &upgrade->head, tls, upgrade->loopback))
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
static enum upgrade_result answer(struct upgrade *upgrade, struct transport *transport,
                                  struct upgrade_request *request, bool more)
{
    struct http_head *head = &upgrade->head;
    struct server_handshake_verdict verdict;
    bool keep_alive;

    transport_charge(transport, TRANSPORT_WORK_REQUEST);
    judge(upgrade, stream_is_tls(&transport->stream), &verdict);
    request->events = false;
    request->deflate = verdict.deflate;
    request->channel = verdict.channel;
    if (verdict.status == 101 &&
        since_parse(head, &verdict.resource, &request->since, &verdict.why) == 0)
        return UPGRADE_JOIN;
    if (verdict.status == 101)
        verdict.status = 400;
    if (is_for_api(&verdict))
        return answer_plain(upgrade, transport, &verdict, request, more);
    /* A body is not read here, and a malformed request's end is not to be trusted. */
    keep_alive = head->keep_alive && !head->has_body && verdict.status != 400 &&
                 !upgrade->policy->ending && ++upgrade->refusals < UPGRADE_ANSWER_MAX_REFUSALS;
    upgrade_answer_log_refusal(upgrade, transport, verdict.status, verdict.why, verdict.by_proxy);
    if (!refuse(upgrade, transport, verdict.status, verdict.why, keep_alive) || !keep_alive)
        return UPGRADE_REFUSED;
    upgrade_answer_go_on(upgrade, transport);
    return UPGRADE_MORE;
}

static enum upgrade_result feed_head(struct upgrade *upgrade, struct transport *transport,
                                     const uint8_t *data, size_t len, size_t *used,
                                     struct upgrade_request *request)
{
    switch (http_head_feed(&upgrade->head, data, len, used)) {
    case HTTP_HEAD_MORE:
        break;
    case HTTP_HEAD_DONE:
        return answer(upgrade, transport, request, *used < len);
    case HTTP_HEAD_BAD:
        upgrade_answer_log_refusal(upgrade, transport, upgrade->head.status, upgrade->head.why,
                                   false);
        (void) refuse(upgrade, transport, upgrade->head.status, upgrade->head.why, false);
        return UPGRADE_REFUSED;
    }
    return UPGRADE_MORE;
}

/* The rest of the input waits, and so does what is behind it: for the next turn, if the requests of
 * this one have cost their share of its work; else until answers have left, and others have
 * delivered what was published. */
static void hold(struct upgrade *upgrade, struct transport *transport, const uint8_t *data,
                 size_t len)
{
    upgrade_answer_begin_request(upgrade, transport);
    if (buffer_append(&upgrade->held, data, len) != 0)
        transport_abort(transport, UV_ENOMEM);
    else if (transport_is_spent(transport))
        transport_wait_for_share(transport);
    else
        transport_pause(transport);
}

static bool is_full(const struct upgrade *upgrade, const struct transport *transport)
{
    return upgrade_is_answering(upgrade) || upgrade->held.len > 0 ||
           transport_queued(transport) > MAX_ANSWERS ||
           (upgrade->talk != NULL && upgrade->talk->paused != NULL);
}

enum upgrade_result upgrade_input(struct upgrade *upgrade, struct transport *transport,
                                  const uint8_t *data, size_t len, size_t *used,
                                  struct upgrade_request *request)
{
    enum upgrade_result result = UPGRADE_MORE;

    *used = 0;
    while (result == UPGRADE_MORE && *used < len && !is_full(upgrade, transport) &&
           !transport_is_spent(transport)) {
        size_t taken;

        *used += upgrade_answer_empty_lines(upgrade, data + *used, len - *used);
        if (*used == len)
            break;
        upgrade_answer_begin_request(upgrade, transport);
        result = is_in_body(upgrade)
                     ? feed_body(upgrade, transport, data + *used, len - *used, &taken)
                     : feed_head(upgrade, transport, data + *used, len - *used, &taken, request);
        *used += taken;
    }
    *used += upgrade_answer_empty_lines(upgrade, data + *used, len - *used);
    if (result == UPGRADE_MORE && *used < len) {
        hold(upgrade, transport, data + *used, len - *used);
        *used = len;
    }
    return result;
}

bool upgrade_take_held(struct upgrade *upgrade, struct transport *transport, struct buffer *held)
{
    if (upgrade->talk != NULL && upgrade->talk->page != NULL && transport_queued(transport) == 0)
        (void) upgrade_answer_page(upgrade, transport);
    if (upgrade->held.len == 0 || transport_is_deferred(transport))
        return false;
    if (transport_queued(transport) > 0 || upgrade_is_answering(upgrade) ||
        (upgrade->talk != NULL && upgrade->talk->paused != NULL)) {
        transport_pause(transport); /* nothing, not even the end, is to be read before it */
        return false;
    }
    *held = upgrade->held;
    upgrade->held = (struct buffer){0};
    transport_resume(transport);
    return true;
}

bool upgrade_is_answering(const struct upgrade *upgrade)
{
    return upgrade->talk != NULL &&
           (upgrade->talk->page != NULL || upgrade->talk->question != NULL);
}

uint64_t upgrade_pinned(const struct upgrade *upgrade)
{
    return upgrade != NULL && upgrade->talk != NULL && upgrade->talk->page != NULL
               ? http_page_pinned(upgrade->talk->page)
               : 0;
}

size_t upgrade_held(const struct upgrade *upgrade)
{
    size_t held;

    if (upgrade == NULL)
        return 0;
    held = sizeof *upgrade + http_head_held(&upgrade->head) + upgrade->held._size;
    if (upgrade->talk != NULL)
        held += sizeof *upgrade->talk + upgrade->talk->body.data._size;
    return held;
}

void upgrade_forget(struct upgrade *upgrade)
{
    buffer_deinit(&upgrade->held);
    buffer_init(&upgrade->held);
    if (upgrade->talk == NULL)
        return;
    http_body_deinit(&upgrade->talk->body);
    upgrade->talk->body = (struct http_body){0};
    upgrade->talk->in_body = false;
    http_page_free(upgrade->talk->page);
    upgrade->talk->page = NULL;
    question_forget(upgrade->talk->question);
    upgrade->talk->question = NULL;
}

bool upgrade_is_idle(const struct upgrade *upgrade)
{
    return !upgrade->begun;
}

const char *upgrade_time_limit(const struct upgrade *upgrade)
{
    return is_in_body(upgrade) ? "message-timeout" : "handshake-timeout";
}

void upgrade_refuse(struct upgrade *upgrade, struct transport *transport, int status,
                    const char *why)
{
    upgrade_answer_log_refusal(upgrade, transport, status, why, false);
    (void) refuse(upgrade, transport, status, why, false);
}

const char *upgrade_limit(const struct upgrade *upgrade)
{
    return upgrade->head.limit;
}

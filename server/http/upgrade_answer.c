#include "server/http/upgrade_answer.h"

#include <stdio.h>
#include <string.h>

#include "common/base/escape.h"
#include "common/base/log.h"

enum {
    PIECE = 32 * 1024, /* bytes of a page that are made, and held, at a time */
    MEASURING = 3,     /* units of work for a byte of a message whose length as JSON is found */
};

void upgrade_answer_begin_head(struct upgrade *upgrade)
{
    http_head_init(&upgrade->head, HTTP_HEAD_REQUEST);
    http_head_limit(&upgrade->head, upgrade->policy->max_header_bytes,
                    upgrade->policy->max_header_count);
}

/* The path that is asked for, decoded and escaped. What else is in a target may be secret. */
static const char *show_path(const struct upgrade *upgrade, char *shown, size_t size)
{
    struct request_target resource;
    char path[256];
    size_t len = 0;

    if (request_target_parse(&resource, http_head_target(&upgrade->head)) == 0) {
        size_t end = strcspn(resource.path, "#");

        if (end > resource.path_len)
            end = resource.path_len;
        len = request_target_decode((struct request_target_text){resource.path, end}, path,
                                    sizeof path);
    }
    return escape_text(shown, size, path, len);
}

void upgrade_answer_log_refusal(const struct upgrade *upgrade, const struct transport *transport,
                                int status, const char *why, bool by_proxy)
{
    enum log_level level = status == 403 || status == 421 || by_proxy ? LOG_INFO : LOG_DEBUG;
    char name[64], shown[256];

    if (!log_enabled(level))
        return;
    stream_peer_name(&transport->stream, name, sizeof name);
    log_repeated(level, "refused", name, "%s: refused with %d: '%s': %s", name, status,
                 show_path(upgrade, shown, sizeof shown), why);
}

void upgrade_answer_begin_request(struct upgrade *upgrade, struct transport *transport)
{
    if (upgrade->kept)
        transport_restart_opening(transport);
    upgrade->begun = true;
    upgrade->kept = false;
}

size_t upgrade_answer_empty_lines(const struct upgrade *upgrade, const uint8_t *data, size_t len)
{
    size_t n = 0;

    while (upgrade->kept && n < len && (data[n] == '\r' || data[n] == '\n'))
        n++;
    return n;
}

void upgrade_answer_go_on(struct upgrade *upgrade, struct transport *transport)
{
    const struct buffer *held = &upgrade->held;

    http_head_deinit(&upgrade->head);
    if (upgrade->talk != NULL) {
        http_body_deinit(&upgrade->talk->body);
        upgrade->talk->body = (struct http_body){0};
        upgrade->talk->in_body = false;
    }
    upgrade_answer_begin_head(upgrade);
    upgrade->begun = false;
    upgrade->kept = true;
    transport_await_request(transport);
    if (upgrade_answer_empty_lines(upgrade, held->data, held->len) < held->len)
        upgrade_answer_begin_request(upgrade, transport);
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

struct http_api_request upgrade_answer_request(struct upgrade *upgrade,
                                               const struct transport *transport)
{
    return (struct http_api_request){
        .head = &upgrade->head,
        .resource = &upgrade->talk->resource,
        .channel = {upgrade->talk->channel.name, upgrade->talk->channel.len},
        .list = upgrade->talk->list,
        .loopback = upgrade_answer_is_local_only(upgrade),
        .client = {upgrade->address, &upgrade->talk->rate},
        .throttle = {&upgrade->talk->paused, upgrade->talk, on_paused},
        .now = uv_now(transport->stream.tcp.loop),
    };
}

static void tell_limit(const struct upgrade *upgrade, const struct transport *transport,
                       const struct http_api_answer *answer)
{
    char name[64], done[32];

    if (answer->limit == NULL)
        return;
    (void) snprintf(done, sizeof done, "answered with %d", answer->status);
    limits_hit(upgrade->policy->api->limits, answer->limit,
               stream_peer_name(&transport->stream, name, sizeof name), done);
}

/* The answer is written: the next request may come, or none. */
static enum upgrade_result end_answer(struct upgrade *upgrade, struct transport *transport,
                                      bool keep_alive)
{
    if (keep_alive)
        upgrade_answer_go_on(upgrade, transport);
    else
        transport_finish(transport);
    return keep_alive ? UPGRADE_MORE : UPGRADE_REFUSED;
}

enum upgrade_result upgrade_answer_page(struct upgrade *upgrade, struct transport *transport)
{
    struct talk *talk = upgrade->talk;
    struct buffer *out = transport_opening_output(transport);
    size_t before = out != NULL ? out->len : 0;
    bool done;

    if (out == NULL ||
        http_page_write(talk->page, out, PIECE, http_api_has_chunks(&upgrade->head), &done) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return UPGRADE_REFUSED;
    }
    transport_charge(transport, (out->len - before) * (uint64_t) TRANSPORT_WORK_COPY +
                                    http_page_take_measured(talk->page) * (uint64_t) MEASURING);
    if (!done) {
        transport_pause(transport);
        transport_restart_opening(transport); /* it has this time for each piece */
        return UPGRADE_MORE;
    }
    http_page_free(talk->page);
    talk->page = NULL;
    if (upgrade->held.len == 0)
        transport_resume(transport);
    /* The end may have come since the head was written. */
    return end_answer(upgrade, transport, talk->keep_alive && !upgrade->policy->ending);
}

bool upgrade_answer_write(struct upgrade *upgrade, struct transport *transport,
                          struct http_api_answer *answer, bool keep_alive)
{
    struct buffer *out = transport_opening_output(transport);
    bool head_only = strcmp(http_head_method(&upgrade->head), "HEAD") == 0;
    int status = UV_ENOMEM;

    http_api_address(upgrade->policy->api, &upgrade->head, upgrade_answer_is_local_only(upgrade),
                     answer);
    if (out != NULL)
        status = http_api_write(out, answer, keep_alive, head_only);
    if (!head_only && answer->page != NULL) { /* what is behind the head */
        upgrade->talk->page = answer->page;
        answer->page = NULL;
    }
    http_api_free(answer);
    if (status != 0)
        transport_abort(transport, status);
    return status == 0;
}

enum upgrade_result upgrade_answer_reply(struct upgrade *upgrade, struct transport *transport,
                                         struct http_api_answer *answer, bool whole)
{
    bool lasts = answer->page != NULL && !http_api_has_chunks(&upgrade->head);
    bool refused = answer->status >= 400;
    bool keep_alive = upgrade->head.keep_alive && whole && !lasts && !upgrade->policy->ending &&
                      (!refused || ++upgrade->refusals < UPGRADE_ANSWER_MAX_REFUSALS);

    transport_charge(transport, (answer->json.len + answer->work) * (uint64_t) TRANSPORT_WORK_COPY);
    if (refused)
        upgrade_answer_log_refusal(upgrade, transport, answer->status, answer->why, false);
    tell_limit(upgrade, transport, answer);
    upgrade->talk->keep_alive = keep_alive;
    if (!upgrade_answer_write(upgrade, transport, answer, keep_alive))
        return UPGRADE_REFUSED;
    if (upgrade->talk->page != NULL)
        return upgrade_answer_page(upgrade, transport);
    return end_answer(upgrade, transport, keep_alive);
}

/* All workers have been asked. */
static void on_answered(void *asker, const struct question *question)
{
    struct upgrade *upgrade = asker;
    struct talk *talk = upgrade->talk;
    struct http_api_answer answer = {.status = 200};

    talk->question = NULL;
    if (!transport_is_writable(talk->transport))
        return;
    http_api_tell(question, &answer);
    if (upgrade->held.len == 0)
        transport_resume(talk->transport);
    (void) upgrade_answer_reply(upgrade, talk->transport, &answer, !upgrade->head.has_body);
}

enum upgrade_result upgrade_answer_ask(struct upgrade *upgrade, struct transport *transport,
                                       const struct http_api_request *request,
                                       struct http_api_answer *answer)
{
    if (!http_api_ask(upgrade->policy->api, request, upgrade, on_answered, &upgrade->talk->question,
                      answer))
        return upgrade_answer_reply(upgrade, transport, answer, !upgrade->head.has_body);
    http_api_free(answer);
    transport_pause(transport);
    return UPGRADE_MORE;
}

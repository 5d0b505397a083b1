#include "server/http_api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/http_answer.h"
#include "server/event_stream.h"
#include "server/http_publish.h"
#include "server/http_show.h"
#include "server/since.h"

const char http_api_list[] = "/channels";
const char http_api_not_listed[] =
    "there is no channel of this name, and clients make none here (--create-channels listed)";

void http_api_refuse(struct http_api_answer *answer, int status, const char *why)
{
    answer->status = status;
    answer->why = why;
}

void http_api_free(struct http_api_answer *answer)
{
    buffer_deinit(&answer->json);
    http_page_free(answer->page);
    answer->page = NULL;
}

/* ---- what is asked for ---- */

static bool has_method(const struct http_api_request *request, const char *method)
{
    return strcmp(http_head_method(request->head), method) == 0;
}

/* True when a media type stands in Accept, whatever its parameters. Wildcards are not meant: who
 * takes anything has not asked for this. */
static bool accepts(const struct http_api_request *request, const char *type)
{
    size_t len = strlen(type), cursor = 0;
    const char *list;

    while ((list = http_head_next(request->head, "Accept", &cursor)) != NULL) {
        while (*list != '\0') {
            list += strspn(list, ", \t");
            if (strncasecmp(list, type, len) == 0 && strchr("; \t,", list[len]) != NULL)
                return true; /* strchr finds the NUL, too */
            list += strcspn(list, ",");
        }
    }
    return false;
}

enum kind { NOTHING, UNKNOWN_METHOD, OPTIONS, PUBLISH, LIST, INFO, EVENTS, MESSAGES };

static enum kind kind_of(const struct http_api_request *request)
{
    struct resource_text info;

    if (has_method(request, "OPTIONS"))
        return OPTIONS;
    if (has_method(request, "POST"))
        return request->list ? UNKNOWN_METHOD : PUBLISH;
    if (!has_method(request, "GET") && !has_method(request, "HEAD"))
        return UNKNOWN_METHOD;
    if (request->list)
        return LIST;
    if (resource_parameter(request->resource, "info", &info) != 0 || info.data != NULL)
        return INFO;
    if (accepts(request, HTTP_ANSWER_EVENTS))
        return EVENTS;
    return accepts(request, HTTP_ANSWER_JSON) ? MESSAGES : NOTHING;
}

/* The same rule as for WebSockets; and one more, for pages that send no Origin. */
static bool is_from_elsewhere(const struct http_api *api, const struct http_api_request *request,
                              struct http_api_answer *answer)
{
    struct handshake_verdict verdict = {.status = 200};

    handshake_judge_origin(request->head, &api->origins, request->loopback, &verdict);
    if (verdict.status != 200) {
        (void) snprintf(answer->text, sizeof answer->text, "%s", verdict.why);
        http_api_refuse(answer, 403, answer->text);
        return true;
    }
    if (!origin_host_is_own(&api->origins, request->head, request->loopback)) {
        http_api_refuse(answer, 403,
                        "this server knows itself as localhost only; start it with --server-name "
                        "NAME for each other name by which it is asked");
        return true;
    }
    answer->origin = http_head_get(request->head, "Origin");
    return false;
}

static enum http_api_step judge_events(const struct http_api_request *request,
                                       struct channel_since *since, struct http_api_answer *answer)
{
    const char *why;

    if (has_method(request, "HEAD"))
        http_api_refuse(answer, 405, "an event stream has no end: ask for it with GET");
    else if (since_parse(request->head, request->resource, since, &why) != 0)
        http_api_refuse(answer, 400, why);
    else
        return HTTP_API_EVENTS;
    return HTTP_API_ANSWER;
}

enum http_api_step http_api_judge(const struct http_api *api,
                                  const struct http_api_request *request,
                                  struct channel_since *since, struct http_api_answer *answer)
{
    enum kind kind = kind_of(request);

    *answer = (struct http_api_answer){.status = 200};
    if (kind == UNKNOWN_METHOD) {
        http_api_refuse(answer, 405,
                        request->list ? "only GET, HEAD and OPTIONS are allowed here"
                                      : "only GET, HEAD, POST and OPTIONS are allowed here");
    } else if (kind == NOTHING) {
        http_api_refuse(answer, 426,
                        "this is a WebSocket endpoint: connect to it with a WebSocket client");
    } else if (is_from_elsewhere(api, request, answer)) {
        return HTTP_API_ANSWER;
    } else if (kind == OPTIONS) {
        answer->status = 204;
    } else if (kind == PUBLISH) {
        return http_publish_may(api, request, answer) ? HTTP_API_BODY : HTTP_API_ANSWER;
    } else if (kind == EVENTS) {
        return judge_events(request, since, answer);
    } else if (kind == LIST) {
        http_show_channels(api, request, answer);
    } else if (kind == INFO) {
        return HTTP_API_ASK;
    } else {
        http_show_messages(api, request, answer);
    }
    return HTTP_API_ANSWER;
}

uint64_t http_api_max_body(const struct http_api *api, const struct http_api_request *request)
{
    return http_publish_max_body(api, request);
}

void http_api_publish(const struct http_api *api, const struct http_api_request *request,
                      const uint8_t *body, size_t len, struct http_api_answer *answer)
{
    http_publish(api, request, body, len, answer);
}

bool http_api_ask(const struct http_api *api, const struct http_api_request *request, void *asker,
                  void (*answered)(void *asker, const struct question *question),
                  struct question **question, struct http_api_answer *answer)
{
    return http_show_ask(api, request, asker, answered, question, answer);
}

void http_api_tell(const struct question *question, struct http_api_answer *answer)
{
    http_show_info(question, answer);
}

/* ---- the answer ---- */

static const char *fields_of(int status)
{
    switch (status) {
    case 204: /* the answer to OPTIONS, with what a page of another origin may send */
        return "Allow: " HANDSHAKE_ALLOW "\r\n"
               "Access-Control-Allow-Methods: GET, HEAD, POST\r\n"
               "Access-Control-Allow-Headers: Content-Type, Last-Event-ID\r\n";
    case 200: /* what it says is true now */
        return "Cache-Control: no-store\r\n";
    case 405:
        return "Allow: " HANDSHAKE_ALLOW "\r\n";
    case 426:
        return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    case 429:
        return "Retry-After: 1\r\n";
    default:
        return NULL;
    }
}

static const char *connection_of(int status, bool keep_alive)
{
    if (status == 426)
        return keep_alive ? "Upgrade" : "Upgrade, close";
    return keep_alive ? "keep-alive" : "close";
}

bool http_api_has_chunks(const struct http_head *request)
{
    return request->minor > 0;
}

int http_api_write(struct buffer *out, const struct http_api_answer *answer,
                   const struct http_head *request, bool keep_alive)
{
    struct buffer text = {0};
    struct http_answer http = {
        .status = answer->status,
        .connection = connection_of(answer->status, keep_alive),
        .fields = fields_of(answer->status),
        .origin = answer->origin,
        .head_only = strcmp(http_head_method(request), "HEAD") == 0,
    };
    int status = 0;

    if (answer->why != NULL) {
        status = buffer_printf(&text, "%s\n", answer->why);
        http.type = HTTP_ANSWER_TEXT;
        http.body = text.data;
        http.len = text.len;
    } else if (answer->status != 204) {
        http.type = HTTP_ANSWER_JSON;
        http.body = answer->json.data;
        http.len = answer->json.len;
        http.chunked = answer->page != NULL && http_api_has_chunks(request);
    }
    if (status == 0)
        status = http_answer_write(out, &http);
    buffer_deinit(&text);
    return status;
}

int http_api_write_events(struct buffer *out, const struct http_head *request,
                          struct event_id place)
{
    char id[EVENT_ID_SIZE], fields[256];
    struct http_answer answer = {
        .status = 200,
        .connection = "close",
        .fields = fields,
        .origin = http_head_get(request, "Origin"),
        .type = HTTP_ANSWER_EVENTS,
    };
    int status;

    /* X-Accel-Buffering: nginx, in front of us, passes on at once what we write. */
    (void) snprintf(fields, sizeof fields,
                    "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nLast-Event-ID: %s\r\n",
                    event_id_print(place, id));
    status = http_answer_write(out, &answer);
    return status == 0 ? buffer_printf(out, "id: %s\n\n", id) : status;
}

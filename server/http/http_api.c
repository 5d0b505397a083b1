#include "server/http/http_api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/http/http_response.h"
#include "server/broadcast/event_stream.h"
#include "server/http/http_html.h"
#include "server/http/http_publish.h"
#include "server/http/query.h"
#include "server/http/replay_from.h"

/* The methods of http_api_list. */
#define LIST_ALLOW "GET, HEAD, OPTIONS"

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
static bool accepts(const struct http_head *head, const char *type)
{
    size_t len = strlen(type), cursor = 0;
    const char *list;

    while ((list = http_head_next(head, "Accept", &cursor)) != NULL) {
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
    struct request_target_text info;

    if (has_method(request, "OPTIONS"))
        return OPTIONS;
    if (has_method(request, "POST"))
        return request->list ? UNKNOWN_METHOD : PUBLISH;
    if (!has_method(request, "GET") && !has_method(request, "HEAD"))
        return UNKNOWN_METHOD;
    if (request->list)
        return LIST;
    if (request_target_parameter(request->resource, "info", &info) != 0 || info.data != NULL)
        return INFO;
    if (accepts(request->head, HTTP_RESPONSE_EVENTS))
        return EVENTS;
    return accepts(request->head, HTTP_RESPONSE_JSON) ? MESSAGES : NOTHING;
}

/* The same rule as for WebSockets; and one more, for pages that send no Origin. */
static bool is_from_elsewhere(const struct http_api *api, const struct http_api_request *request,
                              struct http_api_answer *answer)
{
    struct server_handshake_verdict verdict = {.status = 200};

    server_handshake_check_origin(request->head, &api->origins, request->loopback, &verdict);
    if (verdict.status != 200) {
        (void) snprintf(answer->text, sizeof answer->text, "%s", verdict.why);
        http_api_refuse(answer, 403, answer->text);
        return true;
    }
    /* A page that is let in by its origin may ask by any name, such as that of a proxy. */
    if (http_head_get(request->head, "Origin") == NULL &&
        !origin_host_is_own(request->head, request->loopback)) {
        http_api_refuse(answer, 403,
                        "this server knows itself as localhost only, and Host is another; start it "
                        "with --server-name NAME for each other name by which it is asked");
        return true;
    }
    return false;
}

static enum http_api_step judge_events(const struct http_api_request *request,
                                       struct channel_since *since, struct http_api_answer *answer)
{
    const char *why;

    if (has_method(request, "HEAD"))
        http_api_refuse(answer, 405, "an event stream has no end: ask for it with GET");
    else if (replay_from_parse_any(request->head, request->resource, since, &why) != 0)
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

    *answer = (struct http_api_answer){
        .status = 200,
        .allow = request->list ? LIST_ALLOW : SERVER_HANDSHAKE_ALLOW,
    };
    if (kind == UNKNOWN_METHOD) {
        http_api_refuse(answer, 405,
                        request->list ? "only " LIST_ALLOW " are allowed here"
                                      : "only " SERVER_HANDSHAKE_ALLOW " are allowed here");
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
        query_channels(api, request, answer);
    } else if (kind == INFO) {
        return HTTP_API_ASK;
    } else {
        query_messages(api, request, answer);
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
    return query_ask(api, request, asker, answered, question, answer);
}

void http_api_tell(const struct question *question, struct http_api_answer *answer)
{
    query_info(question, answer);
}

/* ---- the answer ---- */

static bool is_preflight(const struct http_head *head)
{
    return strcmp(http_head_method(head), "OPTIONS") == 0 &&
           http_head_get(head, "Access-Control-Request-Method") != NULL;
}

static const char *reader_of(const struct http_api *api, const struct http_head *head,
                             bool loopback)
{
    return origin_check(&api->origins, head, loopback) == ORIGIN_ADMITTED
               ? http_head_get(head, "Origin")
               : NULL;
}

void http_api_judge_other(const struct http_api *api, const struct http_head *head, bool loopback,
                          int status, const char *why, struct http_api_answer *answer)
{
    *answer =
        (struct http_api_answer){.status = status, .why = why, .allow = SERVER_HANDSHAKE_ALLOW};
    if (is_preflight(head) && (status == 404 || status == 405) &&
        reader_of(api, head, loopback) != NULL)
        *answer = (struct http_api_answer){.status = 204, .allow = SERVER_HANDSHAKE_ALLOW};
}

void http_api_address(const struct http_api *api, const struct http_head *head, bool loopback,
                      struct http_api_answer *answer)
{
    answer->origin = reader_of(api, head, loopback);
    if ((answer->status == 404 || answer->status == 426) && accepts(head, "text/html"))
        answer->html = api->options->path;
    answer->chunked = answer->page != NULL && http_api_has_chunks(head);
}

/* Appends the fields that the status asks for. */
static int append_fields(struct buffer *out, const struct http_api_answer *answer)
{
    switch (answer->status) {
    case 204: /* the answer to OPTIONS, with what a page of another origin may send */
        return buffer_printf(out,
                             "Allow: %s\r\n"
                             "Access-Control-Allow-Methods: %s\r\n"
                             "Access-Control-Allow-Headers: Authorization, Cache-Control, "
                             "Content-Type, Idempotency-Key, Last-Event-ID\r\n",
                             answer->allow, answer->allow);
    case 200: /* what it says is true now */
        return buffer_printf(out, "Cache-Control: no-store\r\n");
    case 405:
        return buffer_printf(out, "Allow: %s\r\n", answer->allow);
    case 426:
        return buffer_printf(out, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    case 429:
        return buffer_printf(out, "Retry-After: 1\r\n");
    default:
        return 0;
    }
}

static const char *connection_of(int status, bool keep_alive)
{
    if (status == 426)
        return keep_alive ? "Upgrade" : "Upgrade, close";
    return keep_alive ? "keep-alive" : "close";
}

/* The same, and those of a page; NUL-terminated. */
static int append_all_fields(struct buffer *out, const struct http_api_answer *answer)
{
    int status = append_fields(out, answer);

    if (status == 0 && answer->why != NULL && answer->html != NULL)
        status = buffer_printf(out, "%s", http_html_fields);
    return status == 0 ? buffer_append(out, "", 1) : status;
}

/* Appends the body of a refusal. */
static int append_refusal(struct buffer *out, const struct http_api_answer *answer)
{
    if (answer->html != NULL)
        return http_html_write(out, answer->status, answer->why, answer->html);
    return buffer_printf(out, "%s\n", answer->why);
}

static void set_content(struct http_response *http, const char *type, const struct buffer *body)
{
    http->type = type;
    http->body = body->data;
    http->len = body->len;
}

bool http_api_has_chunks(const struct http_head *request)
{
    return request->minor > 0;
}

int http_api_write(struct buffer *out, const struct http_api_answer *answer, bool keep_alive,
                   bool head_only)
{
    struct buffer text = {0}, fields = {0};
    struct http_response http = {
        .status = answer->status,
        .connection = connection_of(answer->status, keep_alive),
        .origin = answer->origin,
        .chunked = answer->chunked,
        .head_only = head_only,
    };
    int status = append_all_fields(&fields, answer);

    if (status == 0 && answer->why != NULL)
        status = append_refusal(&text, answer);
    if (status == 0) {
        http.fields = (const char *) fields.data;
        if (answer->why != NULL)
            set_content(&http, answer->html != NULL ? HTTP_RESPONSE_HTML : HTTP_RESPONSE_TEXT,
                        &text);
        else if (answer->status != 204)
            set_content(&http, HTTP_RESPONSE_JSON, &answer->json);
        status = http_response_write(out, &http);
    }
    buffer_deinit(&text);
    buffer_deinit(&fields);
    return status;
}

int http_api_write_events(struct buffer *out, const char *origin, struct event_id place)
{
    char id[EVENT_ID_SIZE], fields[256];
    struct http_response answer = {
        .status = 200,
        .connection = "close",
        .fields = fields,
        .origin = origin,
        .type = HTTP_RESPONSE_EVENTS,
    };
    int status;

    /* X-Accel-Buffering: nginx, in front of us, passes on at once what we write. */
    (void) snprintf(fields, sizeof fields,
                    "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nLast-Event-ID: %s\r\n",
                    event_id_print(place, id));
    status = http_response_write(out, &answer);
    return status == 0 ? buffer_printf(out, "id: %s\n\n", id) : status;
}

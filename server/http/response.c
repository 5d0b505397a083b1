#include "server/http/response.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "common/http/http_response.h"
#include "server/http/http_html.h"

enum {
    RETRY_MIN = 1000,
    RETRY_MAX = 5000
}; /* milliseconds before an event stream is asked for again */

void response_refuse(struct response *response, int status, const char *why)
{
    response->status = status;
    response->why = why;
}

void response_deinit(struct response *response)
{
    buffer_deinit(&response->body);
    response->body = (struct buffer){0};
    http_page_free(response->page);
    response->page = NULL;
}

/* ---- CORS ---- */

void response_address(struct response *response, const struct http_head *head, bool complete,
                      const struct origin_policy *origins, bool loopback, const char *path)
{
    const char *origin = http_head_get(head, "Origin");

    response->origin = NULL;
    if (origin_check(origins, head, loopback) == ORIGIN_ADMITTED)
        response->origin = origin;
    else if (origin == NULL && !complete)
        response->origin = origin_of_any(origins);
    response->html = NULL;
    if ((response->status == 404 || response->status == 426) &&
        http_head_accepts(head, "text/html"))
        response->html = path;
    response->chunked = response->page != NULL && head->minor > 0;
}

bool response_is_hidden_preflight(const struct response *response, const struct http_head *head)
{
    return (response->status == 404 || response->status == 405) && response->origin != NULL &&
           strcmp(http_head_method(head), "OPTIONS") == 0 &&
           http_head_get(head, "Access-Control-Request-Method") != NULL;
}

/* ---- writing ---- */

/* Appends the fields that the status asks for. */
static int append_fields(struct buffer *out, const struct response *response)
{
    switch (response->status) {
    case 204: /* the answer to OPTIONS, with what a page of another origin may send */
        return buffer_printf(out,
                             "Allow: %s\r\n"
                             "Access-Control-Allow-Methods: %s\r\n"
                             "Access-Control-Allow-Headers: Authorization, Cache-Control, "
                             "Content-Type, Idempotency-Key, Last-Event-ID\r\n",
                             response->allow, response->allow);
    case 200: /* it is true now */
    case 304:
        if (response->revalidates)
            return buffer_printf(out, "Cache-Control: no-cache\r\n");
        return buffer_printf(out, "Cache-Control: no-store\r\n");
    case 401: /* RFC 9110, 15.5.2 */
        return buffer_printf(out, "WWW-Authenticate: %s\r\n",
                             response->challenge != NULL ? response->challenge : "Bearer");
    case 403: /* RFC 6750, 3.1 */
        return response->challenge != NULL
                   ? buffer_printf(out, "WWW-Authenticate: %s\r\n", response->challenge)
                   : 0;
    case 405:
        return buffer_printf(out, "Allow: %s\r\n", response->allow);
    case 426:
        return buffer_printf(out, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    case 503:
        if (response->retry_after == 0)
            return 0;
        /* fall through */
    case 429:
        return buffer_printf(out, "Retry-After: %d\r\n",
                             response->retry_after > 0 ? response->retry_after : 1);
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

/* The same, and those of its content; NUL-terminated. */
static int append_all_fields(struct buffer *out, const struct response *response)
{
    int status = append_fields(out, response);

    if (status == 0 && response->why != NULL && response->html != NULL)
        status = buffer_printf(out, "%s", http_html_fields);
    if (status == 0 && response->why == NULL && response->fields != NULL)
        status = buffer_printf(out, "%s", response->fields);
    if (status == 0 && response->endpoint != NULL)
        status = buffer_printf(out, "Wsbroadcast-Endpoint: %s\r\n", response->endpoint);
    return status == 0 ? buffer_append(out, "", 1) : status;
}

/* Appends the body of a refusal. */
static int append_refusal(struct buffer *out, const struct response *response)
{
    if (response->html != NULL)
        return http_html_write(out, response->status, response->why, response->html);
    return buffer_printf(out, "%s\n", response->why);
}

static void set_content(struct http_response *http, const char *type, const struct buffer *body)
{
    http->type = type;
    http->body = body->data;
    http->len = body->len;
}

int response_write(struct buffer *out, const struct response *response, bool keep_alive,
                   bool head_only)
{
    struct buffer text = {0}, fields = {0};
    struct http_response http = {
        .status = response->status,
        .connection = connection_of(response->status, keep_alive),
        .origin = response->origin,
        .credentials = response->credentials,
        .chunked = response->chunked,
        .head_only = head_only,
    };
    int status = append_all_fields(&fields, response);

    if (status == 0 && response->why != NULL)
        status = append_refusal(&text, response);
    if (status == 0) {
        http.fields = (const char *) fields.data;
        if (response->why != NULL)
            set_content(&http, response->html != NULL ? HTTP_RESPONSE_HTML : HTTP_RESPONSE_TEXT,
                        &text);
        else if (response->type != NULL)
            set_content(&http, response->type, &response->body);
        status = http_response_write(out, &http);
    }
    buffer_deinit(&text);
    buffer_deinit(&fields);
    return status;
}

/* Milliseconds from RETRY_MIN to RETRY_MAX, at random: so that the streams that one server lost do
 * not all come back at the same moment. In the middle where there is no randomness. */
static unsigned draw_retry(void)
{
    uint32_t random;

    if (RAND_bytes((unsigned char *) &random, sizeof random) != 1)
        return (RETRY_MIN + RETRY_MAX) / 2;
    return RETRY_MIN + random % (RETRY_MAX - RETRY_MIN + 1);
}

int response_write_events(struct buffer *out, const char *origin, bool credentials,
                          struct event_id start, struct event_id live)
{
    char id[EVENT_ID_SIZE], newest[EVENT_ID_SIZE], fields[256];
    struct http_response http = {
        .status = 200,
        .connection = "close",
        .fields = fields,
        .origin = origin,
        .credentials = credentials,
        .type = HTTP_RESPONSE_EVENTS,
    };
    int status;

    /* X-Accel-Buffering: nginx as a proxy passes on at once what is written. */
    (void) snprintf(fields, sizeof fields,
                    "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nLast-Event-ID: %s\r\n"
                    "Live-Event-ID: %s\r\n",
                    event_id_print(start, id), event_id_print(live, newest));
    status = http_response_write(out, &http);
    return status == 0 ? buffer_printf(out, "id: %s\nretry: %u\n\n", id, draw_retry()) : status;
}

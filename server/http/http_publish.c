#include "server/http/http_publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/json_check.h"
#include "common/base/utf8.h"
#include "common/http/http_response.h"
#include "server/http/authorize.h"
#include "server/http/services.h"

enum {
    MAX_LINES = 10000, /* messages of one request, */
    MAX_MESSAGES = 4,  /* with at most the bytes of so many messages of --max-message */
    RETRY_AFTER = 5,   /* seconds, while the store cannot be written */
};

/* ---- before the body ---- */

/* True for a media type, whatever its parameters. */
static bool has_type(const struct request *request, const char *type)
{
    const char *field = http_head_get(request->head, "Content-Type");
    size_t len = strlen(type);

    return field != NULL && strncasecmp(field, type, len) == 0 &&
           strchr("; \t", field[len]) != NULL; /* strchr finds the NUL as well */
}

static bool is_lines(const struct request *request)
{
    return has_type(request, "application/x-ndjson") || has_type(request, "application/ndjson");
}

/* The parameter `charset` of the media type (RFC 9110, 8.3.1), with its quotation marks, if it has
 * any; or NULL. `*len` is its length. */
static const char *charset_of(const struct request *request, size_t *len)
{
    static const char name[] = "charset=";
    const char *at = http_head_get(request->head, "Content-Type");

    while (at != NULL && (at = strchr(at, ';')) != NULL) {
        at += 1 + strspn(at + 1, " \t");
        if (strncasecmp(at, name, sizeof name - 1) != 0)
            continue;
        at += sizeof name - 1;
        *len = strcspn(at, "; \t");
        return at;
    }
    return NULL;
}

/* True unless the body is declared to be in another character encoding than UTF-8. */
static bool is_utf8(const struct request *request)
{
    static const char *const same[] = {"utf-8", "utf8", "us-ascii"};
    size_t len = 0;
    const char *charset = charset_of(request, &len);

    if (charset == NULL)
        return true;
    if (len >= 2 && charset[0] == '"' && charset[len - 1] == '"') {
        charset++;
        len -= 2;
    }
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        if (len == strlen(same[i]) && strncasecmp(charset, same[i], len) == 0)
            return true;
    }
    return false;
}

/* Returns NULL, or why the head is refused, with its status. */
static const char *check_head(const struct request *request, int *status)
{
    const char *coding = http_head_get(request->head, "Content-Encoding");
    const char *expect = http_head_get(request->head, "Expect");

    *status = 403;
    if (!submit_is_open(services_settings(request), SUBMIT_HTTP))
        return "publishing with POST is disabled here (--publish)";
    *status = 400;
    if (http_head_count(request->head, "Content-Type") > 1)
        return "Content-Type must appear once";
    *status = 415;
    if (!is_utf8(request))
        return "text must be UTF-8: send it as UTF-8, with charset=utf-8";
    if (coding != NULL && strcasecmp(coding, "identity") != 0)
        return "Content-Encoding is not supported: send the message unencoded";
    *status = 417;
    if (expect != NULL && strcasecmp(expect, "100-continue") != 0)
        return "this expectation is not supported: only 100-continue is";
    *status = 411;
    if (http_head_get(request->head, "Content-Length") == NULL &&
        http_head_get(request->head, "Transfer-Encoding") == NULL)
        return "the body is missing: send the message as the body, with its Content-Length";
    return NULL;
}

enum request_outcome http_publish_begin(struct request *request)
{
    const struct services *services = request->services;
    int status;
    const char *why = check_head(request, &status);

    if (why != NULL)
        return request_refuse(request, status, why);
    if (memory_is_over(services->memory)) {
        request->response.limit = "max-memory";
        request->response.closes = true;
        return request_refuse(request, 503, "the server is short of memory: try again later");
    }
    request->max_body =
        services_settings(request)->max_message * (is_lines(request) ? MAX_MESSAGES : 1);
    return REQUEST_BODY;
}

/* ---- publishing ---- */

static void tell_receipt(struct request *request, const struct submit_receipt *receipt)
{
    struct response *response = &request->response;
    char id[EVENT_ID_SIZE], counts[32] = "";

    if (is_lines(request))
        (void) snprintf(counts, sizeof counts, "\"count\": %zu, ", receipt->published);
    response->type = HTTP_RESPONSE_JSON;
    if (buffer_printf(&response->body, "{\"id\": \"%s\", %s\"subscribers\": %zu}\n",
                      event_id_print(receipt->channel.id, id), counts,
                      receipt->channel.subscribers) != 0)
        response_refuse(response, 503, "published, but out of memory for the receipt");
}

static void tell_limit(struct response *response, int status, const char *limit)
{
    response->limit = limit;
    if (status == UV_EAGAIN) { /* what a WebSocket client may not send in a second */
        response_refuse(response, 429, "too many messages: try again in a second");
        return;
    }
    (void) snprintf(response->text, sizeof response->text,
                    "this request exceeds what one client may publish in a second (--%s): send "
                    "less at a time",
                    limit);
    response_refuse(response, 413, response->text);
}

static void refuse_for_memory(struct request *request, size_t published)
{
    struct response *response = &request->response;

    (void) snprintf(response->text, sizeof response->text,
                    "out of memory: only the first %zu messages have been published", published);
    response_refuse(response, 503, response->text);
}

/* The store could not be written: nothing is published, or nobody knows. */
static void refuse_unstored(struct response *response, int status)
{
    if (status == UV_EIO) {
        response_refuse(
            response, 504,
            "the store failed while it was written: whether it is published is unknown");
        return;
    }
    response->retry_after = RETRY_AFTER;
    response_refuse(response, 503,
                    "not published: the store cannot be written: try again in some seconds");
}

static void on_receipt(void *owner, const struct submit_receipt *receipt)
{
    struct request *request = owner;

    request->response.work = receipt->channel.work;
    if (receipt->status == 0)
        tell_receipt(request, receipt);
    else if (receipt->status == UV_ENOMEM)
        refuse_for_memory(request, receipt->published);
    else
        refuse_unstored(&request->response, receipt->status);
    request_resume(request, REQUEST_ANSWERED);
}

static void forget(void *context)
{
    submit_forget(&((struct request *) context)->outstanding);
}

/* What submit_messages has refused. */
static void refuse(struct request *request, int status, const char *limit)
{
    switch (status) {
    case UV_EPERM:
    case UV_EACCES: /* since the head was checked */
        (void) authorize_refuse(request, PRINCIPAL_PUBLISH);
        break;
    case UV_ENOMEM:
        refuse_for_memory(request, 0);
        break;
    case UV_ENOBUFS:
        refuse_unstored(&request->response, UV_EAGAIN);
        break;
    default:
        tell_limit(&request->response, status, limit);
        break;
    }
}

static int get_channel(const struct request *request, struct channel **channel)
{
    struct channels *channels = request->services->channels;
    const struct request_target_channel *name = &request->channel;

    return authorize_may_create(request, PRINCIPAL_PUBLISH)
               ? channels_make(channels, name->name, name->len, channel)
               : channels_find(channels, name->name, name->len, channel);
}

/* Publishes `count` messages, with no others between them. */
static enum request_outcome publish_items(struct request *request, const struct channel_item *items,
                                          size_t count)
{
    const struct submit_client client = {SUBMIT_HTTP, request->client, request->now,
                                         request->throttle, &request->identity};
    const struct services *services = request->services;
    const char *limit;
    struct channel *channel;
    int status = get_channel(request, &channel);

    if (status == UV_ENOENT)
        return request_refuse(request, 404, RESPONSE_CHANNEL_NOT_LISTED);
    if (status == UV_EMFILE) {
        request->response.limit = "max-channels";
        return request_refuse(request, 503, RESPONSE_TOO_MANY_CHANNELS);
    }
    if (status != 0) {
        refuse_for_memory(request, 0);
        return REQUEST_ANSWERED;
    }
    (void) request_wait(request, forget, request);
    request_wait_or(request, 504,
                    "there was no receipt in time: whether it is published is unknown");
    status = submit_messages(
        services->publish, &client,
        &(struct submit_batch){channel, items, count, on_receipt, request, &request->outstanding},
        &limit);
    channels_unref(services->channels, channel);
    if (status != 0) {
        refuse(request, status, limit);
        request_resume(request, REQUEST_ANSWERED);
    }
    return REQUEST_PENDING;
}

static enum request_outcome publish_one(struct request *request, const struct frame_part *payload)
{
    bool binary = has_type(request, "application/octet-stream");
    struct channel_item item = {binary ? FRAME_BINARY : FRAME_TEXT, payload, 1, 0};

    if (!binary && !utf8_valid(payload->data, payload->len))
        return request_refuse(request, 400,
                              "text must be UTF-8: send binary data with "
                              "'Content-Type: application/octet-stream'");
    return publish_items(request, &item, 1);
}

/* ---- a message a line ---- */

static void refuse_line(struct request *request, int status, size_t number, const char *why)
{
    struct response *response = &request->response;

    (void) snprintf(response->text, sizeof response->text, "nothing is published: line %zu %s",
                    number, why);
    response_refuse(response, status, response->text);
}

/* Consumes the next line at the front of the text; returns it without its line break. */
static struct frame_part cut_line(struct frame_part *text)
{
    const char *begin = text->data, *newline = memchr(begin, '\n', text->len);
    size_t len = newline != NULL ? (size_t) (newline - begin) : text->len;
    size_t used = newline != NULL ? len + 1 : len;

    text->data = begin + used;
    text->len -= used;
    return (struct frame_part){begin, len > 0 && begin[len - 1] == '\r' ? len - 1 : len};
}

static bool is_blank(const struct frame_part *line)
{
    const char *text = line->data;
    size_t n = 0;

    while (n < line->len && (text[n] == ' ' || text[n] == '\t' || text[n] == '\r'))
        n++;
    return n == line->len;
}

static bool check_json(struct request *request, const struct frame_part *line, size_t number)
{
    struct json_check check = {0};
    size_t at;
    char why[64];

    switch (json_check_feed(&check, line->data, line->len, &at)) {
    case 0:
        if (json_check_complete(&check))
            return true;
        refuse_line(request, 400, number, "is not complete JSON");
        break;
    case UV_EILSEQ:
        refuse_line(request, 400, number, "is not UTF-8");
        break;
    case UV_E2BIG:
        refuse_line(request, 400, number, "is nested more than 512 levels deep");
        break;
    default:
        (void) snprintf(why, sizeof why, "is not JSON (at byte %zu)", at + 1);
        refuse_line(request, 400, number, why);
    }
    return false;
}

/* Checks a line that is not blank; `number` is its own, `count` how many came before it. */
static bool check_line(struct request *request, const struct frame_part *line, size_t number,
                       size_t count)
{
    uint64_t max_message = services_settings(request)->max_message;

    if (count == MAX_LINES) {
        refuse_line(request, 413, number,
                    "is one message too many: send at most 10000 in a request");
        return false;
    }
    if (max_message > 0 && line->len > max_message) {
        refuse_line(request, 413, number, "is too long (--max-message)");
        return false;
    }
    return check_json(request, line, number);
}

/* How many messages the text has, not counting blank lines. 0 if one of them is refused, or if
 * there are none, and the response says so. */
static size_t count_lines(struct request *request, struct frame_part text)
{
    size_t count = 0;

    for (size_t number = 1; text.len > 0; number++) {
        struct frame_part line = cut_line(&text);

        if (is_blank(&line))
            continue;
        if (!check_line(request, &line, number, count))
            return 0;
        count++;
    }
    if (count == 0)
        (void) request_refuse(request, 400, "nothing is published: the body has no message");
    return count;
}

/* The text is read twice, so that a request which is refused costs no memory but its own. */
static enum request_outcome publish_lines(struct request *request, struct frame_part text)
{
    enum request_outcome outcome = REQUEST_ANSWERED;
    size_t count = count_lines(request, text), n = 0;
    struct channel_item *items = NULL;
    struct frame_part *lines = NULL;

    if (count == 0)
        return REQUEST_ANSWERED;
    items = calloc(count, sizeof *items);
    lines = calloc(count, sizeof *lines);
    if (items == NULL || lines == NULL) {
        (void) request_refuse(request, 503, "nothing is published: out of memory");
        goto done;
    }
    while (n < count) {
        lines[n] = cut_line(&text);
        if (is_blank(&lines[n]))
            continue;
        items[n] = (struct channel_item){FRAME_TEXT, &lines[n], 1, 0};
        n++;
    }
    outcome = publish_items(request, items, count);
done:
    free(lines);
    free(items);
    return outcome;
}

enum request_outcome http_publish_body(struct request *request)
{
    struct frame_part payload = {request->body != NULL ? (const char *) request->body : "",
                                 request->body_len};

    return is_lines(request) ? publish_lines(request, payload) : publish_one(request, &payload);
}

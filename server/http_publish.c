#include "server/http_publish.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/utf8.h"

enum {
    MAX_LINES = 10000, /* messages of one request; */
    MAX_MESSAGES = 4,  /* and no more bytes than so many of the longest messages */
    PARTS = 2,         /* of a message: the prefix, and what was sent */
};

/* ---- before the body ---- */

/* True for a media type, whatever its parameters. */
static bool has_type(const struct http_api_request *request, const char *type)
{
    const char *field = http_head_get(request->head, "Content-Type");
    size_t len = strlen(type);

    return field != NULL && strncasecmp(field, type, len) == 0 &&
           strchr("; \t", field[len]) != NULL; /* strchr finds the NUL, too */
}

static bool is_lines(const struct http_api_request *request)
{
    return has_type(request, "application/x-ndjson");
}

bool http_publish_may(const struct http_api *api, const struct http_api_request *request,
                      struct http_api_answer *answer)
{
    const char *coding = http_head_get(request->head, "Content-Encoding");
    const char *expect = http_head_get(request->head, "Expect");

    if ((api->options->publish & SERVER_OPTIONS_PUBLISH_HTTP) == 0)
        http_api_refuse(answer, 403, "this feed is read-only");
    else if (http_head_count(request->head, "Content-Type") > 1)
        http_api_refuse(answer, 400, "Content-Type must appear once");
    else if (coding != NULL && strcasecmp(coding, "identity") != 0)
        http_api_refuse(answer, 415, "send the message as it is, without Content-Encoding");
    else if (expect != NULL && strcasecmp(expect, "100-continue") != 0)
        http_api_refuse(answer, 417, "nothing but 100-continue can be expected here");
    else if (http_head_get(request->head, "Content-Length") == NULL &&
             http_head_get(request->head, "Transfer-Encoding") == NULL)
        http_api_refuse(answer, 411, "the message has to be the body: send one, with its length");
    else
        return true;
    return false;
}

uint64_t http_publish_max_body(const struct http_api *api, const struct http_api_request *request)
{
    return api->options->max_message * (is_lines(request) ? MAX_MESSAGES : 1);
}

/* ---- publishing ---- */

/* What a WebSocket client may not say in a second, this one may not, either. */
static bool is_too_fast(const struct http_api *api, const struct http_api_request *request,
                        size_t len, struct http_api_answer *answer)
{
    answer->limit = limits_judge_message(api->limits, request->rate, request->now, len);
    if (answer->limit == NULL)
        return false;
    http_api_refuse(answer, 429, "too fast: try again in a second");
    return true;
}

static void tell_receipt(const struct channel_receipt *receipt, size_t count, bool counted,
                         struct http_api_answer *answer)
{
    char id[EVENT_ID_SIZE], counts[32] = "";

    if (counted)
        (void) snprintf(counts, sizeof counts, "\"count\": %zu, ", count);
    if (buffer_printf(&answer->json, "{\"id\": \"%s\", %s\"subscribers\": %zu}\n",
                      event_id_print(receipt->id, id), counts, receipt->subscribers) != 0)
        http_api_refuse(answer, 503, "it is published, but there is no memory for the answer");
}

/* Publishes `count` messages, with nobody else's between them. */
static void publish_items(const struct http_api *api, const struct http_api_request *request,
                          const struct channel_item *items, size_t count,
                          struct http_api_answer *answer)
{
    struct channel_receipt receipt;
    struct channel *channel;
    size_t published = 0;
    int status =
        channels_make(api->channels, request->channel.data, request->channel.len, &channel);

    if (status == UV_ENOENT) {
        http_api_refuse(answer, 404, http_api_not_listed);
        return;
    }
    if (status == UV_EMFILE) {
        answer->limit = "max-channels";
        http_api_refuse(answer, 503, "there are too many channels: try again later");
        return;
    }
    if (status == 0) {
        status = channel_publish_all(channel, api->publisher, items, count, &published, &receipt);
        channels_unref(api->channels, channel);
    }
    if (status == 0) {
        tell_receipt(&receipt, count, is_lines(request), answer);
        return;
    }
    (void) snprintf(answer->text, sizeof answer->text,
                    "out of memory: the first %zu of %zu messages are published", published, count);
    http_api_refuse(answer, 503, answer->text);
}

static struct frame_part prefix_of(const struct http_api *api)
{
    return (struct frame_part){api->options->prefix, strlen(api->options->prefix)};
}

static void publish_one(const struct http_api *api, const struct http_api_request *request,
                        const uint8_t *body, size_t len, struct http_api_answer *answer)
{
    bool binary = has_type(request, "application/octet-stream");
    struct frame_part parts[PARTS] = {prefix_of(api),
                                      {body != NULL ? (const char *) body : "", len}};
    struct channel_item item = {FRAME_TEXT, parts, PARTS};

    if (binary)
        item = (struct channel_item){FRAME_BINARY, parts + 1, 1};
    if (!binary && !utf8_valid(body, len)) {
        http_api_refuse(answer, 400,
                        "this is not UTF-8, as text has to be: send binary with "
                        "'Content-Type: application/octet-stream'");
        return;
    }
    if (!is_too_fast(api, request, len, answer))
        publish_items(api, request, &item, 1, answer);
}

/* ---- a message a line ---- */

/* Messages that wait until all lines are known to be good. */
struct lines {
    struct frame_part prefix;
    struct buffer parts; /* of struct frame_part, PARTS a message */
    size_t count;
};

static void refuse_line(struct http_api_answer *answer, int status, size_t number, const char *why)
{
    (void) snprintf(answer->text, sizeof answer->text, "line %zu %s: nothing is published", number,
                    why);
    http_api_refuse(answer, status, answer->text);
}

/* True for JSON of any kind. `*column` is where it is not. */
static bool is_json(const char *text, size_t len, int *column)
{
    json_error_t error;
    json_t *json =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);

    *column = json != NULL ? 0 : error.column;
    json_decref(json);
    return json != NULL;
}

/* Judges the next line, and adds it. */
static bool add_line(const struct http_api *api, struct lines *lines, const char *text, size_t len,
                     struct http_api_answer *answer)
{
    struct frame_part parts[PARTS] = {lines->prefix, {text, len}};
    uint64_t most = api->options->max_message;
    size_t number = lines->count + 1;
    char why[64];
    int column;

    if (lines->count == MAX_LINES)
        refuse_line(answer, 413, number, "is one too many (the limit is 10000)");
    else if (most > 0 && len > most)
        refuse_line(answer, 413, number, "is too long");
    else if (len == 0)
        refuse_line(answer, 400, number, "is empty");
    else if (!utf8_valid((const uint8_t *) text, len))
        refuse_line(answer, 400, number, "is not UTF-8");
    else if (!is_json(text, len, &column)) {
        (void) snprintf(why, sizeof why, "is not JSON (column %d)", column);
        refuse_line(answer, 400, number, why);
    } else if (buffer_append(&lines->parts, parts, sizeof parts) != 0)
        http_api_refuse(answer, 503, "out of memory: nothing is published");
    lines->count++;
    return answer->why == NULL;
}

/* Takes the body apart. True when all lines are good. */
static bool read_lines(const struct http_api *api, struct lines *lines, const char *body,
                       size_t len, struct http_api_answer *answer)
{
    for (const char *at = body, *end = body + len; at < end;) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));
        size_t line = (size_t) ((newline != NULL ? newline : end) - at);

        if (!add_line(api, lines, at, line - (line > 0 && at[line - 1] == '\r' ? 1 : 0), answer))
            return false;
        at += line + 1;
    }
    if (lines->count == 0)
        http_api_refuse(answer, 400, "there is no line in it: nothing is published");
    return lines->count > 0;
}

static void publish_lines(const struct http_api *api, const struct http_api_request *request,
                          const uint8_t *body, size_t len, struct http_api_answer *answer)
{
    struct lines lines = {.prefix = prefix_of(api)};
    struct channel_item *items = NULL;
    const struct frame_part *parts;

    if (len == 0 || !read_lines(api, &lines, (const char *) body, len, answer)) {
        if (len == 0)
            http_api_refuse(answer, 400, "there is no line in it: nothing is published");
        goto done;
    }
    parts = (const struct frame_part *) (const void *) lines.parts.data;
    items = calloc(lines.count, sizeof *items);
    if (items == NULL || parts == NULL) {
        http_api_refuse(answer, 503, "out of memory: nothing is published");
        goto done;
    }
    for (size_t i = 0; i < lines.count; i++) {
        items[i] = (struct channel_item){FRAME_TEXT, parts + PARTS * i, PARTS};
        if (is_too_fast(api, request, parts[PARTS * i + 1].len, answer))
            goto done;
    }
    publish_items(api, request, items, lines.count, answer);
done:
    free(items);
    buffer_deinit(&lines.parts);
}

void http_publish(const struct http_api *api, const struct http_api_request *request,
                  const uint8_t *body, size_t len, struct http_api_answer *answer)
{
    if (is_lines(request))
        publish_lines(api, request, body, len, answer);
    else
        publish_one(api, request, body, len, answer);
}

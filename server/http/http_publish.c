#include "server/http/http_publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/json_check.h"
#include "common/base/utf8.h"

enum {
    MAX_LINES = 10000, /* messages of one request; */
    MAX_MESSAGES = 4,  /* and no more bytes than so many of the longest messages */
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
    return has_type(request, "application/x-ndjson") || has_type(request, "application/ndjson");
}

/* The parameter `charset` of the media type (RFC 9110, 8.3.1), with its quotation marks, if it has
 * any; or NULL. `*len` is its length. */
static const char *charset_of(const struct http_api_request *request, size_t *len)
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

/* True unless it is said that the body is in another character encoding than UTF-8. */
static bool is_utf8(const struct http_api_request *request)
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

bool http_publish_may(const struct http_api *api, const struct http_api_request *request,
                      struct http_api_answer *answer)
{
    const char *coding = http_head_get(request->head, "Content-Encoding");
    const char *expect = http_head_get(request->head, "Expect");

    if (!publish_is_open(api->options, PUBLISH_HTTP))
        http_api_refuse(answer, 403, "this feed is read-only");
    else if (http_head_count(request->head, "Content-Type") > 1)
        http_api_refuse(answer, 400, "Content-Type must appear once");
    else if (!is_utf8(request))
        http_api_refuse(answer, 415, "text is published in UTF-8: send it so, charset=utf-8");
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
    const struct publish_client client = {PUBLISH_HTTP, request->client, request->now,
                                          request->throttle};
    struct publish_result result = {.published = 0};
    struct channel *channel;
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
        status = publish_messages(api->publish, &client, channel, items, count, &result);
        channels_unref(api->channels, channel);
        answer->work = result.receipt.work;
    }
    if (status == 0) {
        tell_receipt(&result.receipt, count, is_lines(request), answer);
        return;
    }
    if (status == UV_E2BIG) {
        answer->limit = result.limit;
        (void) snprintf(answer->text, sizeof answer->text,
                        "this is more than one client may publish in a whole second (--%s): send "
                        "less at a time",
                        result.limit);
        http_api_refuse(answer, 413, answer->text);
        return;
    }
    if (status == UV_EAGAIN) { /* what a WebSocket client may not say in a second */
        answer->limit = result.limit;
        http_api_refuse(answer, 429, "too fast: try again in a second");
        return;
    }
    (void) snprintf(answer->text, sizeof answer->text,
                    "out of memory: the first %zu of %zu messages are published", result.published,
                    count);
    http_api_refuse(answer, 503, answer->text);
}

static void publish_one(const struct http_api *api, const struct http_api_request *request,
                        const struct frame_part *payload, struct http_api_answer *answer)
{
    bool binary = has_type(request, "application/octet-stream");
    struct channel_item item = {binary ? FRAME_BINARY : FRAME_TEXT, payload, 1};

    if (!binary && !utf8_valid(payload->data, payload->len)) {
        http_api_refuse(answer, 400,
                        "this is not UTF-8, as text has to be: send binary with "
                        "'Content-Type: application/octet-stream'");
        return;
    }
    publish_items(api, request, &item, 1, answer);
}

/* ---- a message a line ---- */

static void refuse_line(struct http_api_answer *answer, int status, size_t number, const char *why)
{
    (void) snprintf(answer->text, sizeof answer->text, "line %zu %s: nothing is published", number,
                    why);
    http_api_refuse(answer, status, answer->text);
}

/* Cuts the next line from the front of the text, without what ends it. */
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

/* Judges a line that is not blank; `number` is its own, `count` how many came before it. */
static bool is_good(const struct http_api *api, const struct frame_part *line, size_t number,
                    size_t count, struct http_api_answer *answer)
{
    struct json_check check = {0};
    size_t at;
    char why[64];

    if (count == MAX_LINES) {
        refuse_line(answer, 413, number, "is one message too many (at most 10000 in a request)");
        return false;
    }
    if (api->options->max_message > 0 && line->len > api->options->max_message) {
        refuse_line(answer, 413, number, "is too long (--max-message)");
        return false;
    }
    switch (json_check_feed(&check, line->data, line->len, &at)) {
    case 0:
        if (json_check_complete(&check))
            return true;
        refuse_line(answer, 400, number, "is not complete JSON");
        break;
    case UV_EILSEQ:
        refuse_line(answer, 400, number, "is not UTF-8");
        break;
    case UV_E2BIG:
        refuse_line(answer, 400, number, "is nested more than 512 levels deep");
        break;
    default:
        (void) snprintf(why, sizeof why, "is not JSON (at byte %zu)", at + 1);
        refuse_line(answer, 400, number, why);
    }
    return false;
}

/* How many messages the text has; blank lines are none. 0 if one of them is not good, or if there
 * are none, and the answer says so. */
static size_t count_lines(const struct http_api *api, struct frame_part text,
                          struct http_api_answer *answer)
{
    size_t count = 0;

    for (size_t number = 1; text.len > 0; number++) {
        struct frame_part line = cut_line(&text);

        if (is_blank(&line))
            continue;
        if (!is_good(api, &line, number, count, answer))
            return 0;
        count++;
    }
    if (count == 0)
        http_api_refuse(answer, 400, "there is no message in it: nothing is published");
    return count;
}

/* The text is read twice, so that a request which is refused costs no memory but its own. */
static void publish_lines(const struct http_api *api, const struct http_api_request *request,
                          struct frame_part text, struct http_api_answer *answer)
{
    size_t count = count_lines(api, text, answer), n = 0;
    struct channel_item *items = NULL;
    struct frame_part *lines = NULL;

    if (count == 0)
        return;
    items = calloc(count, sizeof *items);
    lines = calloc(count, sizeof *lines);
    if (items == NULL || lines == NULL) {
        http_api_refuse(answer, 503, "out of memory: nothing is published");
        goto done;
    }
    while (n < count) {
        lines[n] = cut_line(&text);
        if (is_blank(&lines[n]))
            continue;
        items[n] = (struct channel_item){FRAME_TEXT, &lines[n], 1};
        n++;
    }
    publish_items(api, request, items, count, answer);
done:
    free(lines);
    free(items);
}

void http_publish(const struct http_api *api, const struct http_api_request *request,
                  const uint8_t *body, size_t len, struct http_api_answer *answer)
{
    struct frame_part payload = {body != NULL ? (const char *) body : "", len};

    if (is_lines(request))
        publish_lines(api, request, payload, answer);
    else
        publish_one(api, request, &payload, answer);
}

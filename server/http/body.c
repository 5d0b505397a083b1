#include "server/http/body.h"

#include <string.h>
#include <strings.h>

enum {
    STOP = -1,                 /* returned by a parser callback: stops llhttp */
    FRAMING_SLACK = 16 * 1024, /* bytes allowed for chunk sizes, extensions and trailers, */
    FRAMING_RATE = 16,         /* plus so many for each byte of the body */
};

static int reject(struct body *body, int status, const char *why)
{
    body->status = status;
    body->why = why;
    return STOP;
}

/* True when `more` bytes fit. */
static bool fits(const struct body *body, uint64_t more)
{
    return body->_max == 0 || (more <= body->_max && body->data.len <= body->_max - more);
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct body *body = parser->data;

    if (!fits(body, len))
        return reject(body, 413, "the body is too long");
    return buffer_append(&body->data, at, len) == 0 ? 0 : reject(body, 503, "out of memory");
}

/* Checks the size of a chunk before its data arrives. */
static int on_chunk_header(llhttp_t *parser)
{
    struct body *body = parser->data;

    return fits(body, parser->content_length) ? 0 : reject(body, 413, "the body is too long");
}

static int on_message_complete(llhttp_t *parser)
{
    (void) parser;
    return HPE_PAUSED; /* the rest belongs to the next request */
}

static const llhttp_settings_t body_settings = {
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

enum body_result body_begin(struct body *body, struct http_head *head, uint64_t max)
{
    const char *coding = http_head_get(head, "Transfer-Encoding");

    *body = (struct body){._max = max};
    if (coding != NULL && head->minor == 0)
        (void) reject(
            body, 400,
            "Transfer-Encoding is not allowed in a request of HTTP/1.0: send Content-Length");
    else if (coding != NULL &&
             (http_head_count(head, "Transfer-Encoding") > 1 || strcasecmp(coding, "chunked") != 0))
        (void) reject(
            body, 501,
            "this transfer coding is not supported: send Content-Length, or use 'chunked'");
    else if (coding == NULL && !fits(body, head->_parser.content_length))
        (void) reject(body, 413, "the body is too long");
    if (body->why != NULL)
        return BODY_BAD;
    if (!head->has_body)
        return BODY_DONE;
    head->_parser.settings = (void *) (uintptr_t) &body_settings;
    head->_parser.data = body;
    llhttp_resume(&head->_parser);
    return BODY_MORE;
}

void body_deinit(struct body *body)
{
    buffer_deinit(&body->data);
}

/* True if framing exceeds its allowance: chunks of one byte are accepted, endless extensions are
 * not. */
static bool is_padded(const struct body *body)
{
    return body->_seen / FRAMING_RATE > body->data.len + FRAMING_SLACK / FRAMING_RATE;
}

enum body_result body_feed(struct body *body, struct http_head *head, const uint8_t *data,
                           size_t len, size_t *used)
{
    llhttp_errno_t error = llhttp_execute(&head->_parser, (const char *) data, len);

    *used = len;
    if (error == HPE_PAUSED) {
        *used = (size_t) (llhttp_get_error_pos(&head->_parser) - (const char *) data);
        return BODY_DONE;
    }
    body->_seen += len;
    if (error != HPE_OK && body->why == NULL)
        (void) reject(body, 400, "the body is not well-formed: check the chunk sizes");
    else if (error == HPE_OK && is_padded(body))
        (void) reject(body, 400,
                      "the chunks of the body have too much overhead: send larger chunks");
    return body->why != NULL ? BODY_BAD : BODY_MORE;
}

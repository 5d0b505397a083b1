#include "common/http/http_body.h"

enum { STOP = -1 }; /* returned by a parser callback: stops llhttp */

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct http_body *body = parser->data;

    if (body->_on_piece(body->_owner, (const uint8_t *) at, len))
        return 0;
    body->_stopped = true;
    return STOP;
}

static int on_message_complete(llhttp_t *parser)
{
    (void) parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t http_body_settings = {
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* RFC 9112, 6.3: without a length the body lasts until the connection ends. */
static bool is_empty(const struct http_head *head)
{
    return head->status == 204 || head->status == 304 ||
           (!head->has_body && http_head_count(head, "Content-Length") > 0);
}

enum http_body_result http_body_begin(struct http_body *body, struct http_head *head,
                                      http_body_piece_cb on_piece, void *owner)
{
    *body = (struct http_body){._on_piece = on_piece, ._owner = owner};
    if (is_empty(head))
        return HTTP_BODY_DONE;
    head->_parser.settings = (void *) (uintptr_t) &http_body_settings;
    head->_parser.data = body;
    llhttp_resume(&head->_parser);
    return HTTP_BODY_MORE;
}

enum http_body_result http_body_feed(struct http_body *body, struct http_head *head,
                                     const uint8_t *data, size_t len)
{
    llhttp_errno_t error = llhttp_execute(&head->_parser, (const char *) data, len);

    if (error == HPE_PAUSED || body->_stopped)
        return HTTP_BODY_DONE;
    return error == HPE_OK ? HTTP_BODY_MORE : HTTP_BODY_BAD;
}

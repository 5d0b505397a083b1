/* The body of a response whose head has been read (RFC 9112, 6 and 7.1): with a Content-Length,
 * chunked, or up to the end of the connection. llhttp parses it, continuing where the head ended,
 * and the pieces are passed on as they arrive. Trailer fields are discarded. */
#ifndef WS_COMMON_HTTP_HTTP_BODY_H
#define WS_COMMON_HTTP_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http/http_head.h"

enum http_body_result {
    HTTP_BODY_MORE, /* not complete: feed what comes next */
    HTTP_BODY_DONE, /* complete, or no more of it is wanted */
    HTTP_BODY_BAD,  /* its framing is not valid */
};

/* A piece of the body, borrowed for the call. False when no more is wanted. */
typedef bool (*http_body_piece_cb)(void *owner, const uint8_t *data, size_t len);

struct http_body {
    http_body_piece_cb _on_piece;
    void *_owner;
    bool _stopped;
};

/* Begins the body of a complete head; both must stay where they are while it is read. Returns
 * HTTP_BODY_DONE if there is none. */
enum http_body_result http_body_begin(struct http_body *body, struct http_head *head,
                                      http_body_piece_cb on_piece, void *owner);

/* Feeds what came behind the head, or behind the last feed. Not after another result than
 * HTTP_BODY_MORE. */
enum http_body_result http_body_feed(struct http_body *body, struct http_head *head,
                                     const uint8_t *data, size_t len);

#endif

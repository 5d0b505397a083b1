/* The body of a request whose head has been read: counted or chunked (RFC 9112, 6 and 7.1), taken
 * apart by llhttp, which goes on where the head ended. It is collected as it arrives, and capped:
 * what a sender announces costs nothing. Trailer fields are read and forgotten. */
#ifndef WS_SERVER_HTTP_BODY_H
#define WS_SERVER_HTTP_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/http/http_head.h"

enum http_body_result {
    HTTP_BODY_MORE, /* not complete: feed what comes next */
    HTTP_BODY_DONE, /* complete: what follows in the input is the next request's */
    HTTP_BODY_BAD,  /* it can become nothing good: `status` and `why` say what to answer */
};

struct http_body {
    struct buffer data; /* of the body so far */
    int status;         /* after HTTP_BODY_BAD: of the answer that the request earns */
    const char *why;    /* a phrase for people, static */
    uint64_t _max;      /* bytes */
    size_t _seen;       /* bytes of the input so far, chunk sizes and the like included */
};

/* Begins the body of a head that is done, and lives on while the body is read; more than `max`
 * bytes are 413 (0: no limit). Returns HTTP_BODY_DONE if there is none, and HTTP_BODY_BAD if what
 * the head says of it is too much or cannot be read. */
enum http_body_result http_body_begin(struct http_body *body, struct http_head *head, uint64_t max);
void http_body_deinit(struct http_body *body);

/* Feeds `len` bytes; `*used` says how many of them belong to the body (all, unless it is done).
 * Running out of memory is HTTP_BODY_BAD with status 503. */
enum http_body_result http_body_feed(struct http_body *body, struct http_head *head,
                                     const uint8_t *data, size_t len, size_t *used);

#endif

/* The body of a request whose head has been read: with a Content-Length, or chunked (RFC 9112, 6
 * and 7.1). llhttp parses it, continuing where the head ended. The body is collected as it
 * arrives, up to a maximum; a declared length allocates nothing. Trailer fields are discarded. */
#ifndef WS_SERVER_HTTP_BODY_H
#define WS_SERVER_HTTP_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/http/http_head.h"

enum body_result {
    BODY_MORE, /* not complete: feed what comes next */
    BODY_DONE, /* complete: the rest of the input belongs to the next request */
    BODY_BAD,  /* cannot be accepted: `status` and `why` are for the response */
};

struct body {
    struct buffer data; /* of the body so far */
    int status;         /* after BODY_BAD: of the response */
    const char *why;    /* a phrase for people, static */
    uint64_t _max;      /* bytes */
    size_t _seen;       /* bytes of input so far, including chunk sizes and extensions */
};

/* Begins the body of a complete head, which must stay while the body is read; more than `max` bytes
 * are 413 (0: no limit). Returns BODY_DONE if there is no body, and BODY_BAD if its declared length
 * is too much, or its coding is not supported. */
enum body_result body_begin(struct body *body, struct http_head *head, uint64_t max);
void body_deinit(struct body *body);

/* Feeds `len` bytes; `*used` says how many of them belong to the body (all, unless it is done).
 * Running out of memory is BODY_BAD with status 503. */
enum body_result body_feed(struct body *body, struct http_head *head, const uint8_t *data,
                           size_t len, size_t *used);

#endif

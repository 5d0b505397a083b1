/* The body of a request whose head has been read: counted or chunked (RFC 9112, 6 and 7.1), taken
 * apart by llhttp, which goes on where the head ended. It is collected as it arrives, and capped:
 * what a sender announces costs nothing. Trailer fields are read and forgotten. */
#ifndef WS_SERVER_HTTP_BODY_H
#define WS_SERVER_HTTP_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/http/http_head.h"

enum body_result {
    BODY_MORE, /* not complete: feed what comes next */
    BODY_DONE, /* complete: what follows in the input is the next request's */
    BODY_BAD,  /* it can become nothing good: `status` and `why` say what to answer */
};

struct body {
    struct buffer data; /* of the body so far */
    int status;         /* after BODY_BAD: of the answer that the request earns */
    const char *why;    /* a phrase for people, static */
    uint64_t _max;      /* bytes */
    size_t _seen;       /* bytes of the input so far, chunk sizes and the like included */
};

/* Begins the body of a head that is done, and lives on while the body is read; more than `max`
 * bytes are 413 (0: no limit). Returns BODY_DONE if there is none, and BODY_BAD if what
 * the head says of it is too much or cannot be read. */
enum body_result body_begin(struct body *body, struct http_head *head, uint64_t max);
void body_deinit(struct body *body);

/* Feeds `len` bytes; `*used` says how many of them belong to the body (all, unless it is done).
 * Running out of memory is BODY_BAD with status 503. */
enum body_result body_feed(struct body *body, struct http_head *head, const uint8_t *data,
                           size_t len, size_t *used);

#endif

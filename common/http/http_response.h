/* Writes a response of HTTP/1.1 into a buffer (RFC 9112, 4 to 6), with the current time as its Date
 * (RFC 9110, 6.6.1). */
#ifndef WS_COMMON_HTTP_HTTP_RESPONSE_H
#define WS_COMMON_HTTP_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

#define HTTP_RESPONSE_TEXT "text/plain; charset=utf-8"
#define HTTP_RESPONSE_HTML "text/html; charset=utf-8"
#define HTTP_RESPONSE_JSON "application/json"
#define HTTP_RESPONSE_EVENTS "text/event-stream"

struct http_response {
    int status;
    const char *connection; /* the value of the field Connection */
    const char *fields;     /* further header fields, each with its CRLF; NULL: none */
    const char *origin;     /* the page's that may read it, and the fields of it that are for
                               scripts (Fetch, 3.2); NULL: no other page */
    bool credentials;       /* it may, though cookies were sent along (Fetch, 3.2.3): not for "*" */
    const char *type;       /* Content-Type; NULL: there is no content, nor its length */
    const void *body; /* of `len` bytes; NULL: it follows; unless `chunked`, up to the end of the
                         connection */
    size_t len;
    bool chunked;   /* `body` is NULL: it follows in chunks (RFC 9112, 7.1) */
    bool head_only; /* the response to HEAD: the length of the body without the body */
};

/* Appends it. Returns 0 or UV_ENOMEM. */
int http_response_write(struct buffer *out, const struct http_response *answer);

#endif

/* Where the token of a request comes from. The first of these that is there counts, and is never
 * passed over for a later one:
 *
 *     Authorization: Bearer TOKEN    RFC 6750, 2.1
 *     a cookie                       --auth-cookie; only from pages that may use it, see below
 *     the subprotocol bearer.TOKEN   for pages, which cannot set header fields of a WebSocket
 *     ?access_token=TOKEN            RFC 6750, 2.3
 *
 * A browser sends cookies along whatever page asks. So a cookie counts only where the request is
 * from a page of an admitted origin; or, for a GET without Origin, where Sec-Fetch-Site is absent,
 * "same-origin" or "none". */
#ifndef WS_SERVER_AUTH_CREDENTIALS_H
#define WS_SERVER_AUTH_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/http/http_head.h"

enum { CREDENTIALS_MAX = 16 * 1024 /* bytes of a token */ };

/* What subprotocols that bear a token begin with. Such a one is never selected. */
#define CREDENTIALS_SUBPROTOCOL "bearer."

struct credentials_request {
    const struct http_head *head;
    const char *query; /* of the target, behind the '?'; "" if there is none */
    size_t query_len;
    const char *cookie;     /* the name of the cookie that may bear a token; NULL: none */
    bool origin_is_trusted; /* there is an Origin, and it is this server's own or listed */
};

/* Finds the token of a request. Returns 0 with `*token`, which is the caller's to free, or NULL
 * where there is none; UV_EINVAL for a credential that cannot be one (another scheme than Bearer,
 * several of them, more than CREDENTIALS_MAX bytes); or UV_ENOMEM. */
int credentials_find(const struct credentials_request *request, char **token);

#endif

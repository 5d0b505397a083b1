/* Which pages may use this server, and read its responses: the check of Origin and Host that comes
 * before the handlers, and the answer to preflights (Fetch, 4.8). */
#ifndef WS_SERVER_HTTP_ACCESS_H
#define WS_SERVER_HTTP_ACCESS_H

#include "server/http/request.h"

/* Refuses (403) what comes from the page of an origin that is not admitted; and plain HTTP without
 * Origin for a Host that is not this server's, as a page that asks its own host may send none. The
 * refusal names the option that would admit it. Returns REQUEST_PASSED or REQUEST_ANSWERED. */
enum request_outcome access_check(struct request *request);

/* OPTIONS: which methods the target supports, and what a page may send. */
enum request_outcome access_options(struct request *request);

#endif

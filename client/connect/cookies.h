/* Cookies that responses set during one run (RFC 6265): a redirection that logs one in sets them.
 * Each goes back to the host that has set it, and to no other, whatever its Domain says; paths and
 * Secure are heeded, ends of life are not, but for those that have passed at once (Max-Age=0). */
#ifndef WS_CLIENT_CONNECT_COOKIES_H
#define WS_CLIENT_CONNECT_COOKIES_H

#include <stddef.h>

#include "client/connect/url.h"
#include "common/http/http_head.h"

struct cookie;

struct cookies {
    struct cookie *_items;
    size_t _count;
    char *_line;
};

/* Also `struct cookies cookies = {0}`. Keeps what a response of `url` sets: 50 cookies in all. */
void cookies_keep(struct cookies *cookies, const struct url *url, const struct http_head *head);
void cookies_deinit(struct cookies *cookies);

/* What a request for `url` bears: "NAME=VALUE; NAME=VALUE", valid until the next call; or NULL. */
const char *cookies_for(struct cookies *cookies, const struct url *url);

#endif

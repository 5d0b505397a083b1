/* ws: and wss: URLs (RFC 6455, 3; RFC 3986), parsed by uriparser. */
#ifndef WS_URL_H
#define WS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct url {
    bool secure;     /* wss: */
    char *host;      /* to be resolved: without the brackets of an IPv6 address */
    uint16_t port;   /* 80 or 443 when the URL has none */
    char *authority; /* host and port as a Host field wants them; no default port */
    char *target;    /* path and query, at least "/" */
};

/* Returns 0, UV_EINVAL with a text that says what is wrong with the URL, or UV_ENOMEM. */
int url_init(struct url *url, const char *text, struct error *error);
void url_deinit(struct url *url);

#endif

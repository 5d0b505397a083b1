/* ws: and wss: URLs (RFC 6455, 3; RFC 3986), and http: and https: URLs of event streams, parsed by
 * uriparser. */
#ifndef WS_CLIENT_CONNECT_URL_H
#define WS_CLIENT_CONNECT_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct url {
    bool secure;     /* wss: or https: */
    bool events;     /* http: or https: */
    char *host;      /* to be resolved: without the brackets of an IPv6 address */
    uint16_t port;   /* 80 or 443 when the URL has none */
    char *authority; /* host and port as a Host field wants them; no default port */
    char *target;    /* path and query, at least "/" */
    char *user;      /* "USER:PASSWORD", without percent-escapes; NULL when the URL has none */
    char *href;      /* the URL without these */
    char *text;      /* the same for people to see: secrets of the query are "***" (secret.h) */
};

/* Returns 0, UV_EINVAL with a text that says what is wrong with the URL, or UV_ENOMEM. */
int url_init(struct url *url, const char *text, struct error *error);
void url_deinit(struct url *url);

/* Copies a URL of any kind as people may see it: without its user name and password, if it has any,
 * and with the secrets of its query as "***". NULL when out of memory. */
char *url_shown(const char *text);

/* Writes into `out` what may be seen of a text that is no URL, cut at `size` bytes: what follows
 * its last '@', as a password with a '/' in it, or behind a single slash, is not where url_shown
 * looks; with the secrets of its query as "***". Returns `out`. */
const char *url_show_invalid(char *out, size_t size, const char *text);

/* The URL that is meant by "HOST[:PORT][/PATH]" or ":PORT[/PATH]", as hands type it: ws:// is its
 * scheme; without a host it is localhost, and then /ws is the path if there is none. A text with a
 * scheme is copied as it is. NULL when out of memory. */
char *url_complete(const char *text);

/* Where a redirection leads: `reference`, as in a Location field, seen from `base` (RFC 3986, 5.2),
 * with ws: and wss: for http: and https:, or the other way round as `base` is, without user name
 * and fragment. Returns 0 and the URL, the caller's to free; UV_EINVAL with a text; or
 * UV_ENOMEM. */
int url_resolve(char **text, const struct url *base, const char *reference, struct error *error);

/* True when both have the same scheme, host and port (RFC 6454, 5). */
bool url_same_origin(const struct url *a, const struct url *b);

#endif

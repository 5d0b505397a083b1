/* Which proxy to go through, if any: -x, or the environment as curl reads it. */
#ifndef WS_CLIENT_CONNECT_PROXY_H
#define WS_CLIENT_CONNECT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "client/connect/url.h"
#include "common/base/error.h"

enum proxy_kind {
    PROXY_NONE,
    PROXY_HTTP,    /* CONNECT (RFC 9110, 9.3.6) */
    PROXY_HTTPS,   /* the same over TLS */
    PROXY_SOCKS5,  /* RFC 1928; the proxy gets an address */
    PROXY_SOCKS5H, /* the same; it is the proxy that resolves the name */
    PROXY_SOCKS4A, /* so it is here */
};

struct proxy {
    enum proxy_kind kind;
    char *host;
    uint16_t port;
    char *user; /* "USER:PASSWORD", or NULL */
    char *text; /* the URL without these, for people to see */
};

/* Parses "[SCHEME://][USER:PASSWORD@]HOST[:PORT]": scheme http, https, socks5 (or socks), socks5h
 * or socks4a, http if none; the port is 1080 if none, or 443 for https. Empty text is no proxy.
 * Returns 0, or with a text UV_EINVAL, UV_EPROTONOSUPPORT for another scheme, or UV_ENOMEM. */
int proxy_init(struct proxy *proxy, const char *text, struct error *error);
void proxy_deinit(struct proxy *proxy);

/* The proxy for `url`: `option` (of -x; NULL when not given), else ws_proxy or http_proxy for ws:,
 * wss_proxy or https_proxy for wss:, else all_proxy; each in capitals too, but for http_proxy,
 * which a CGI's client could set. None for hosts that `except` lists (of --noproxy; NULL when not
 * given: no_proxy or NO_PROXY). Errors as above; UV_EPROTONOSUPPORT is
 * of the environment alone, and then there is none. */
int proxy_choose(struct proxy *proxy, const char *option, const char *except, const struct url *url,
                 struct error *error);

static inline bool proxy_is_socks(const struct proxy *proxy)
{
    return proxy->kind == PROXY_SOCKS5 || proxy->kind == PROXY_SOCKS5H ||
           proxy->kind == PROXY_SOCKS4A;
}

/* True when `list` (separated by commas or white space) has the host: its name, a domain that it is
 * in (with or without a leading dot), its address, a network that it is in (CIDR), or '*'. */
bool proxy_is_excepted(const char *list, const char *host);

#endif

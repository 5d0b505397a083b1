/* Whether a page of some origin may use this server (RFC 6455, 10.2; RFC 6454). Browsers let any
 * page open a WebSocket to any host, and send the page's origin: the server has to refuse.
 *
 * Two questions are separate: which origins are allowed (--origin), and whether the Host of the
 * request is this server, rather than another name whose DNS points here (DNS rebinding). */
#ifndef WS_SERVER_SYNTAX_ORIGIN_H
#define WS_SERVER_SYNTAX_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/http/http_head.h"

struct origin_policy {
    /* As origin_check_pattern takes them; borrowed. */
    const char *const *allowed;
    size_t allowed_count; /* 0: only pages of the requested host */
    bool
        host_is_known; /* requests for another Host are refused before this check (--server-name) */
};

enum origin_verdict {
    ORIGIN_NONE,     /* no Origin: the request is not known to be that of a page */
    ORIGIN_ADMITTED, /* a page that may use the server, and read the responses */
    ORIGIN_FOREIGN,  /* a page that may not */
    ORIGIN_BAD,      /* not one field with exactly SCHEME://HOST[:PORT], or null: never admitted */
};

/* Checks the field Origin. Admitted are origins on the list, whatever the Host; and pages of the
 * requested Host itself: through a listener that only this machine reaches (`loopback`) if Host is
 * this machine, through another listener if there is no list, or Host is known. */
enum origin_verdict origin_check(const struct origin_policy *policy,
                                 const struct http_head *request, bool loopback);

/* The origin that the response to a request may name before its Origin has come: "*" where every
 * origin is listed, or the only one that is. Else NULL: the field takes one value, and which one is
 * not known yet. */
const char *origin_of_any(const struct origin_policy *policy);

/* Checks Host, for plain HTTP without Origin: a page may send none to its own host. Through a
 * listener that only this machine reaches, Host must be this machine; otherwise the request may
 * come from another site's page, whose name resolves to this machine. */
bool origin_host_is_own(const struct http_head *request, bool loopback);

/* Checks an argument of --origin: an origin, with or without a default port, where `*.` before the
 * host stands for one or more labels; `null`; or `*` for all. Returns 0, or UV_EINVAL with a text
 * for what could never match an Origin that a browser sends. */
int origin_check_pattern(const char *pattern, struct error *error);

/* True for a Host field that names this machine: localhost and names beneath it, 127.0.0.0/8,
 * [::1]; with or without a port. */
bool origin_host_is_loopback(const char *host);

#endif

/* May a page of this origin talk to this server? (RFC 6455, 10.2; RFC 6454). Browsers let any page
 * open a WebSocket to any host, and send its origin along: it is the server that has to refuse.
 *
 * Two things are told apart: the origins that may come (--origin), and whether the Host that was
 * asked for is this server at all, and not a stranger's name whose DNS points here. */
#ifndef WS_SERVER_SYNTAX_ORIGIN_H
#define WS_SERVER_SYNTAX_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/http/http_head.h"

struct origin_policy {
    /* As origin_check_pattern takes them; borrowed. */
    const char *const *allowed;
    size_t allowed_count; /* 0: only pages of the host that is asked for */
    bool host_is_known;   /* requests for another Host than this server's names do not come here */
};

enum origin_verdict {
    ORIGIN_NONE,     /* no Origin: the request is not known to be that of a page */
    ORIGIN_ADMITTED, /* a page that may come in, and read the answers */
    ORIGIN_FOREIGN,  /* a page that may not */
    ORIGIN_BAD,      /* not one field with exactly SCHEME://HOST[:PORT], or null: never admitted */
};

/* Judges the field Origin. Admitted are those on the list, whatever Host they ask for; and pages of
 * the Host that they ask for, where that is this machine, asked through a listener that only this
 * machine reaches (`loopback`), or, through another listener, where there is no list or Host is
 * known. */
enum origin_verdict origin_judge(const struct origin_policy *policy,
                                 const struct http_head *request, bool loopback);

/* The only check of Host: for plain HTTP without Origin, as a page that asks its own host may send
 * none. Through a listener that only this machine reaches, the Host must be the machine itself;
 * else it may be a stranger's page whose DNS says that its host is this machine. */
bool origin_host_is_own(const struct http_head *request, bool loopback);

/* Checks what --origin lists: an origin, with a default port or without, where `*.` in front of the
 * host stands for one or more labels; `null`, or `*` for all. Returns 0, or UV_EINVAL with a text,
 * for whatever could never match what a browser sends. */
int origin_check_pattern(const char *pattern, struct error *error);

/* True for a Host field that names this machine: localhost and what is below it, 127.0.0.0/8,
 * [::1]; with or without a port. */
bool origin_host_is_loopback(const char *host);

#endif

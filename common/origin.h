/* May a page of this origin talk to this server? (RFC 6455, 10.2; RFC 6454). Browsers let any page
 * open a WebSocket to any host, and send its origin along: it is the server that has to refuse. */
#ifndef WS_ORIGIN_H
#define WS_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/http_head.h"

struct origin_policy {
    const char *const *allowed; /* exact origins, or "*"; borrowed */
    size_t allowed_count;       /* 0: the same-host rule */
};

/* Without a list: a request without Origin may come in, and one whose Origin has the host of its
 * Host field; through a listener that only this machine reaches (`loopback`), that host must be the
 * machine itself, too, whatever a stranger's DNS says of it. With a list, only requests without
 * Origin and those on the list. Two Origin fields never. */
bool origin_is_allowed(const struct origin_policy *policy, const struct http_head *request,
                       bool loopback);

/* For plain HTTP, where a page that asks its own host sends no Origin: through a listener that only
 * this machine reaches, the Host must be the machine itself, or that of an allowed origin; else it
 * may be a stranger's page whose DNS says that its host is this machine. */
bool origin_host_is_own(const struct origin_policy *policy, const struct http_head *request,
                        bool loopback);

/* True for a Host field that names this machine: localhost and what is below it, 127.0.0.0/8, [::1];
 * with or without a port. */
bool origin_host_is_loopback(const char *host);

#endif

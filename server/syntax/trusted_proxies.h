/* The proxies whose word is taken for whom a connection or a request comes from
 * (--trusted-proxy). */
#ifndef WS_SERVER_SYNTAX_TRUSTED_PROXIES_H
#define WS_SERVER_SYNTAX_TRUSTED_PROXIES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/net/cidr.h"

enum { TRUSTED_PROXIES_MAX = 64 };

struct trusted_proxies {
    struct cidr blocks[TRUSTED_PROXIES_MAX];
    size_t count;
    bool unix_sockets; /* what comes through a Unix socket */
};

/* Adds "unix", an address, or a block of addresses. Returns 0, UV_EINVAL if it is none of these, or
 * UV_E2BIG when there are too many. */
int trusted_proxies_add(struct trusted_proxies *proxies, const char *text);

/* True if what comes from this address (of AF_UNIX, too) is a trusted proxy's. */
bool trusted_proxies_has(const struct trusted_proxies *proxies, const struct sockaddr *address);

#endif

/* A host and its port, as they are written: HOST, HOST:PORT, [IPV6-ADDRESS], [IPV6-ADDRESS]:PORT
 * (RFC 3986, 3.2). Nothing is copied. Whether the host is a name, or the port a number, is for the
 * caller to check. */
#ifndef WS_COMMON_BASE_AUTHORITY_H
#define WS_COMMON_BASE_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>

struct authority {
    const char *host; /* without brackets */
    size_t host_len;
    const char *port; /* NULL: there is no colon behind the host */
    size_t port_len;
    bool brackets; /* the host was in brackets: it can only be an IPv6 address */
};

/* The length of the host at the front of a text, with its brackets: up to the bracket that closes
 * it, or up to the first colon. 0 for a bracket that nothing closes. */
size_t authority_host_len(const char *text, size_t len);

/* Takes a text apart. False if it is in none of these forms: a bracket is not closed, something
 * other than a colon follows it, or a host without brackets has a colon in it. */
bool authority_split(const char *text, size_t len, struct authority *authority);

#endif

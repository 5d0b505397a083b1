/* The names by which this server may be asked (--server-name). A browser lets a page talk to its
 * own host, whatever address its DNS gives that host from one moment to the next: so a stranger's
 * page can reach any server that answers to the page's name (DNS rebinding). One that knows its own
 * names refuses the others with 421 (RFC 9110, 7.4 and 15.5.20). */
#ifndef WS_SERVER_SYNTAX_SERVER_NAMES_H
#define WS_SERVER_SYNTAX_SERVER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/http/http_head.h"

struct server_names {
    const char *const *list; /* NAME or NAME:PORT each, as server_names_valid has it; borrowed */
    size_t count;            /* 0: any name will do */
};

/* True for what can be in the list: a host name or an IPv4 address, or an IPv6 address in brackets;
 * and a port, if only that is meant. */
bool server_names_valid(const char *name);

/* Judges the Host field. Names are compared without regard to case and to a dot at the end; one in
 * the list that has no port matches any port, one with a port only that, which is the scheme's
 * default (`tls`: 443, else 80) in a Host without. Through a listener that only this machine
 * reaches (`loopback`), its own names (localhost, 127.0.0.1, ...) are always good. So is a request
 * of HTTP/1.0 without Host, which no browser sends. */
bool server_names_include(const struct server_names *names, const struct http_head *request,
                          bool tls, bool loopback);

#endif

/* The names of this server (--server-name). A browser lets a page use its own host, whatever
 * address that name resolves to: a page can therefore reach any server that accepts the page's
 * name (DNS rebinding). A server that knows its own names refuses others with 421 (RFC 9110, 7.4
 * and 15.5.20). */
#ifndef WS_SERVER_SYNTAX_SERVER_NAMES_H
#define WS_SERVER_SYNTAX_SERVER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/http/http_head.h"

struct server_names {
    const char *const *list; /* NAME or NAME:PORT each, as server_names_valid has it; borrowed */
    size_t count;            /* 0: any name is accepted */
};

/* True for a valid entry of the list: a host name, an IPv4 address, or an IPv6 address in brackets;
 * with a port if only that port is meant. */
bool server_names_valid(const char *name);

/* Checks the Host field. Names are compared without regard to case and to a final dot. An entry
 * without a port matches any port, one with a port only that; a Host without a port has the default
 * one of the scheme (443 if `tls`, else 80). Through a listener that only this machine reaches
 * (`loopback`), its own names (localhost, 127.0.0.1, ...) are always accepted, and so is a request
 * of HTTP/1.0 without Host, which browsers do not send. */
bool server_names_include(const struct server_names *names, const struct http_head *request,
                          bool tls, bool loopback);

/* True for a Host field that is an IP address, with or without a port: what a page cannot be led to
 * by DNS. */
bool server_names_is_address(const char *host);

#endif

/* Where a connection goes instead of where the URL says: --connect-to and --resolve, in curl's
 * meaning. What the server is told (Host, SNI, and whose certificate is expected) stays the
 * URL's. */
#ifndef WS_CLIENT_CONNECT_ROUTE_H
#define WS_CLIENT_CONNECT_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "client/connect/resolution.h"
#include "common/base/error.h"

enum { ROUTE_MAX_ADDRESSES = 16 };

struct route_rule;

struct route_rules {
    struct route_rule *_rules;
    size_t _count;
};

/* Adds "HOST:PORT:ADDRESS[,ADDRESS]...": addresses of that host at that port, '*' for any host.
 * Returns 0, UV_EINVAL with a text, or UV_ENOMEM. */
int route_add_resolve(struct route_rules *rules, const char *argument, struct error *error);

/* Adds "HOST1:PORT1:HOST2:PORT2": what is for the first goes to the second. An empty HOST1 or PORT1
 * stands for any, an empty HOST2 or PORT2 for the same. Errors as above. */
int route_add_connect_to(struct route_rules *rules, const char *argument, struct error *error);
void route_deinit(struct route_rules *rules);

/* Puts in place of `*host` and `*port` what the first --connect-to that fits says (borrowed). */
void route_redirect(const struct route_rules *rules, const char **host, uint16_t *port);

/* Copies the addresses, with the port, that the first --resolve that fits gives, and that are of
 * the family that is asked for. Returns their number; `*found` says whether any fits at all. */
size_t route_addresses(const struct route_rules *rules, const struct resolution_query *query,
                       struct sockaddr_storage addresses[ROUTE_MAX_ADDRESSES], bool *found);

#endif

/* The table of routes of the listeners that serve clients. */
#ifndef WS_SERVER_HTTP_ROUTES_H
#define WS_SERVER_HTTP_ROUTES_H

#include "common/base/error.h"
#include "server/config/server_options.h"
#include "server/http/router.h"

/* A router with this table, for the endpoint of the options, which are borrowed. */
struct router routes_of(const struct server_options *options);

/* Checks that no channel which the options name is one that clients cannot reach, as its path is
 * that of a route. Returns 0 or UV_EINVAL. */
int routes_check(const struct server_options *options, struct error *error);

#endif

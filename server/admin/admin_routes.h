/* The table of routes of --admin, and the check that guards it. */
#ifndef WS_SERVER_ADMIN_ADMIN_ROUTES_H
#define WS_SERVER_ADMIN_ADMIN_ROUTES_H

#include "server/http/router.h"

struct router admin_routes(void);

#endif

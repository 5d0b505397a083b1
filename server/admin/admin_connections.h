/* Who is connected. */
#ifndef WS_SERVER_ADMIN_ADMIN_CONNECTIONS_H
#define WS_SERVER_ADMIN_ADMIN_CONNECTIONS_H

#include "server/http/request.h"

/* GET /connections?channel=…&user=…&address=…&transport=…&after=ID&limit=N: a page of them, in the
 * order of their IDs, which is that of their coming. */
enum request_outcome admin_connections_list(struct request *request);

/* DELETE /connections/ID, or DELETE /connections with a filter as above: ends them, with 1008 and
 * ?reason=…. Says how many there were; 404 if that one is not there. */
enum request_outcome admin_connections_close(struct request *request);

#endif

/* What the operator may ask of the server as a whole. */
#ifndef WS_SERVER_ADMIN_ADMIN_CONTROL_H
#define WS_SERVER_ADMIN_ADMIN_CONTROL_H

#include "server/http/request.h"

/* POST /reload: as SIGHUP; 200 when the configuration is in force, or 409 with what is wrong. */
enum request_outcome admin_reload(struct request *request);

/* POST /drain: as SIGTERM; 202. */
enum request_outcome admin_drain(struct request *request);

/* GET /config: what is in force, as --print-config prints it. */
enum request_outcome admin_config(struct request *request);

/* DELETE /channels/NAME/history: forgets what is kept of a channel. */
enum request_outcome admin_forget_history(struct request *request);

#endif

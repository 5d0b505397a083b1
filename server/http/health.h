/* Whether the server is there, and ready to serve: for load balancers and supervisors. */
#ifndef WS_SERVER_HTTP_HEALTH_H
#define WS_SERVER_HTTP_HEALTH_H

#include "server/http/request.h"

/* 200 as long as it answers at all. */
enum request_outcome health_live(struct request *request);

/* 200 while subscribers are served; 503, with the reason, while it is starting or draining. */
enum request_outcome health_ready(struct request *request);

/* The same without the reason, for the public. */
enum request_outcome health_public(struct request *request);

#endif

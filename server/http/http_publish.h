/* The handler of POST: publishes the body, as one message, or as one message a line. */
#ifndef WS_SERVER_HTTP_HTTP_PUBLISH_H
#define WS_SERVER_HTTP_HTTP_PUBLISH_H

#include "server/http/request.h"

/* Checks what the head says. Returns REQUEST_BODY, or refuses. */
enum request_outcome http_publish_begin(struct request *request);

/* Publishes all of the body, or nothing and says why. The request is pending until there is a
 * receipt; if that takes too long the response is 504, as it is unknown what becomes of the
 * messages. */
enum request_outcome http_publish_body(struct request *request);

#endif

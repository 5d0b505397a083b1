/* Publishing with POST: the body is a message, or one message a line. For http_api alone, whose
 * functions say what these do. */
#ifndef WS_SERVER_HTTP_HTTP_PUBLISH_H
#define WS_SERVER_HTTP_HTTP_PUBLISH_H

#include "server/http/http_api.h"

/* Judges what the head says: true when the body is wanted. */
bool http_publish_may(const struct http_api *api, const struct http_api_request *request,
                      struct http_api_answer *answer);

uint64_t http_publish_max_body(const struct http_api *api, const struct http_api_request *request);

/* Publishes all of the body, or nothing and says why. */
void http_publish(const struct http_api *api, const struct http_api_request *request,
                  const uint8_t *body, size_t len, struct http_api_answer *answer);

#endif

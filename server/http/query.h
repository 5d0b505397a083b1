/* What can be looked at with GET, as JSON: all channels, one channel, and the messages that are
 * retained of it. For http_api alone. */
#ifndef WS_SERVER_HTTP_QUERY_H
#define WS_SERVER_HTTP_QUERY_H

#include "server/http/http_api.h"

/* A page of the channels: `?limit=N`, `?after=NAME`. */
void query_channels(const struct http_api *api, const struct http_api_request *request,
                    struct http_api_answer *answer);

/* Who is there, and how far behind: asks all workers. False when there is an answer already. */
bool query_ask(const struct http_api *api, const struct http_api_request *request, void *asker,
               void (*answered)(void *asker, const struct question *question),
               struct question **question, struct http_api_answer *answer);

/* The answer, when `answered` runs. */
void query_info(const struct question *question, struct http_api_answer *answer);

/* A page of the messages: `?limit=N`, `?after=ID`, or from where a listener would begin (since);
 * without any of these, from the oldest on. */
void query_messages(const struct http_api *api, const struct http_api_request *request,
                    struct http_api_answer *answer);

#endif

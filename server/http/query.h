/* The handlers of what can be read with GET, as JSON: the list of channels, figures of one channel,
 * and the messages that its history holds. */
#ifndef WS_SERVER_HTTP_QUERY_H
#define WS_SERVER_HTTP_QUERY_H

#include "server/http/request.h"

/* Reads `?limit=`, the entries of a page: 100, if it is not given, up to 1000. False if it is not
 * valid, and the response says so. */
bool query_get_limit(struct request *request, size_t *limit);

/* A page of the list of channels: `?limit=N`, `?after=NAME`. */
enum request_outcome query_channels(struct request *request);

/* `?info`: how many are subscribed, and how far behind. All workers are asked; the request is
 * pending until they have answered. */
bool query_is_for_info(const struct request *request);
enum request_outcome query_info(struct request *request);

/* A page of the messages: `?limit=N`, `?after=ID`, or from where a subscriber would begin
 * (replay_from); without any of these, from the oldest on. */
bool query_is_for_messages(const struct request *request);
enum request_outcome query_messages(struct request *request);

#endif

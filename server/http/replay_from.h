/* From where a request wants to hear: `?history=N`, `?history=all`, `?last_event_id=ID`, or the
 * field Last-Event-ID. An ID says more than a history: who comes back with the URL of its first
 * visit has one by now. For the same reason the field, which browsers keep up to date, says more
 * than the query. */
#ifndef WS_SERVER_HTTP_REPLAY_FROM_H
#define WS_SERVER_HTTP_REPLAY_FROM_H

#include "common/http/http_head.h"
#include "server/broadcast/channel.h"
#include "server/http/request_target.h"

/* An ID that is empty is none. Returns 0, or UV_EINVAL with `*why` for people (static). */
int replay_from_parse(const struct http_head *request, const struct request_target *resource,
                      struct channel_since *since, const char **why);

/* The same for an event stream, where an ID that is not ours is one of another epoch: a browser
 * sends what it heard last, from whatever server, and after a refusal it never comes back. */
int replay_from_parse_any(const struct http_head *request, const struct request_target *resource,
                          struct channel_since *since, const char **why);

#endif

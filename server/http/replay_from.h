/* From where a subscriber or reader wants the messages: `?history=N`, `?history=all`,
 * `?last_event_id=ID`, or the field Last-Event-ID. An ID takes precedence over a history: a client
 * that comes back with the URL of its first visit has an ID by then. For the same reason the field,
 * which browsers keep up to date, takes precedence over the query. */
#ifndef WS_SERVER_HTTP_REPLAY_FROM_H
#define WS_SERVER_HTTP_REPLAY_FROM_H

#include "common/http/http_head.h"
#include "server/broadcast/channel.h"
#include "server/http/request_target.h"

#define REPLAY_FROM_NOT_AN_ID "not a valid event ID: send an ID exactly as received, or none"

/* An empty ID counts as none. Returns 0, or UV_EINVAL with `*why` for people (static). */
int replay_from_parse(const struct http_head *request, const struct request_target *target,
                      struct channel_replay_from *from, const char **why);

/* The same for an event stream, where an ID in another form counts as one of another epoch: a
 * browser sends the last ID that it got, from whatever server, and does not reconnect after a
 * refusal. */
int replay_from_parse_any(const struct http_head *request, const struct request_target *target,
                          struct channel_replay_from *from, const char **why);

/* `?gap=refuse`: the subscriber wants nothing if messages behind its ID are missing. Returns 0, or
 * UV_EINVAL with `*why` for people (static). */
int replay_from_parse_gap(const struct request_target *target, bool *refuses, const char **why);

#endif

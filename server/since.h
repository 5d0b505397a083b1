/* From where a request wants to hear: `?history=N`, `?history=all`, `?last_event_id=ID`, or the
 * field Last-Event-ID. An ID says more than a history: who comes back with the URL of its first
 * visit has one by now. For the same reason the field, which browsers keep up to date, says more
 * than the query. */
#ifndef WS_SINCE_H
#define WS_SINCE_H

#include "common/http_head.h"
#include "common/resource.h"
#include "server/channel.h"

/* Returns 0, or UV_EINVAL with `*why` for people (static). */
int since_parse(const struct http_head *request, const struct resource *resource,
                struct channel_since *since, const char **why);

#endif

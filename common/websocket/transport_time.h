/* What transport does with time: deadlines of each stage, keep-alive, and the tick that looks at
 * them. A transport has one deadline at a time, in one of its context's lists:
 *
 *     OPENING  _opening, _body (that of a request), _kept (between two), or _last (in the end)
 *     OPEN     _quiet, _asked (a ping is out) or _message (within one)
 *     CLOSING, DRAINING, or when writing has failed  _closing
 *
 * For transport and its parts alone. */
#ifndef WS_COMMON_WEBSOCKET_TRANSPORT_TIME_H
#define WS_COMMON_WEBSOCKET_TRANSPORT_TIME_H

#include "common/websocket/transport.h"

/* Puts the transport's deadline into one of its context's lists, from now on. */
void transport_time_start(struct transport *transport, struct deadline_list *deadlines);

/* Deadlines may have become shorter: the tick looks at them. */
void transport_time_wake(struct transport_context *context);

/* The connection has shown that it lives: it is left alone for another interval. */
void transport_time_quiet(struct transport *transport);

/* All that came is read. Within a message, the clock runs; it starts anew when one has been
 * `completed` and the next has begun. */
void transport_time_message(struct transport *transport, bool completed);

#endif

/* What transport.c (stages, and what frames mean) and transport_read.c (reading from the stream)
 * share. For the files of transport alone. */
#ifndef WS_COMMON_WEBSOCKET_TRANSPORT_PRIVATE_H
#define WS_COMMON_WEBSOCKET_TRANSPORT_PRIVATE_H

#include "common/websocket/transport.h"

/* Closes the stream: on_closed follows. With `reset`, what the peer has not taken is dropped. */
void transport_close_stream(struct transport *transport, bool reset);

/* Starts reading for the first time. Returns 0 or a negative UV_E* code. */
int transport_read_begin(struct transport *transport);

/* Reads on, unless there is a reason not to. */
void transport_read_start(struct transport *transport);

/* What was read, or kept, has been taken: the owner is told. */
void transport_read_taken(struct transport *transport);

#endif

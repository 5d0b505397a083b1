/* The writing half of transport: what waits to be written, the flush, and what a full socket
 * leaves behind. For transport and its parts alone.
 *
 * A connection has an output only while it has something of its own to say, or while its socket is
 * full. When the socket takes no more, just the next few bytes are copied and left with libuv: a
 * small pending write, whose completion signals that the socket is writable again. The owner's
 * bytes stay where they are, and the owner may drop all but the frame that has begun. */
#ifndef WS_COMMON_WEBSOCKET_TRANSPORT_OUTPUT_H
#define WS_COMMON_WEBSOCKET_TRANSPORT_OUTPUT_H

#include "common/websocket/transport.h"

struct transport_pending_write;

struct transport_output {
    struct list dirty; /* in its context's, while something waits for the flush */
    struct transport *transport;
    struct transport_pending_write *pending; /* while the socket is full; else NULL */
    struct outbox outbox;
};

/* The output, made when it is first needed, and listed for the flush. NULL when out of memory, or
 * when it is too late to say anything. */
struct transport_output *transport_output_need(struct transport *transport);

/* Forgets what waits; but the pending write, which libuv has, stays until its callback. */
void transport_output_drop(struct transport *transport);

/* True while the transport has something of its own that is not written. */
bool transport_output_owes(const struct transport *transport);

/* What own frames are encoded with. */
struct outbox_coder transport_output_coder(const struct transport *transport);

/* ---- transport's, for the output ---- */

/* Everything queued before and with the end is written. */
void transport_last_written(struct transport *transport);

/* Writing does not work any more. */
void transport_shut_write(struct transport *transport, int status);

#endif

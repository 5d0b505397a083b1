/* What the files of a connection share: connection.c (its life and its messages) and
 * connection_opening.c (the opening handshake, and a server that refuses it). For them alone. */
#ifndef WS_CLIENT_CONNECT_CONNECTION_PRIVATE_H
#define WS_CLIENT_CONNECT_CONNECTION_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/connect/connection.h"

/* The first to know how it ended tells. */
void connection_conclude(struct connection *connection, const struct outcome *outcome);

/* ---- connection_events.c ---- */

/* The head of a response to the request for an event stream has come: true if it is one, else why
 * not is in `outcome`. */
bool connection_events_judge(struct connection *connection, struct outcome *outcome);

/* It is one: begins to read it. */
void connection_events_begin(struct connection *connection);

/* Its bytes, behind the head. */
void connection_events_input(struct connection *connection, const uint8_t *data, size_t len);

/* The connection ends, for this reason. True if that is known to be the stream's end, and told. */
bool connection_events_end(struct connection *connection, int status);

/* ---- connection_opening.c ---- */

/* Asks for the upgrade. Returns 0 or a negative UV_E* code. */
int connection_opening_begin(struct connection *connection, struct tls_context *tls);

/* Of transport_ops. */
void connection_opening_input(struct transport *transport, const uint8_t *data, size_t len);
void connection_opening_timeout(struct transport *transport);

/* True while the body of a refusal is read: how it ended is known, and not told. */
bool connection_opening_is_refused(const struct connection *connection);

/* Then: tells it, with what has come of the body. */
void connection_opening_conclude(struct connection *connection);

#endif

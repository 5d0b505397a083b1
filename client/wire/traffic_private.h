/* What the files of a traffic share: traffic.c (its life, and what comes in), traffic_send.c (what
 * goes out) and traffic_complete.c. For them alone. */
#ifndef WS_CLIENT_WIRE_TRAFFIC_PRIVATE_H
#define WS_CLIENT_WIRE_TRAFFIC_PRIVATE_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "client/wire/traffic.h"

/* ---- traffic_send.c ---- */

extern const struct input_ops traffic_input_ops;

/* Sends a message back. */
void traffic_send_echo(struct traffic *traffic, enum frame_opcode opcode, const uint8_t *data,
                       size_t len);

/* The time of _greeting has come: sends what -m asks for, and begins to send what comes from
 * standard input. */
void traffic_send_greeting(uv_timer_t *timer);

#endif

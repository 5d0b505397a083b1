/* What -v shows, a line each on stderr: '>' for what we say, '<' for what the server says. The
 * handshakes without what is secret in them, frames with their sizes, and never a payload. */
#ifndef WS_CLIENT_MONITOR_TRACE_H
#define WS_CLIENT_MONITOR_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options/string_list.h"
#include "common/websocket/frame.h"

/* A head of HTTP. Not shown are the values of fields that bear credentials and of those in `hidden`
 * (whole lines, "NAME: VALUE", of -H), and what looks like a credential among the subprotocols and
 * in the query of a URL (secret.h). */
void trace_head(bool own, const uint8_t *head, size_t len, const struct string_list *hidden);

/* A message or a control frame, with the size of its payload. */
void trace_frame(bool own, enum frame_opcode opcode, size_t len);

#endif

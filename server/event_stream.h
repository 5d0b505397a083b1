/* A message as an event of Server-Sent Events (WHATWG HTML, 9.2.6): its ID, and its payload as
 * lines of data; binary is base64, in an event of the type "binary". Pure. */
#ifndef WS_EVENT_STREAM_H
#define WS_EVENT_STREAM_H

#include <stddef.h>

#include "common/buffer.h"
#include "common/event_id.h"
#include "common/frame.h"

enum { EVENT_STREAM_MAX_ID = 4 + EVENT_ID_SIZE }; /* bytes of the line with the ID */

/* Writes the first line of an event, with its newline and without a NUL. Returns its length. */
size_t event_stream_write_id(char out[EVENT_STREAM_MAX_ID + 1], struct event_id id);

/* Appends all but the first line, up to and with the empty line that ends the event. The payload is
 * the parts put together. Returns 0, or UV_ENOMEM with the buffer unchanged. */
int event_stream_add(struct buffer *out, enum frame_opcode opcode, const struct frame_part *parts,
                     size_t count);

#endif

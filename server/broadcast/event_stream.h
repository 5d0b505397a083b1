/* A message as an event of Server-Sent Events (WHATWG HTML, 9.2.6): its ID, and its payload as
 * lines of data; binary is base64, in an event of the type "binary". An event has at most six bytes
 * for each of its message, and some sixty more. Pure. */
#ifndef WS_SERVER_BROADCAST_EVENT_STREAM_H
#define WS_SERVER_BROADCAST_EVENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/websocket/event_id.h"
#include "common/websocket/frame.h"

enum {
    EVENT_STREAM_MAX_ID = 4 + EVENT_ID_SIZE, /* bytes of the line with the ID */
    EVENT_STREAM_MIN_ROOM = 64,              /* bytes in which event_stream_write gets on */
};

/* Writes the first line of an event, with its newline and without a NUL. Returns its length. */
size_t event_stream_write_id(char out[EVENT_STREAM_MAX_ID + 1], struct event_id id);

/* What such a line says without the name of its field: the ID and the newline. */
struct frame_part event_stream_id_alone(struct frame_part line);

/* Appends all but the first line, up to and with the empty line that ends the event. The payload is
 * the parts put together. Returns 0, or UV_ENOMEM with the buffer unchanged. */
int event_stream_add(struct buffer *out, enum frame_opcode opcode, const struct frame_part *parts,
                     size_t count);

/* Bytes that event_stream_add appends for this payload. */
size_t event_stream_size(enum frame_opcode opcode, const void *payload, size_t len);

/* How much of an event has been written in pieces; {0}: nothing. */
struct event_stream_progress {
    size_t used;  /* bytes of the payload */
    bool begun;   /* what precedes the payload is written */
    bool in_line; /* the "data:" of the line that comes next is written */
    bool done;    /* all is written */
};

/* The same bytes as event_stream_add appends, in pieces: writes those that follow, at most `room`,
 * and moves the place on. Whatever the payload, it gets on where there is EVENT_STREAM_MIN_ROOM.
 * Returns how many bytes were written. */
size_t event_stream_write(uint8_t *out, size_t room, enum frame_opcode opcode, const void *payload,
                          size_t len, struct event_stream_progress *progress);

#endif

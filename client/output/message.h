/* A message on its way out: what came, and what is known about it. */
#ifndef WS_CLIENT_OUTPUT_MESSAGE_H
#define WS_CLIENT_OUTPUT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "client/resume/position.h"
#include "common/websocket/frame.h"

struct message {
    enum frame_opcode opcode; /* FRAME_TEXT or FRAME_BINARY */
    const uint8_t *data;      /* borrowed; text is valid UTF-8 */
    size_t len;
    const char *id; /* where render_wants_id: its event ID, borrowed; "" if the server gives none */
    /* Where render_wants_id: how many were lost just before it, or POSITION_UNKNOWN. */
    uint64_t gap;
    /* Set only where render_wants_time: nanoseconds since 1970 when it was complete, and since
     * wsrecv was started (on a monotonic clock). */
    int64_t time;
    int64_t since_start;
};

#endif

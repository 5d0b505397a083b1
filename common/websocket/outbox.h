/* What a transport has to say for itself, encoded and waiting for the flush: own frames, the
 * answers to pings, and the Close that ends it all; all of it leaves in the order in which it was
 * added. {0} is empty and holds no memory. */
#ifndef WS_COMMON_WEBSOCKET_OUTBOX_H
#define WS_COMMON_WEBSOCKET_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/websocket/extension.h"
#include "common/websocket/frame.h"

struct deflater;

struct outbox {
    struct buffer frames; /* the opening handshake, messages, pings, and pongs that precede them */
    struct buffer pongs;  /* added after all of those: newer ones may replace them */
    uint8_t close_len;
    uint8_t close[FRAME_MAX_HEADER + FRAME_MAX_CONTROL];
};

/* What frames are encoded with: the loop's encoder and deflater, and what the connection agreed on
 * (NULL: no compression). */
struct outbox_coder {
    struct frame_encoder *encoder;
    struct deflater *deflater;
    const struct extension_deflate *agreed;
    bool server;
};

void outbox_deinit(struct outbox *outbox);

/* True when nothing waits, not even a Close. */
bool outbox_is_empty(const struct outbox *outbox);

/* Drops the first `len` bytes of frames and pongs, in this order, which are written. What is left
 * of the pongs, if they were begun, becomes frames: newer ones will not take its place. Returns 0
 * or UV_ENOMEM. */
int outbox_drop(struct outbox *outbox, size_t len);

/* Adds a frame, behind the pongs that wait; a message is compressed where that was agreed on and
 * makes it smaller. Returns 0, UV_ENOMEM, or UV_EIO when the CSPRNG fails. */
int outbox_add(struct outbox *outbox, const struct outbox_coder *coder, enum frame_opcode opcode,
               const void *data, size_t len);

/* Adds a pong. When pings come faster than the answers leave, the newest answer alone is kept (RFC
 * 6455, 5.5.3). Errors as outbox_add. */
int outbox_add_pong(struct outbox *outbox, const struct outbox_coder *coder, const void *data,
                    size_t len);

/* Sets the Close frame: with `code` and `reason` (cut at what fits), or an empty one for
 * CLOSE_NO_STATUS. Errors as outbox_add. */
int outbox_set_close(struct outbox *outbox, const struct outbox_coder *coder, uint16_t code,
                     const char *reason);

#endif

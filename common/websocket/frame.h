/* A message becomes frame bytes (RFC 6455, 5.2), by wslay's frame layer, straight into the memory
 * where they are wanted. */
#ifndef WS_COMMON_WEBSOCKET_FRAME_H
#define WS_COMMON_WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 6455, 11.8 */
enum frame_opcode {
    FRAME_CONTINUATION = 0x0,
    FRAME_TEXT = 0x1,
    FRAME_BINARY = 0x2,
    FRAME_CLOSE = 0x8,
    FRAME_PING = 0x9,
    FRAME_PONG = 0xa,
};

/* RFC 6455, 7.4.1 */
enum frame_close_code {
    CLOSE_NORMAL = 1000,
    CLOSE_GOING_AWAY = 1001,
    CLOSE_PROTOCOL_ERROR = 1002,
    CLOSE_UNSUPPORTED_DATA = 1003,
    CLOSE_NO_STATUS = 1005, /* never on the wire: the Close frame bore no code */
    CLOSE_ABNORMAL = 1006,  /* never on the wire: there was no Close frame */
    CLOSE_INVALID_DATA = 1007,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_BIG = 1009,
    CLOSE_INTERNAL_ERROR = 1011,
};

enum {
    FRAME_MAX_HEADER = 14,
    FRAME_MAX_CONTROL = 125,                  /* payload bytes of a control frame (RFC 6455, 5.5) */
    FRAME_MAX_REASON = FRAME_MAX_CONTROL - 2, /* bytes of a Close frame's reason */
};

/* A part of a payload, borrowed. */
struct frame_part {
    const void *data;
    size_t len;
};

/* Turns messages into frames for one loop: one wslay context, and randomness drawn in bulk. */
struct frame_encoder;

/* `masked` is true for a client (RFC 6455, 5.3: each frame gets a fresh key from a CSPRNG).
 * Returns 0 or UV_ENOMEM. */
int frame_encoder_new(struct frame_encoder **encoder, bool masked);
void frame_encoder_free(struct frame_encoder *encoder);

/* The bytes on the wire of a frame with this much payload. */
size_t frame_size(bool masked, uint64_t payload);

/* What the `len` bytes at the start of a frame say of its payload's length, and nothing judged: not
 * that the form is the shortest, not the 63 bits. Returns the length of the header up to where a
 * masking key would be; 0 while there are fewer bytes than those. (RFC 6455, 5.2) */
static inline size_t frame_peek(const uint8_t *data, size_t len, uint64_t *payload)
{
    size_t header = 2;

    if (len < header)
        return 0;
    *payload = data[1] & 0x7f;
    if (*payload < 126)
        return header;
    header += *payload == 126 ? 2 : 8;
    if (len < header)
        return 0;
    *payload = 0;
    for (size_t i = 2; i < header; i++)
        *payload = *payload << 8 | data[i];
    return header;
}

/* The bytes of a whole frame that begins at `frame` and is known to be right, as in a log of frames
 * that we encoded. */
uint64_t frame_length(const uint8_t *frame);

/* Takes apart such a frame, which is not masked: its opcode, and its payload, borrowed. */
enum frame_opcode frame_look(const uint8_t *frame, struct frame_part *payload);

/* Writes the header of a server's frame, which is not masked nor compressed, with `payload` bytes
 * behind it; `fin`: it ends its message (RFC 6455, 5.4). Returns its length, that is
 * frame_size(false, payload) - payload. */
size_t frame_write_header(uint8_t *out, enum frame_opcode opcode, bool fin, uint64_t payload);

/* Writes one unfragmented frame, whose payload is the `count` parts put together, to `out`, which
 * has room for frame_size() of it. `compressed` sets RSV1 (RFC 7692, 6). Returns 0, or UV_EIO when
 * the CSPRNG fails. */
int frame_encode(struct frame_encoder *encoder, uint8_t *out, enum frame_opcode opcode,
                 bool compressed, const struct frame_part *parts, size_t count);

#endif

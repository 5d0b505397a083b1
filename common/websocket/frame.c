#include "common/websocket/frame.h"

#include <assert.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <wslay/wslay.h>

enum { KEY_STOCK = 1024 }; /* bytes of randomness drawn at a time */

struct frame_encoder {
    wslay_frame_context_ptr wslay;
    bool masked;
    uint8_t *out; /* where the next byte of the frame being encoded goes */
    size_t keys_left;
    uint8_t keys[KEY_STOCK];
};

static ssize_t on_send(const uint8_t *data, size_t len, int flags, void *user_data)
{
    struct frame_encoder *encoder = user_data;

    (void) flags;
    memcpy(encoder->out, data, len);
    encoder->out += len;
    return (ssize_t) len;
}

static int on_masking_key(uint8_t *key, size_t len, void *user_data)
{
    struct frame_encoder *encoder = user_data;

    if (encoder->keys_left < len) {
        if (RAND_bytes(encoder->keys, sizeof encoder->keys) != 1)
            return -1;
        encoder->keys_left = sizeof encoder->keys;
    }
    encoder->keys_left -= len;
    memcpy(key, encoder->keys + encoder->keys_left, len);
    return 0;
}

int frame_encoder_new(struct frame_encoder **encoder, bool masked)
{
    static const struct wslay_frame_callbacks callbacks = {
        .send_callback = on_send,
        .genmask_callback = on_masking_key,
    };
    struct frame_encoder *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->masked = masked;
    if (wslay_frame_context_init(&fresh->wslay, &callbacks, fresh) != 0) {
        free(fresh);
        return UV_ENOMEM;
    }
    *encoder = fresh;
    return 0;
}

void frame_encoder_free(struct frame_encoder *encoder)
{
    if (encoder == NULL)
        return;
    wslay_frame_context_free(encoder->wslay);
    free(encoder);
}

size_t frame_size(bool masked, uint64_t payload)
{
    size_t length_field = payload < 126 ? 0 : payload <= UINT16_MAX ? 2 : 8;

    return 2 + length_field + (masked ? 4 : 0) + (size_t) payload;
}

uint64_t frame_length(const uint8_t *frame)
{
    bool masked = (frame[1] & 0x80) != 0;
    uint64_t payload = 0;
    size_t header = frame_peek(frame, FRAME_MAX_HEADER, &payload);

    return header + (masked ? 4 : 0) + payload;
}

enum frame_opcode frame_look(const uint8_t *frame, struct frame_part *payload)
{
    uint64_t len = 0;
    size_t header = frame_peek(frame, FRAME_MAX_HEADER, &len);

    *payload = (struct frame_part){frame + header, (size_t) len};
    return (enum frame_opcode)(frame[0] & 0x0f);
}

size_t frame_write_header(uint8_t *out, enum frame_opcode opcode, bool fin, uint64_t payload)
{
    size_t header = frame_size(false, payload) - (size_t) payload;

    out[0] = (uint8_t) ((fin ? 0x80 : 0) | opcode);
    out[1] = (uint8_t) (header == 2 ? payload : header == 4 ? 126 : 127);
    for (size_t i = header - 1; i > 1; i--) {
        out[i] = (uint8_t) payload;
        payload >>= 8;
    }
    return header;
}

int frame_encode(struct frame_encoder *encoder, uint8_t *out, enum frame_opcode opcode,
                 bool compressed, const struct frame_part *parts, size_t count)
{
    struct wslay_frame_iocb frame = {
        .fin = 1,
        .rsv = compressed ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE,
        .opcode = (uint8_t) opcode,
        .mask = encoder->masked ? 1 : 0,
    };

    for (size_t i = 0; i < count; i++)
        frame.payload_length += parts[i].len;
    encoder->out = out;
    /* The header goes out with the first part that has bytes, or alone. */
    for (size_t i = 0; i < count || encoder->out == out; i++) {
        frame.data = i < count ? parts[i].data : NULL;
        frame.data_length = i < count ? parts[i].len : 0;
        if (frame.data_length == 0 && i < count)
            continue;
        if (wslay_frame_send(encoder->wslay, &frame) < 0)
            return UV_EIO; /* our callbacks take everything: only the masking key can fail */
    }
    assert(encoder->out == out + frame_size(encoder->masked, frame.payload_length));
    return 0;
}

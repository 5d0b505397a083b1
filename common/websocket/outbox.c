#include "common/websocket/outbox.h"

#include <string.h>
#include <uv.h>

#include "common/websocket/deflate.h"

enum {
    MAX_PONGS = 2048,     /* bytes of pongs that wait */
    MIN_COMPRESSED = 128, /* bytes of a message that are worth compressing */
};

void outbox_deinit(struct outbox *outbox)
{
    buffer_deinit(&outbox->frames);
    buffer_deinit(&outbox->pongs);
}

bool outbox_is_empty(const struct outbox *outbox)
{
    return outbox->frames.len == 0 && outbox->pongs.len == 0 && outbox->close_len == 0;
}

/* What is added next comes behind the pongs that wait: they keep their place, and no newer pong
 * takes it. Returns 0 or UV_ENOMEM. */
static int settle_pongs(struct outbox *outbox)
{
    int status = 0;

    if (outbox->pongs.len > 0)
        status = buffer_append(&outbox->frames, outbox->pongs.data, outbox->pongs.len);
    outbox->pongs.len = 0;
    return status;
}

int outbox_drop(struct outbox *outbox, size_t len)
{
    size_t of_frames = len < outbox->frames.len ? len : outbox->frames.len;
    size_t of_pongs = len - of_frames;

    buffer_drop(&outbox->frames, of_frames);
    buffer_drop(&outbox->pongs, of_pongs);
    return of_pongs > 0 ? settle_pongs(outbox) : 0;
}

/* Puts the compressed form of a message in place of `part`, if that is agreed on and smaller. */
static bool compress(const struct outbox_coder *coder, enum frame_opcode opcode,
                     struct frame_part *part)
{
    const struct extension_deflate *agreed = coder->agreed;
    struct frame_part compressed;

    if (agreed == NULL || part->len < MIN_COMPRESSED ||
        (opcode != FRAME_TEXT && opcode != FRAME_BINARY))
        return false;
    if (!deflater_deflate(coder->deflater,
                          coder->server ? agreed->server_max_window_bits
                                        : agreed->client_max_window_bits,
                          part, 1, &compressed))
        return false;
    *part = compressed;
    return true;
}

static int append_frame(struct buffer *out, const struct outbox_coder *coder,
                        enum frame_opcode opcode, const void *data, size_t len)
{
    struct frame_part part = {data, len};
    bool compressed = compress(coder, opcode, &part);
    size_t size = frame_size(!coder->server, part.len);
    int status = buffer_reserve(out, size);

    if (status == 0)
        status = frame_encode(coder->encoder, out->data + out->len, opcode, compressed, &part, 1);
    if (status == 0)
        out->len += size;
    return status;
}

int outbox_add(struct outbox *outbox, const struct outbox_coder *coder, enum frame_opcode opcode,
               const void *data, size_t len)
{
    int status = settle_pongs(outbox);

    return status == 0 ? append_frame(&outbox->frames, coder, opcode, data, len) : status;
}

int outbox_add_pong(struct outbox *outbox, const struct outbox_coder *coder, const void *data,
                    size_t len)
{
    if (outbox->pongs.len + frame_size(!coder->server, len) > MAX_PONGS)
        outbox->pongs.len = 0;
    return append_frame(&outbox->pongs, coder, FRAME_PONG, data, len);
}

int outbox_set_close(struct outbox *outbox, const struct outbox_coder *coder, uint16_t code,
                     const char *reason)
{
    uint8_t payload[FRAME_MAX_CONTROL];
    struct frame_part part = {payload, 0};
    size_t len = strlen(reason);
    int status;

    if (code != CLOSE_NO_STATUS) {
        payload[0] = (uint8_t) (code >> 8);
        payload[1] = (uint8_t) code;
        if (len > FRAME_MAX_REASON)
            len = FRAME_MAX_REASON;
        memcpy(payload + 2, reason, len);
        part.len = 2 + len;
    }
    status = frame_encode(coder->encoder, outbox->close, FRAME_CLOSE, false, &part, 1);
    if (status == 0)
        outbox->close_len = (uint8_t) frame_size(!coder->server, part.len);
    return status;
}

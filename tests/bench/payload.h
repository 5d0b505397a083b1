/* What is published. Every message is text of one size, and bears its sequence number, a stamp of
 * eight letters, by which a delivery is recognized without a search:
 *
 *     64 bytes:          abcdefgh ~~~ filler of lower-case letters ~~~
 *     more, as JSON:     {"id":"abcdefgh","rows":[{"n":…,"v":…},…],"pad":"…"}
 *
 * A server may put a prefix of its own before the text; the stamp is found from the payload's end.
 */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/buffer.h"

enum {
    PAYLOAD_STAMP = 8,      /* bytes of the stamp */
    PAYLOAD_MIN = 16,       /* bytes of the shortest payload */
    PAYLOAD_TEMPLATES = 16, /* bodies that take turns, so that no two in a row compress alike */
};

struct payload {
    size_t size;
    size_t stamp_at;
    uint8_t *_bodies[PAYLOAD_TEMPLATES];
};

/* `json`: the text is JSON with numbers that differ, as compresses like real messages do; else
 * plain filler. Returns 0 or UV_ENOMEM. */
int payload_init(struct payload *payload, size_t size, bool json);
void payload_deinit(struct payload *payload);

/* Appends the message as one masked frame (RFC 6455, 5.2). Returns 0 or UV_ENOMEM. */
int payload_append_frame(const struct payload *payload, uint32_t sequence, struct buffer *out);

/* True when these are the bytes of that message. */
bool payload_is(const struct payload *payload, uint32_t sequence, const uint8_t *data);

/* Appends a masked control frame of at most 125 bytes. Returns 0 or UV_ENOMEM. */
int payload_append_control(uint8_t opcode, const void *data, size_t len, struct buffer *out);

/* Reads the stamp. False when there is none. A letter holds four bits, '@' to 'O', least first. */
static inline bool payload_read_stamp(const uint8_t *stamp, uint32_t *sequence)
{
    uint64_t letters;

    memcpy(&letters, stamp, sizeof letters);
    if ((letters & 0xf0f0f0f0f0f0f0f0) != 0x4040404040404040)
        return false;
    letters &= 0x0f0f0f0f0f0f0f0f;
    letters = (letters | letters >> 4) & 0x00ff00ff00ff00ff;
    letters = (letters | letters >> 8) & 0x0000ffff0000ffff;
    *sequence = (uint32_t) (letters | letters >> 16);
    return true;
}

#endif

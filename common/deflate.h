/* permessage-deflate's work on payloads (RFC 7692, 7.2), by zlib: whole messages are deflated, and
 * compressed ones are inflated as they arrive, never beyond a cap. */
#ifndef WS_DEFLATE_H
#define WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/frame.h"

/* Deflates messages, each by itself (no context takeover); one a loop. */
struct deflater;

/* `level` is zlib's, 1 to 9. Returns 0 or UV_ENOMEM. */
int deflater_new(struct deflater **deflater, int level);
void deflater_free(struct deflater *deflater);

/* Deflates the payload that the parts make together, for a receiver whose window has 2^`bits`
 * bytes (8 to 15). Returns true with the result in `*out` (borrowed until the next call); false
 * when that would be no smaller than the payload, or memory is out: send it as it is. */
bool deflater_deflate(struct deflater *deflater, unsigned bits, const struct frame_part *parts,
                      size_t count, struct frame_part *out);

/* Inflates the compressed messages of one connection, piece by piece. Holds some 7 KiB, and up to
 * 32 KiB of window. */
struct inflater;

/* `bits`: the sender's window. Returns 0 or UV_ENOMEM. */
int inflater_new(struct inflater **inflater, unsigned bits);
void inflater_free(struct inflater *inflater);

/* Forgets what came before: the sender does not use it. */
void inflater_reset(struct inflater *inflater);

/* Inflates the next piece of a message to the end of `out`, which must not come to hold more than
 * `max` bytes. `last` says that the message ends with it. Returns 0, UV_EILSEQ when this is no
 * deflate stream, or no whole one, UV_E2BIG when there is more than `max` of it, or UV_ENOMEM. */
int inflater_inflate(struct inflater *inflater, const uint8_t *data, size_t len, bool last,
                     struct buffer *out, uint64_t max);

#endif

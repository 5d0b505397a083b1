/* permessage-deflate's work on payloads (RFC 7692, 7.2), by zlib: whole messages are deflated, and
 * compressed ones are inflated as they arrive, never beyond a cap. */
#ifndef WS_COMMON_WEBSOCKET_DEFLATE_H
#define WS_COMMON_WEBSOCKET_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/websocket/frame.h"

/* Deflates messages, each by itself (no context takeover); one a loop.
 *
 * Its time is bounded, whatever it is given: how long zlib searches for repetitions depends on the
 * text, and some texts cost it a hundred times what is usual. All that is deflated between two
 * calls of deflater_start shares one allowance of CPU time: when DEFLATER_SLOW of it is spent, what
 * follows is deflated at level 1, whose search is short; when DEFLATER_MOST is spent, nothing more
 * is deflated. The clock is read once in DEFLATER_PIECE bytes, and not at all for less. */
struct deflater;

enum {
    DEFLATER_PIECE = 16 * 1024,       /* bytes of payload deflated between two looks at the clock */
    DEFLATER_JUDGED = 64 * 1024,      /* bytes that must have become fewer for a message to go on */
    DEFLATER_SLOW = 5 * 1000 * 1000,  /* nanoseconds of CPU time */
    DEFLATER_MOST = 30 * 1000 * 1000, /* nanoseconds of CPU time */
};

/* `level` is zlib's, 1 to 9. Returns 0 or UV_ENOMEM. */
int deflater_new(struct deflater **deflater, int level);
void deflater_free(struct deflater *deflater);

/* `now` tells the time by which the allowance is judged, in nanoseconds; without this call it is
 * the CPU time of the calling thread. */
void deflater_set_clock(struct deflater *deflater, uint64_t (*now)(void));

/* Begins a new allowance for messages whose payloads have `payload` bytes together, and forgets the
 * results so far. Without memory for theirs, none of them is deflated. */
void deflater_start(struct deflater *deflater, size_t payload);

/* Deflates the payload that the parts make together, for a receiver whose window has 2^`bits`
 * bytes (8 to 15). Returns true with the result in `*out` (borrowed until the next deflater_start);
 * false when that would be no smaller than the payload, when it takes too long, or when memory is
 * out: send it as it is. */
bool deflater_add(struct deflater *deflater, unsigned bits, const struct frame_part *parts,
                  size_t count, struct frame_part *out);

/* Both, for one message. */
bool deflater_deflate(struct deflater *deflater, unsigned bits, const struct frame_part *parts,
                      size_t count, struct frame_part *out);

/* How many bytes of payload zlib has worked on since deflater_start, whether or not that led to a
 * result. */
uint64_t deflater_work(const struct deflater *deflater);

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

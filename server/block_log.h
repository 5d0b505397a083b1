/* The one idea: bytes are made once, in a log, and a subscriber is a cursor into it.
 *
 *     log ─────────────────────────────────────────────► tail
 *          [block 7: f101 f102 f103]─►[block 8: f140 f141]─►[block 9: f170 f171▏ free ]
 *               ▲                          ▲                        ▲
 *               slow peer's cursor         another's                everybody who caught up
 *
 * A block holds whole frames and never moves. Each block is counted: by the cursors that stand on
 * it, by the block before it, and, if it is the tail, by the log. So a cursor keeps alive exactly
 * what it has yet to read, and a block that all have read is gone by itself. A reader that is given
 * up keeps just the block it stands on, until it has read its frame to the end.
 *
 * Threads: one writer at a time (the channel's lock) calls init, deinit, reserve, commit and join.
 * A cursor belongs to one thread, which reads, advances and leaves without any lock: the length of
 * a block and the link to the next are published by release and read by acquire. */
#ifndef WS_BLOCK_LOG_H
#define WS_BLOCK_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct block;

struct block_log {
    struct block *_tail;
    _Atomic uint64_t _end; /* bytes ever appended */
};

/* Where a subscriber stands; {0} stands nowhere. */
struct block_cursor {
    struct block *_block;
    uint32_t _offset;
    bool _last;   /* it goes no further than the frame it stands in */
    bool cut;     /* the reader's note: what it read last ended within a frame */
    bool stalled; /* the fanout's note: the reader is not visited */
    uint8_t form; /* the channel's note: in which form it reads */
};

enum {
    BLOCK_LOG_MIN_SIZE = 1024,      /* bytes of the first block; each is twice the last, */
    BLOCK_LOG_MAX_SIZE = 64 * 1024, /* up to this, or to the one frame that is larger */
};

#define BLOCK_LOG_MAX_FRAME ((size_t) 1 << 31) /* offsets in a block have 32 bits */

/* Returns 0 or UV_ENOMEM. */
int block_log_init(struct block_log *log);

/* Lets go of the log; what cursors still hold lives on until they leave. */
void block_log_deinit(struct block_log *log);

/* Room for a frame of `size` bytes at the end of the log, or NULL when out of memory or when the
 * frame is longer than BLOCK_LOG_MAX_FRAME. Nobody sees it before block_log_commit. */
uint8_t *block_log_reserve(struct block_log *log, size_t size);

/* Publishes the `size` bytes that were written to the room reserved last. */
void block_log_commit(struct block_log *log, size_t size);

/* Puts a cursor at the end: it will see what is committed from now on. */
void block_log_join(struct block_log *log, struct block_cursor *cursor);

/* Lets go of what the cursor holds; it stands nowhere then. Harmless when it stood nowhere. */
void block_log_leave(struct block_cursor *cursor);

/* The cursor will go no further than the end of the frame it stands in, and keeps alive nothing
 * behind that block. At the end of a frame it leaves. */
void block_log_give_up(struct block_cursor *cursor);

/* True when block_log_give_up was called, and all has been read; or when it stands nowhere. */
bool block_log_is_over(const struct block_cursor *cursor);

/* Lists what lies between the cursor and the end, in at most `max` buffers, each ending with a
 * frame. Returns how many; `*len` is their bytes in all, and `*more` is true when they do not
 * reach the end. The bytes stay in place until the cursor advances or leaves. */
unsigned block_log_read(const struct block_cursor *cursor, uv_buf_t *bufs, unsigned max,
                        size_t *len, bool *more);

/* Moves the cursor on by `len` bytes, which block_log_read has listed. */
void block_log_advance(struct block_cursor *cursor, size_t len);

/* How many bytes the cursor is behind the end; 0 when it was given up. */
uint64_t block_log_lag(const struct block_log *log, const struct block_cursor *cursor);

/* Bytes ever appended: grows with each commit, and may be read by any thread. */
uint64_t block_log_end(const struct block_log *log);

#endif

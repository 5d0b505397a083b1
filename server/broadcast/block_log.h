/* The one idea: bytes are made once, in a log, and a subscriber is a cursor into it.
 *
 *     log ─────────────────────────────────────────────► tail
 *          [block 7: f101 f102 f103]─►[block 8: f140 f141]─►[block 9: f170 f171▏ free ]
 *               ▲                          ▲                        ▲
 *               slow peer's cursor         another's                cursors that caught up
 *
 * A block holds whole frames and never moves. Each block is counted: by the cursors that stand on
 * it, by the block before it, and, if it is the tail, by the log. So a cursor keeps alive exactly
 * what it has yet to read, and a block that all have read is gone by itself. A reader that is given
 * up keeps just the block it stands on, until it has read its frame to the end.
 *
 * A log has memory only between block_log_start and block_log_stop, so that one without readers
 * costs nothing. What is committed at once is a unit: one frame, or one event of an event stream.
 * Units are counted from the number that block_log_start is told, and each block knows how many
 * came before it: so a cursor can say where it is, and be put where a unit is.
 *
 * Threads: one writer at a time (the channel's lock) calls start, stop, reserve, commit and join.
 * A cursor belongs to one thread, which reads, advances and leaves without any lock: the length of
 * a block and the link to the next are published by release and read by acquire. */
#ifndef WS_SERVER_BROADCAST_BLOCK_LOG_H
#define WS_SERVER_BROADCAST_BLOCK_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"

struct block;

/* What lies in a log. */
enum block_log_kind {
    BLOCK_LOG_FRAMES,
    BLOCK_LOG_EVENTS, /* of an event stream: each ends with an empty line */
};

struct block_log {
    struct block *_tail;   /* NULL while it is stopped */
    _Atomic uint64_t _end; /* bytes ever appended */
    uint64_t _units;       /* units before the end */
    _Atomic uint64_t *_memory;
    uint64_t _publisher; /* of the unit reserved last */
    enum block_log_kind _kind;
};

/* A unit, borrowed while a cursor holds its block. */
struct block_unit {
    const uint8_t *data;
    size_t len;
    bool leaves; /* it is the last of a block that has a next one */
};

/* What the owner of a log may note in a block, for as long as a cursor of its own stands there. */
struct block_retention {
    struct list order;
    struct block_log *log;
    size_t size; /* bytes of memory that the block takes */
    bool listed; /* it is in a list, by `order`, which others may be changing */
};

/* Where a reader stands; {0} stands nowhere. Packed, so that those who embed it, of whom there may
 * be a million, can use the bytes behind it. */
struct __attribute__((packed)) block_cursor {
    struct block *_block;
    uint32_t _offset;
    bool _last; /* it goes no further than the unit it stands in */
};

enum {
    BLOCK_LOG_MIN_SIZE = 256,       /* bytes of the first block; each is twice the last, */
    BLOCK_LOG_MAX_SIZE = 64 * 1024, /* up to this, or to the one unit that is larger */
};

#define BLOCK_LOG_MAX_FRAME ((size_t) 1 << 31) /* offsets in a block have 32 bits */

/* The log is stopped. */
void block_log_init(struct block_log *log, enum block_log_kind kind);

/* From here on the memory of the log's blocks is counted there; borrowed for as long as one of them
 * lives. */
void block_log_count(struct block_log *log, _Atomic uint64_t *memory);

/* Begins the log, behind `units` of them. Harmless when it has begun already. Returns 0 or
 * UV_ENOMEM. */
int block_log_start(struct block_log *log, uint64_t units);

/* Lets go of the log; what cursors still hold lives on until they leave. Harmless when it is
 * stopped. */
void block_log_stop(struct block_log *log);

bool block_log_is_started(const struct block_log *log);

/* Room for a unit of `size` bytes at the end of the log, or NULL when out of memory or when the
 * unit is longer than BLOCK_LOG_MAX_FRAME. It is not visible before block_log_commit. If
 * `publisher` is not 0, the log's index says that the unit is that publisher's (block_log_before);
 * that takes 12 bytes of the block. */
uint8_t *block_log_reserve(struct block_log *log, size_t size, uint64_t publisher);

/* Publishes the unit of `size` bytes that was written to the room reserved last. */
void block_log_commit(struct block_log *log, size_t size);

/* Puts a cursor at the end: it will see what is committed from now on. */
void block_log_join(struct block_log *log, struct block_cursor *cursor);

/* Lets go of what the cursor holds; it stands nowhere then. Harmless when it stood nowhere. */
void block_log_leave(struct block_cursor *cursor);

/* The cursor will go no further than the end of the unit it stands in, and keeps alive nothing
 * behind that block. At the end of a unit it leaves. */
void block_log_give_up(struct block_cursor *cursor);

/* True when the cursor, which stands somewhere, stands between two units. */
bool block_log_is_between(const struct block_cursor *cursor);

/* True when block_log_give_up was called, and all has been read; or when it stands nowhere. */
static inline bool block_log_is_over(const struct block_cursor *cursor)
{
    return cursor->_block == NULL || (cursor->_last && block_log_is_between(cursor));
}

/* Lists what lies between the cursor and the end, in at most `max` buffers, each ending with a
 * unit. Returns how many; `*len` is their bytes in all, and `*more` is true when they do not
 * reach the end. The bytes stay in place until the cursor advances or leaves. */
unsigned block_log_read(const struct block_cursor *cursor, uv_buf_t *bufs, unsigned max,
                        size_t *len, bool *more);

/* Lists the rest of the unit that the cursor stands in: in one buffer, or in none between two.
 * Returns how many. */
unsigned block_log_read_unit(const struct block_cursor *cursor, uv_buf_t *bufs, size_t *len);

/* Bytes between the cursor and the next unit of this publisher, within the `len` bytes that
 * block_log_read has listed; UINT64_MAX: there is none. With a `len` of 0 it is asked of the unit
 * at the cursor, which stands between two. */
uint64_t block_log_before(const struct block_cursor *cursor, size_t len, uint64_t publisher);

/* Moves the cursor on by `len` bytes, which block_log_read has listed. */
void block_log_advance(struct block_cursor *cursor, size_t len);

/* Where the cursor stands, in bytes as block_log_end counts them, and as the number of units that
 * begin before it: walks through the units of the block. 0 when it stands nowhere. */
uint64_t block_log_position(const struct block_cursor *cursor);
uint64_t block_log_sequence(const struct block_cursor *cursor);

/* The same without the walk: the units before the block that it stands in, at most
 * block_log_sequence. */
uint64_t block_log_least_sequence(const struct block_cursor *cursor);

/* Moves the cursor forward to where `units` of them are before it: no fewer than are before it now,
 * and no more than are in the log. */
void block_log_seek(struct block_cursor *cursor, uint64_t units);

/* A copy of the cursor, which holds and reads the same. */
void block_log_copy(const struct block_cursor *cursor, struct block_cursor *copy);

/* The unit at which the cursor stands (between two units): false when there is none yet. That
 * advancing by its length leaves the block is only certain while nothing is appended. */
bool block_log_unit(struct block_cursor *cursor, struct block_unit *unit);

/* The same for a cursor that has advanced by `within` bytes of the unit, and not by all of them:
 * `leaves` says nothing then. */
bool block_log_unit_around(struct block_cursor *cursor, size_t within, struct block_unit *unit);

/* What the cursor's block holds from the cursor (between two units) on, if nothing will follow
 * there: its bytes, and the number of units that begin before the next block. False for the last
 * block. */
bool block_log_rest(const struct block_cursor *cursor, size_t *len, uint64_t *units);

/* The note of the block that the cursor stands in. */
struct block_retention *block_log_retention(const struct block_cursor *cursor);

/* The note of the last block of a log that is started. */
struct block_retention *block_log_tail_retention(struct block_log *log);

/* Begins a new, small block, unless the tail is small: the tail is freed once no cursor stands in
 * it.
 */
void block_log_fold(struct block_log *log);

/* A cursor at the end of a block that has a next one moves there, and lets go of the block. */
void block_log_settle(struct block_cursor *cursor);

/* How many bytes the cursor is behind the end; 0 when it was given up. */
uint64_t block_log_lag(const struct block_log *log, const struct block_cursor *cursor);

/* Bytes ever appended: grows with each commit, and may be read by any thread. */
uint64_t block_log_end(const struct block_log *log);

#endif

#include "server/block_log.h"

#include <stdlib.h>

#include "common/frame.h"

/* Who holds a block's memory is counted in `refs`, and who will go on from it to the next in
 * `walkers`; all walkers together are one of the `refs`, and hold one walker of the next block. */
struct block {
    _Atomic uint32_t refs;
    _Atomic uint32_t walkers;
    uint32_t size;
    _Atomic uint32_t len; /* bytes committed; final once `next` is set */
    uint64_t start;       /* where in the log the first byte is */
    struct block *_Atomic next;
    uint8_t data[];
};

static struct block *block_new(uint32_t size, uint64_t start)
{
    struct block *block = malloc(sizeof *block + size);

    if (block == NULL)
        return NULL;
    atomic_init(&block->refs, 1);
    atomic_init(&block->walkers, 1);
    atomic_init(&block->len, 0);
    atomic_init(&block->next, NULL);
    block->size = size;
    block->start = start;
    return block;
}

static struct block *block_next(const struct block *block)
{
    return atomic_load_explicit(&block->next, memory_order_acquire);
}

static struct block *block_walk(struct block *block)
{
    atomic_fetch_add_explicit(&block->walkers, 1, memory_order_relaxed);
    return block;
}

static void block_unref(struct block *block)
{
    if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1)
        free(block);
}

/* Nobody goes on from here if this one was the last to: then the next block, too, has lost a
 * walker. */
static void block_unwalk(struct block *block)
{
    while (block != NULL &&
           atomic_fetch_sub_explicit(&block->walkers, 1, memory_order_acq_rel) == 1) {
        struct block *next = block_next(block);

        block_unref(block);
        block = next;
    }
}

static uint32_t block_len(const struct block *block)
{
    return atomic_load_explicit(&block->len, memory_order_acquire);
}

int block_log_init(struct block_log *log)
{
    atomic_init(&log->_end, 0);
    log->_tail = block_new(BLOCK_LOG_MIN_SIZE, 0);
    return log->_tail != NULL ? 0 : UV_ENOMEM;
}

void block_log_deinit(struct block_log *log)
{
    block_unwalk(log->_tail);
    log->_tail = NULL;
}

/* Seals the tail and links a fresh one behind it, with room for at least `size` bytes. */
static struct block *grow(struct block_log *log, size_t size)
{
    struct block *old = log->_tail;
    struct block *fresh;
    uint32_t wanted = old->size < BLOCK_LOG_MAX_SIZE / 2 ? 2 * old->size : BLOCK_LOG_MAX_SIZE;

    fresh = block_new(size > wanted ? (uint32_t) size : wanted, block_log_end(log));
    if (fresh == NULL)
        return NULL;
    /* One walker is the log, which leaves the old tail; one are all walkers of the old tail. */
    block_walk(fresh);
    atomic_store_explicit(&old->next, fresh, memory_order_release);
    log->_tail = fresh;
    block_unwalk(old);
    return fresh;
}

uint8_t *block_log_reserve(struct block_log *log, size_t size)
{
    struct block *tail = log->_tail;
    uint32_t len = block_len(tail);

    if (size > BLOCK_LOG_MAX_FRAME)
        return NULL;
    if (size <= tail->size - len)
        return tail->data + len;
    tail = grow(log, size);
    return tail != NULL ? tail->data : NULL;
}

void block_log_commit(struct block_log *log, size_t size)
{
    struct block *tail = log->_tail;

    /* The end first: nobody who sees the bytes may find the log to be shorter. */
    atomic_fetch_add_explicit(&log->_end, size, memory_order_relaxed);
    atomic_store_explicit(&tail->len, block_len(tail) + (uint32_t) size, memory_order_release);
}

/* ---- cursors ---- */

void block_log_join(struct block_log *log, struct block_cursor *cursor)
{
    cursor->_block = block_walk(log->_tail);
    cursor->_offset = block_len(log->_tail);
    cursor->_last = false;
    cursor->cut = false;
}

void block_log_leave(struct block_cursor *cursor)
{
    if (cursor->_block != NULL && cursor->_last)
        block_unref(cursor->_block);
    else
        block_unwalk(cursor->_block);
    cursor->_block = NULL;
    cursor->_offset = 0;
    cursor->_last = false;
    cursor->cut = false;
}

/* Where the frame ends that the byte before `offset` belongs to: `offset`, between two frames. */
static uint32_t frame_end(const struct block *block, uint32_t offset)
{
    uint64_t end = 0;

    while (end < offset)
        end += frame_length(block->data + end);
    return (uint32_t) end;
}

void block_log_give_up(struct block_cursor *cursor)
{
    struct block *block = cursor->_block;

    if (block == NULL || cursor->_last)
        return;
    if (frame_end(block, cursor->_offset) == cursor->_offset) {
        block_log_leave(cursor);
        return;
    }
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    block_unwalk(block);
    cursor->_last = true;
}

bool block_log_is_over(const struct block_cursor *cursor)
{
    return cursor->_block == NULL ||
           (cursor->_last && frame_end(cursor->_block, cursor->_offset) == cursor->_offset);
}

static unsigned read_last(const struct block_cursor *cursor, uv_buf_t *bufs, size_t *len)
{
    uint32_t end = frame_end(cursor->_block, cursor->_offset);

    *len = end - cursor->_offset;
    bufs[0] = uv_buf_init((char *) cursor->_block->data + cursor->_offset, (unsigned) *len);
    return *len > 0 ? 1 : 0;
}

unsigned block_log_read(const struct block_cursor *cursor, uv_buf_t *bufs, unsigned max,
                        size_t *len, bool *more)
{
    struct block *block = cursor->_block;
    uint32_t offset = cursor->_offset;
    unsigned count = 0;

    *len = 0;
    *more = false;
    if (cursor->_last)
        return read_last(cursor, bufs, len);
    while (block != NULL && !*more) {
        /* The link first: once there is one, the length that is read after it is final. */
        struct block *next = block_next(block);
        uint32_t end = block_len(block);

        *more = offset < end && count == max;
        if (offset < end && !*more) {
            bufs[count++] = (uv_buf_t){.base = (char *) block->data + offset, .len = end - offset};
            *len += end - offset;
        }
        block = next;
        offset = 0;
    }
    return count;
}

void block_log_advance(struct block_cursor *cursor, size_t len)
{
    while (len > 0) {
        struct block *block = cursor->_block;
        struct block *next = block_next(block); /* before the length, as in block_log_read */
        uint32_t rest = block_len(block) - cursor->_offset;

        if (cursor->_last || next == NULL || len < rest) {
            cursor->_offset += (uint32_t) len;
            return;
        }
        len -= rest;
        cursor->_block = block_walk(next);
        cursor->_offset = 0;
        block_unwalk(block);
    }
}

uint64_t block_log_lag(const struct block_log *log, const struct block_cursor *cursor)
{
    if (cursor->_block == NULL || cursor->_last)
        return 0;
    return block_log_end(log) - (cursor->_block->start + cursor->_offset);
}

uint64_t block_log_end(const struct block_log *log)
{
    return atomic_load_explicit(&log->_end, memory_order_relaxed);
}

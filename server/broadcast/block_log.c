#include "server/broadcast/block_log_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/websocket/frame.h"

enum { FOLD_SIZE = 4096 }; /* bytes of a tail that is not worth replacing */

static struct block *block_new(struct block_log *log, uint32_t size)
{
    struct block *block = malloc(sizeof *block + size);

    if (block == NULL)
        return NULL;
    atomic_init(&block->refs, 1);
    atomic_init(&block->walkers, 1);
    atomic_init(&block->len, 0);
    atomic_init(&block->marks, 0);
    atomic_init(&block->next, NULL);
    block->size = size;
    block->start = block_log_end(log);
    block->units = log->_units;
    block->kind = log->_kind;
    block->memory = log->_memory;
    if (block->memory != NULL)
        atomic_fetch_add_explicit(block->memory, sizeof *block + size, memory_order_relaxed);
    block->retention.log = log;
    block->retention.size = sizeof *block + size;
    block->retention.listed = false;
    list_init(&block->retention.order);
    return block;
}

static struct block *block_walk(struct block *block)
{
    atomic_fetch_add_explicit(&block->walkers, 1, memory_order_relaxed);
    return block;
}

static void block_unref(struct block *block)
{
    if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (block->memory != NULL)
        atomic_fetch_sub_explicit(block->memory, sizeof *block + block->size, memory_order_relaxed);
    free(block);
}

/* No cursor goes on from here if this was the last one: then the next block, too, has lost a
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

void block_log_init(struct block_log *log, enum block_log_kind kind)
{
    log->_tail = NULL;
    atomic_init(&log->_end, 0);
    log->_units = 0;
    log->_memory = NULL;
    log->_publisher = 0;
    log->_kind = kind;
}

void block_log_count(struct block_log *log, _Atomic uint64_t *memory)
{
    log->_memory = memory;
}

int block_log_start(struct block_log *log, uint64_t units)
{
    if (log->_tail != NULL)
        return 0;
    log->_units = units;
    log->_tail = block_new(log, BLOCK_LOG_MIN_SIZE);
    return log->_tail != NULL ? 0 : UV_ENOMEM;
}

void block_log_stop(struct block_log *log)
{
    block_unwalk(log->_tail);
    log->_tail = NULL;
}

bool block_log_is_started(const struct block_log *log)
{
    return log->_tail != NULL;
}

/* Bytes of the block behind one of `old` bytes: twice as many, and room for a whole number of units
 * like this one, so that where all are alike nothing is left over. */
static uint32_t size_behind(uint32_t old, size_t size)
{
    uint32_t wanted = old < BLOCK_LOG_MAX_SIZE / 2 ? 2 * old : BLOCK_LOG_MAX_SIZE;

    if (size >= wanted)
        return (uint32_t) size;
    return size > 0 ? (uint32_t) (wanted / size * size) : wanted;
}

/* Seals the tail: the fresh one takes its place. */
static void link_behind(struct block_log *log, struct block *fresh)
{
    struct block *old = log->_tail;

    /* One walker is the log, which leaves the old tail; one are all walkers of the old tail. */
    block_walk(fresh);
    atomic_store_explicit(&old->next, fresh, memory_order_release);
    log->_tail = fresh;
    block_unwalk(old);
}

/* Seals the tail and links a fresh one behind it, with room for at least `size` bytes. */
static struct block *grow(struct block_log *log, size_t size)
{
    struct block *fresh = block_new(log, size_behind(log->_tail->size, size));

    if (fresh != NULL)
        link_behind(log, fresh);
    return fresh;
}

uint8_t *block_log_reserve(struct block_log *log, size_t size, uint64_t publisher)
{
    struct block *tail = log->_tail;
    size_t taken = size + (publisher != 0 ? sizeof(struct block_mark) : 0);

    if (size > BLOCK_LOG_MAX_FRAME)
        return NULL;
    if (taken > block_room(tail))
        tail = grow(log, taken);
    log->_publisher = publisher;
    return tail != NULL ? tail->data + block_len(tail) : NULL;
}

void block_log_commit(struct block_log *log, size_t size)
{
    struct block *tail = log->_tail;

    log->_units++;
    if (log->_publisher != 0)
        block_add_mark(tail, log->_publisher);
    /* The end first: a reader that sees the bytes must not find the log to be shorter. */
    atomic_fetch_add_explicit(&log->_end, size, memory_order_relaxed);
    atomic_store_explicit(&tail->len, block_len(tail) + (uint32_t) size, memory_order_release);
}

/* ---- cursors ---- */

void block_log_join(struct block_log *log, struct block_cursor *cursor)
{
    cursor->_block = block_walk(log->_tail);
    cursor->_offset = block_len(log->_tail);
    cursor->_last = false;
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
}

static uint64_t unit_length(const struct block *block, uint64_t offset)
{
    const uint8_t *unit = block->data + offset;
    const uint8_t *end;

    if (block->kind == BLOCK_LOG_FRAMES)
        return frame_length(unit);
    end = memmem(unit, block_len(block) - (size_t) offset, "\n\n", 2);
    assert(end != NULL);
    return (uint64_t) (end - unit) + 2;
}

/* Where the unit ends that the byte before `offset` belongs to: `offset`, between two units. */
static uint32_t unit_end(const struct block *block, uint32_t offset)
{
    uint64_t end = 0;

    while (end < offset)
        end += unit_length(block, end);
    return (uint32_t) end;
}

void block_log_give_up(struct block_cursor *cursor)
{
    struct block *block = cursor->_block;

    if (block == NULL || cursor->_last)
        return;
    if (unit_end(block, cursor->_offset) == cursor->_offset) {
        block_log_leave(cursor);
        return;
    }
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    block_unwalk(block);
    cursor->_last = true;
}

bool block_log_is_between(const struct block_cursor *cursor)
{
    return unit_end(cursor->_block, cursor->_offset) == cursor->_offset;
}

unsigned block_log_read_unit(const struct block_cursor *cursor, uv_buf_t *bufs, size_t *len)
{
    uint32_t end = unit_end(cursor->_block, cursor->_offset);

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
        return block_log_read_unit(cursor, bufs, len);
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

static void move_to(struct block_cursor *cursor, struct block *next)
{
    struct block *block = cursor->_block;

    cursor->_block = block_walk(next);
    cursor->_offset = 0;
    block_unwalk(block);
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
        move_to(cursor, next);
    }
}

/* ---- places ---- */

uint64_t block_log_position(const struct block_cursor *cursor)
{
    return cursor->_block != NULL ? cursor->_block->start + cursor->_offset : 0;
}

uint64_t block_log_sequence(const struct block_cursor *cursor)
{
    const struct block *block = cursor->_block;
    uint64_t units = 0;

    if (block == NULL)
        return 0;
    for (uint64_t at = 0; at < cursor->_offset; at += unit_length(block, at))
        units++;
    return block->units + units;
}

uint64_t block_log_least_sequence(const struct block_cursor *cursor)
{
    return cursor->_block != NULL ? cursor->_block->units : 0;
}

void block_log_seek(struct block_cursor *cursor, uint64_t units)
{
    struct block *next;
    uint64_t at = 0;

    while ((next = block_next(cursor->_block)) != NULL && next->units <= units)
        move_to(cursor, next);
    for (uint64_t n = cursor->_block->units; n < units; n++)
        at += unit_length(cursor->_block, at);
    cursor->_offset = (uint32_t) at;
}

void block_log_copy(const struct block_cursor *cursor, struct block_cursor *copy)
{
    copy->_block = block_walk(cursor->_block);
    copy->_offset = cursor->_offset;
    copy->_last = false;
}

bool block_log_unit(struct block_cursor *cursor, struct block_unit *unit)
{
    struct block *next = block_next(cursor->_block); /* before the length, as in block_log_read */

    /* More than one: a block that a log was folded to may have been too small for the next unit. */
    while (next != NULL && cursor->_offset == block_len(cursor->_block)) {
        move_to(cursor, next);
        next = block_next(next);
    }
    if (cursor->_offset == block_len(cursor->_block))
        return false;
    unit->data = cursor->_block->data + cursor->_offset;
    unit->len = (size_t) unit_length(cursor->_block, cursor->_offset);
    unit->leaves = next != NULL && cursor->_offset + unit->len == block_len(cursor->_block);
    return true;
}

bool block_log_unit_around(struct block_cursor *cursor, size_t within, struct block_unit *unit)
{
    if (within == 0)
        return block_log_unit(cursor, unit);
    unit->data = cursor->_block->data + cursor->_offset - within;
    unit->len = (size_t) unit_length(cursor->_block, cursor->_offset - within);
    unit->leaves = false;
    return true;
}

bool block_log_rest(const struct block_cursor *cursor, size_t *len, uint64_t *units)
{
    const struct block *next = block_next(cursor->_block); /* before the length */

    if (next == NULL)
        return false;
    *len = block_len(cursor->_block) - cursor->_offset;
    *units = next->units;
    return true;
}

struct block_retention *block_log_retention(const struct block_cursor *cursor)
{
    return &cursor->_block->retention;
}

struct block_retention *block_log_tail_retention(struct block_log *log)
{
    return &log->_tail->retention;
}

void block_log_fold(struct block_log *log)
{
    struct block *old = log->_tail, *fresh;

    if (old == NULL || old->size <= FOLD_SIZE || block_len(old) == 0)
        return;
    fresh = block_new(log, BLOCK_LOG_MIN_SIZE);
    if (fresh != NULL)
        link_behind(log, fresh);
}

void block_log_settle(struct block_cursor *cursor)
{
    struct block *next = cursor->_block != NULL ? block_next(cursor->_block) : NULL;

    while (next != NULL && !cursor->_last && cursor->_offset == block_len(cursor->_block)) {
        move_to(cursor, next);
        next = block_next(next);
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

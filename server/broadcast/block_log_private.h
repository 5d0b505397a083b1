/* What the files of the log share, and no others see:
 *
 *     block_log        the log, its blocks and cursors
 *     block_log_index  which units are whose */
#ifndef WS_SERVER_BROADCAST_BLOCK_LOG_PRIVATE_H
#define WS_SERVER_BROADCAST_BLOCK_LOG_PRIVATE_H

#include "server/broadcast/block_log.h"

/* An entry of the index of publishers. The entries of a block lie at its end, the first of them
 * last, so that they need no memory of their own and no lock. */
struct block_mark {
    uint32_t offset;       /* of the unit */
    uint32_t publisher[2]; /* its number, lower half first: without padding */
};

/* References to a block's memory are counted in `refs`, and cursors that will go on from it to the
 * next in `walkers`; all walkers together are one of the `refs`, and hold one walker of the next
 * block. */
struct block {
    _Atomic uint32_t refs;
    _Atomic uint32_t walkers;
    uint32_t size;
    _Atomic uint32_t len;   /* bytes committed; final once `next` is set */
    _Atomic uint32_t marks; /* entries of the index; those of all units within `len` are there */
    uint64_t start;         /* where in the log the first byte is */
    uint64_t units;         /* before it */
    struct block *_Atomic next;
    _Atomic uint64_t *memory; /* where it is counted, or NULL */
    enum block_log_kind kind;
    struct block_retention retention;
    uint8_t data[];
};

static inline struct block *block_next(const struct block *block)
{
    return atomic_load_explicit(&block->next, memory_order_acquire);
}

static inline uint32_t block_len(const struct block *block)
{
    return atomic_load_explicit(&block->len, memory_order_acquire);
}

/* Bytes that are left for units and their marks. */
static inline uint32_t block_room(const struct block *block)
{
    uint32_t marks = atomic_load_explicit(&block->marks, memory_order_relaxed);

    return block->size - block_len(block) - marks * (uint32_t) sizeof(struct block_mark);
}

/* The unit that begins at the end of what is committed is this publisher's: there is room. */
void block_add_mark(struct block *block, uint64_t publisher);

#endif

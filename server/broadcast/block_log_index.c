/* The index of publishers: which units of a block are whose. */
#include "server/broadcast/block_log_private.h"

#include <string.h>

static uint8_t *mark_at(struct block *block, uint32_t i)
{
    return block->data + block->size - (i + 1) * sizeof(struct block_mark);
}

void block_add_mark(struct block *block, uint64_t publisher)
{
    uint32_t marks = atomic_load_explicit(&block->marks, memory_order_relaxed);
    const struct block_mark mark = {block_len(block),
                                    {(uint32_t) publisher, (uint32_t) (publisher >> 32)}};

    memcpy(mark_at(block, marks), &mark, sizeof mark);
    atomic_store_explicit(&block->marks, marks + 1, memory_order_release);
}

/* The first unit of the block from `offset` on that is this publisher's: where it begins, or
 * UINT64_MAX. */
static uint64_t find_mark(struct block *block, uint32_t offset, uint64_t publisher)
{
    uint32_t low = 0, marks = atomic_load_explicit(&block->marks, memory_order_acquire);
    struct block_mark mark;

    for (uint32_t high = marks; low < high;) { /* the first that does not lie before `offset` */
        uint32_t middle = low + (high - low) / 2;

        memcpy(&mark, mark_at(block, middle), sizeof mark);
        if (mark.offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < marks; low++) {
        memcpy(&mark, mark_at(block, low), sizeof mark);
        if (mark.publisher[0] == (uint32_t) publisher &&
            mark.publisher[1] == (uint32_t) (publisher >> 32))
            return mark.offset;
    }
    return UINT64_MAX;
}

uint64_t block_log_before(const struct block_cursor *cursor, size_t len, uint64_t publisher)
{
    struct block *block = cursor->_block;
    uint32_t offset = cursor->_offset;
    uint64_t passed = 0; /* from the cursor to the `offset` in the block */

    while (block != NULL && !cursor->_last && passed <= len) {
        struct block *next = block_next(block); /* before the length, as in block_log_read */
        uint32_t rest = block_len(block) - offset;
        uint64_t found = find_mark(block, offset, publisher);

        if (found != UINT64_MAX)
            return passed + found - offset <= len ? passed + found - offset : UINT64_MAX;
        passed += rest;
        block = next;
        offset = 0;
    }
    return UINT64_MAX;
}

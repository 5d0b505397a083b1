/* A subscriber that is verified: every byte of every delivery, and that each publisher's messages
 * come exactly once and in the order in which they were sent. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "tests/bench/crowd.h"

struct check {
    struct buffer prefix; /* of the first delivery: all others have the same */
    bool begun;
    uint32_t *last; /* by publisher: the last sequence number that came */
    uint64_t order; /* a digest of all sequence numbers, in the order in which they came */
};

/* Returns 0 or UV_ENOMEM. */
int check_new(struct check **check, size_t publishers);
void check_free(struct check *check);

/* A delivery came, before flight_deliver hears of it: `data` is the whole text. Counts faults. */
void check_delivery(struct check *check, struct crowd *crowd, uint32_t sequence,
                    const uint8_t *data, size_t len);

#endif

/* Latencies in nanoseconds, counted in buckets that are at most 1.6 % wide, in constant memory and
 * without a search: what a delivery costs to record is one shift and one increment. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 64, /* buckets for each power of two */
    HISTOGRAM_STEP_BITS = 6,
    HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * (64 - HISTOGRAM_STEP_BITS + 1),
};

/* Also `struct histogram histogram = {0}`. */
struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t _buckets[HISTOGRAM_BUCKETS];
};

void histogram_reset(struct histogram *histogram);

/* The least value of which `share` (0 to 1) of all are no greater, within a bucket; 0 for none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

static inline size_t histogram_bucket(uint64_t value)
{
    unsigned shift;

    if (value < HISTOGRAM_STEPS)
        return value;
    shift = 63U - (unsigned) __builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return (size_t) (shift + 1) * HISTOGRAM_STEPS + (value >> shift) - HISTOGRAM_STEPS;
}

static inline void histogram_add(struct histogram *histogram, uint64_t value, uint64_t times)
{
    histogram->count += times;
    histogram->_buckets[histogram_bucket(value)] += times;
    if (value > histogram->max)
        histogram->max = value;
}

#endif

/* A histogram of durations, for Prometheus: fixed buckets from 50 microseconds to 2.5 seconds.
 * Written by one thread without a lock; histograms of several threads are added up. */
#ifndef WS_SERVER_METRICS_DURATION_H
#define WS_SERVER_METRICS_DURATION_H

#include <stdint.h>

enum { DURATION_BUCKETS = 15 }; /* and one for what is longer */

struct duration_histogram {
    uint64_t counts[DURATION_BUCKETS + 1]; /* not cumulative */
    uint64_t sum;                          /* nanoseconds */
};

/* The upper bound of a bucket, in nanoseconds. */
extern const uint64_t duration_bounds[DURATION_BUCKETS];

/* Counts `times` durations of so many nanoseconds. */
void duration_observe(struct duration_histogram *histogram, uint64_t nanoseconds, uint64_t times);

/* Adds `more` to `histogram`. */
void duration_add(struct duration_histogram *histogram, const struct duration_histogram *more);

#endif

#include "server/metrics/duration.h"

#include <stddef.h>

#define MICROSECONDS(n) ((uint64_t) (n) *1000)

const uint64_t duration_bounds[DURATION_BUCKETS] = {
    MICROSECONDS(50),     MICROSECONDS(100),     MICROSECONDS(250),     MICROSECONDS(500),
    MICROSECONDS(1000),   MICROSECONDS(2500),    MICROSECONDS(5000),    MICROSECONDS(10000),
    MICROSECONDS(25000),  MICROSECONDS(50000),   MICROSECONDS(100000),  MICROSECONDS(250000),
    MICROSECONDS(500000), MICROSECONDS(1000000), MICROSECONDS(2500000),
};

void duration_observe(struct duration_histogram *histogram, uint64_t nanoseconds, uint64_t times)
{
    size_t bucket = 0;

    while (bucket < DURATION_BUCKETS && nanoseconds > duration_bounds[bucket])
        bucket++;
    histogram->counts[bucket] += times;
    histogram->sum += nanoseconds * times;
}

void duration_add(struct duration_histogram *histogram, const struct duration_histogram *more)
{
    for (size_t i = 0; i <= DURATION_BUCKETS; i++)
        histogram->counts[i] += more->counts[i];
    histogram->sum += more->sum;
}

#include "tests/bench/histogram.h"

#include <string.h>

void histogram_reset(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

/* The greatest value that falls into a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    uint64_t shift;

    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    shift = bucket / HISTOGRAM_STEPS - 1;
    return ((bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS + 1) << shift) - 1;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t seen = 0;
    double wanted = share * (double) histogram->count;

    if (histogram->count == 0)
        return 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->_buckets[i];
        if (seen > 0 && (double) seen >= wanted) {
            uint64_t end = bucket_end(i);

            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}

/* Prometheus' text exposition format, version 0.0.4: families of samples, written into a buffer.
 * Names, help and label names are literals of ours; label values are escaped. */
#ifndef WS_SERVER_METRICS_EXPOSITION_H
#define WS_SERVER_METRICS_EXPOSITION_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "server/metrics/duration.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* A buffer, and the first error met while writing into it: callers look once, at the end. */
struct exposition {
    struct buffer *out;
    const char *_name; /* of the family that is being written */
    int status;        /* 0 or UV_ENOMEM */
};

void exposition_init(struct exposition *page, struct buffer *out);

/* Begins a family: its HELP and TYPE ("counter", "gauge", "histogram"); its samples follow. */
void exposition_family(struct exposition *page, const char *name, const char *type,
                       const char *help);

/* A sample without labels, or with one. */
void exposition_count(struct exposition *page, uint64_t value);
void exposition_number(struct exposition *page, double value);
void exposition_count_of(struct exposition *page, const char *label, const char *label_value,
                         uint64_t value);

/* Buckets, sum and count of a histogram of seconds; `label` may be NULL. */
void exposition_duration(struct exposition *page, const char *label, const char *label_value,
                         const struct duration_histogram *histogram);

#endif

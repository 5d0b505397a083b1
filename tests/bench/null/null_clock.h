/* The time that the server sees, which passes only when the benchmark says so (asking for it costs
 * what it always costs); and what the benchmark measures with. */
#ifndef WS_TESTS_BENCH_NULL_NULL_CLOCK_H
#define WS_TESTS_BENCH_NULL_NULL_CLOCK_H

#include <stdint.h>

/* The server's time goes on by `more` milliseconds. */
void null_clock_pass(uint64_t more);

/* What a stretch of work took; here all times are in nanoseconds. */
struct null_cost {
    double cpu;  /* of this thread, user and system */
    double user; /* of it, by the kernel's accounting: coarse below some milliseconds */
};

/* What has been spent up to now. */
struct null_cost null_clock_spent(void);

/* What has been spent since. */
struct null_cost null_clock_since(struct null_cost before);

/* Bytes of this process in memory. */
double null_clock_resident(void);

#endif

/* What a stretch of a run took: time, the generator's work and the server's. */
#ifndef BENCH_SPAN_H
#define BENCH_SPAN_H

#include <stdint.h>
#include <stdio.h>

#include "tests/bench/crowd.h"
#include "tests/bench/probe.h"

/* A moment of it. */
struct span_mark {
    uint64_t time; /* ns */
    uint64_t idle; /* ns that the generator polled in vain, so far */
    uint64_t deliveries;
    uint32_t messages;
    struct probe generator, server;
};

struct span {
    struct span_mark begin, end;
};

void span_mark(struct span_mark *mark, struct crowd *crowd);

/* Prints members of a JSON object, each with a comma before it. */
void span_print(const struct span *span, const struct crowd *crowd, FILE *out);

#endif

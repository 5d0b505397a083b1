/* The three things that wsload does. Each prints its line of JSON, and returns 0, or a negative
 * UV_E* code with a text when the server failed. */
#ifndef BENCH_MODES_H
#define BENCH_MODES_H

#include "common/base/error.h"
#include "tests/bench/load_options.h"

/* Subscribers, publishers, and how fast the one hear the other. */
int fan_out_run(const struct load_options *options, struct error *error);

/* Connect, shake hands, close; with a rate, while established subscribers listen. */
int storm_run(const struct load_options *options, struct error *error);

/* Open many, measure what they cost while nothing happens, deliver one message to all. */
int idle_run(const struct load_options *options, struct error *error);

#endif

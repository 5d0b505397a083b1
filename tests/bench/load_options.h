/* The command line of wsload. */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/cli/options.h"

enum { LOAD_OPTIONS_MAX_PIDS = 64, LOAD_OPTIONS_MAX_SIZES = 16 };

enum load_mode { LOAD_FAN_OUT, LOAD_STORM, LOAD_IDLE };

struct load_options {
    enum load_mode mode;
    const char *host; /* an IPv4 address */
    uint64_t port;
    const char *path;
    uint64_t source_addresses; /* 127.0.0.2 and so many; 0: the system chooses */
    bool tls;
    bool deflate;
    bool poll;
    uint64_t subscribers;
    uint64_t publishers;
    uint64_t in_flight;
    uint64_t rate; /* messages a second, open loop; 0: closed loop */
    uint64_t size;
    uint64_t slow;
    uint64_t verify;
    uint64_t warmup;   /* ms */
    uint64_t duration; /* ms */
    uint64_t messages; /* 0: by time */
    uint64_t connections;
    uint64_t concurrency;
    uint64_t sizes[LOAD_OPTIONS_MAX_SIZES];
    size_t size_count;
    int pids[LOAD_OPTIONS_MAX_PIDS];
    size_t pid_count;
    bool help;
};

extern const struct option_table load_options_table;

/* Returns 0, or UV_EINVAL with a text for the user. */
int load_options_parse(struct load_options *options, int argc, char **argv, struct error *error);

#endif

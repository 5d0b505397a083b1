/* The bounds that a stranger meets, and the count of how often each was met. A limit has the name
 * of the option that sets it. What is shared by all workers (the counts, and who is connected) is
 * in struct limits; what one client does is in its own struct limits_rate, made when it first says
 * something, so that a silent subscriber has none. */
#ifndef WS_LIMITS_H
#define WS_LIMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "server/server_options.h"

enum { LIMITS_NAMES = 19 };

/* One address (for IPv6, one /64 network) and its connections. */
struct limits_address;

struct limits {
    const struct server_options *options;
    _Atomic uint64_t hits[LIMITS_NAMES]; /* in the order of limits_names */
    uv_mutex_t _lock;                    /* guards what follows */
    uint64_t _connections;
    void *_addresses; /* tsearch(3)'s tree of struct limits_address */
};

/* Returns 0 or a negative UV_E* code. `options` is borrowed. */
int limits_init(struct limits *limits, const struct server_options *options);
void limits_deinit(struct limits *limits);

/* True if connections are counted by their address, too. */
bool limits_count_addresses(const struct limits *limits);

/* Counts a connection in; `address` matters only where addresses are counted. Returns NULL, or the
 * name of the limit that forbids it; then it is not counted. `*entry` is what limits_depart wants
 * back (NULL if addresses are not counted). */
const char *limits_arrive(struct limits *limits, const struct sockaddr *address,
                          struct limits_address **entry);
void limits_depart(struct limits *limits, struct limits_address *entry);

/* Counts that `limit` was hit, and logs it: who it was, the limit, and what was done. */
void limits_hit(struct limits *limits, const char *limit, const char *who, const char *done);

/* Logs the counts that are not zero. */
void limits_report(const struct limits *limits);

/* What one client has done in the current second. */
struct limits_rate;

/* Judges one message of `len` bytes, or one control frame that nobody asked for, at the time `now`
 * (milliseconds). `*rate` is NULL at first, and the caller's to free. Returns NULL, or the name of
 * the limit that it exceeds. */
const char *limits_judge_message(const struct limits *limits, struct limits_rate **rate,
                                 uint64_t now, size_t len);
const char *limits_judge_control(const struct limits *limits, struct limits_rate **rate,
                                 uint64_t now);

#endif

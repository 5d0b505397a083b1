/* How long to wait before the next attempt to connect: exponential, with full jitter, so that
 * listeners that lost the same server do not all come back at the same moment (RFC 6455, 7.2.3). */
#ifndef WS_CLIENT_CONNECT_BACKOFF_H
#define WS_CLIENT_CONNECT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BACKOFF_LEAST = 100,                   /* milliseconds: no wait is shorter */
    BACKOFF_BASE = 1000,                   /* the longest first wait */
    BACKOFF_HELD = 10 * 1000,              /* what was open for so long has held */
    BACKOFF_ASKED_MOST = 24 * 3600 * 1000, /* a server that asks for more gets this */
};

struct backoff {
    uint64_t _max;     /* milliseconds */
    uint64_t _retries; /* attempts in a row that may fail; 0: any number */
    uint64_t _failed;  /* attempts in a row that have */
    uint64_t _last;    /* the last wait */
};

void backoff_init(struct backoff *backoff, uint64_t max_delay, uint64_t retries);

/* A connection was open for so many milliseconds. If it has held (BACKOFF_HELD, and longer than the
 * last wait), what failed before it is forgotten. */
void backoff_held(struct backoff *backoff, uint64_t duration);

/* The next wait in milliseconds: at random from BACKOFF_LEAST to a bound that doubles with each
 * failure up to the maximum; with `asked`, what the server asked for (Retry-After; 0: nothing), and
 * as much on top. `random` is any 32 bits. False when no retry is left. */
bool backoff_next(struct backoff *backoff, uint64_t asked, uint32_t random, uint64_t *delay);

/* Retries in a row so far. */
uint64_t backoff_failed(const struct backoff *backoff);

#endif

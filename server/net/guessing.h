/* Guessing costs: credentials that were refused count by the client's address (for IPv6, its /64
 * network), and after so many of them in a minute none is looked at any more until that minute is
 * over. All workers share it. Through loopback and Unix sockets come clients of a proxy, too, which
 * have one address: there each connection counts for itself, which its owner does. */
#ifndef WS_SERVER_NET_GUESSING_H
#define WS_SERVER_NET_GUESSING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/base/list.h"

enum {
    GUESSING_MINUTE = 60 * 1000, /* milliseconds */
    GUESSING_MAX = 64 * 1024,    /* addresses: beyond that the oldest is forgotten */
};

struct guessing {
    _Atomic size_t count; /* of addresses: mostly 0, and then nothing is looked up */
    uv_mutex_t _lock;     /* guards what follows */
    void *_addresses;     /* tsearch(3)'s tree of struct guesser */
    struct list _oldest;  /* of them, by the time of their first failure */
};

/* Returns 0 or a negative UV_E* code. */
int guessing_init(struct guessing *guessing);
void guessing_deinit(struct guessing *guessing);

/* A credential from this address was refused at `now` (milliseconds, of uv_hrtime). False if it has
 * no address to be counted by. From any thread, as the next. */
bool guessing_failed(struct guessing *guessing, const struct sockaddr *address, uint64_t now);

/* True if so many have been refused in a minute that is not over. */
bool guessing_is_blocked(struct guessing *guessing, const struct sockaddr *address, uint64_t now,
                         uint64_t most);

#endif

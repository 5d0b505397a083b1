/* Connections that one worker has accepted for another. A socket that several workers cannot listen
 * on at once (a Unix socket, an inherited one) is served by one of them, which gives each worker
 * its share through these. Belongs to the worker that gets the connections. */
#ifndef WS_ARRIVALS_H
#define WS_ARRIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "server/inbox.h"

struct arrival {
    int fd;
    bool loopback; /* it came through a listener that only this machine reaches */
    bool tls;      /* TLS is spoken on it */
};

struct arrivals {
    struct inbox_item _item;
    struct inbox *_inbox;
    uv_mutex_t _lock; /* guards what follows */
    struct arrival *_waiting;
    size_t _count;
    size_t _capacity;
    bool _closed;
    /* Runs on the worker's thread, and takes the descriptor. */
    void (*_on_arrival)(struct arrivals *arrivals, const struct arrival *arrival);
};

/* Returns 0 or a negative UV_E* code. */
int arrivals_init(struct arrivals *arrivals, struct inbox *inbox,
                  void (*on_arrival)(struct arrivals *arrivals, const struct arrival *arrival));

/* From any thread, until arrivals_deinit: takes the descriptor. Returns 0, or UV_ENOMEM with the
 * descriptor closed. */
int arrivals_give(struct arrivals *arrivals, const struct arrival *arrival);

/* Closes the connections that wait here, and those that are still to come. */
void arrivals_close(struct arrivals *arrivals);

/* Once closed. */
void arrivals_deinit(struct arrivals *arrivals);

#endif

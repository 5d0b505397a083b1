/* Connections that one worker has accepted for another. A socket that several workers cannot listen
 * on at once (a Unix socket, an inherited one) is served by one of them, which gives each worker
 * its share through these. Belongs to the worker that gets the connections. */
#ifndef WS_SERVER_NET_HANDOFF_H
#define WS_SERVER_NET_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "server/thread/inbox.h"

struct handoff_connection {
    int fd;
    bool loopback; /* it came through a listener that only this machine reaches */
    bool tls;      /* TLS is spoken on it, */
    bool proxy;    /* behind a header of the PROXY protocol */
    bool admin;    /* it is the operator's */
};

struct handoff {
    struct inbox_item _item;
    struct inbox *_inbox;
    uv_mutex_t _lock; /* guards what follows */
    struct handoff_connection *_waiting;
    size_t _count;
    size_t _capacity;
    bool _closed;
    /* Runs on the worker's thread, and takes the descriptor. */
    void (*_on_arrival)(struct handoff *handoff, const struct handoff_connection *arrival);
};

/* Returns 0 or a negative UV_E* code. */
int handoff_init(struct handoff *handoff, struct inbox *inbox,
                 void (*on_arrival)(struct handoff *handoff,
                                    const struct handoff_connection *arrival));

/* From any thread, until handoff_deinit: takes the descriptor. Returns 0, or UV_ENOMEM with the
 * descriptor closed. */
int handoff_give(struct handoff *handoff, const struct handoff_connection *arrival);

/* Closes the connections that wait here, and those that are still to come. */
void handoff_close(struct handoff *handoff);

/* Once closed. */
void handoff_deinit(struct handoff *handoff);

#endif

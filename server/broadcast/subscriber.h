/* A subscriber of a channel, as its fanout knows it: a node in one of the fanout's lists, and a
 * reader of the channel. It is embedded in whatever reads (a peer), which the fanout never
 * sees: what it has to do for the fanout is in one table of operations, the same for all
 * subscribers. */
#ifndef WS_SERVER_BROADCAST_SUBSCRIBER_H
#define WS_SERVER_BROADCAST_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/websocket/frame.h"
#include "server/broadcast/block_log.h"
#include "server/broadcast/channel.h"

struct subscriber {
    struct list node;             /* the fanout's, */
    struct channel_reader reader; /* what it reads of the channel */
    uint8_t listed;               /* in which of the fanout's lists it is */
};

/* When subscribers are looked at for being idle or reading too slowly. */
struct subscriber_sweep {
    uint64_t now;          /* milliseconds */
    uint64_t idle_timeout; /* milliseconds since it last published; 0: any */
    uint64_t min_read;     /* bytes that a stalled one has to read between two sweeps; 0: any */
};

/* What the reader does, on the fanout's thread. Each but the last four may make it leave. */
struct subscriber_ops {
    /* Writes what the log has for it; it may stall, or leave. */
    void (*flush)(struct subscriber *subscriber);
    /* It lags too far behind: it is to be closed, or to skip to what is new. */
    void (*too_slow)(struct subscriber *subscriber);
    /* Starts the closing handshake. `reason` is static. False if it had begun already. */
    bool (*close)(struct subscriber *subscriber, enum frame_close_code code, const char *reason);
    void (*abort)(struct subscriber *subscriber);
    void (*sweep)(struct subscriber *subscriber, const struct subscriber_sweep *sweep);
    /* Its socket is full: it is not to be flushed. */
    bool (*is_stalled)(const struct subscriber *subscriber);
    /* While it catches up: the cursor with which it will go on. NULL, or nowhere: there is none. */
    struct block_cursor *(*live_cursor)(const struct subscriber *subscriber);
    /* Bytes that wait to be written for it outside the log. */
    uint64_t (*queued)(const struct subscriber *subscriber);
    /* Bytes that the system has taken for it, and that TCP has not delivered. */
    uint64_t (*unacknowledged)(const struct subscriber *subscriber);
    /* The last message that it has acknowledged. False if it cannot say so. */
    bool (*acknowledged)(const struct subscriber *subscriber, uint64_t *sequence);
    /* What a flush touches first, in bytes from the subscriber: fetched into the cache ahead. */
    ptrdiff_t touched_first;
};

#endif

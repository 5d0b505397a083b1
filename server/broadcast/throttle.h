/* Publisher throttling. A worker reads no more than its own subscribers get (see fanout.h), but its
 * publishers could outrun the subscribers of other workers, and the log would grow by what is
 * between them. So a publisher is paused while others are too far behind, until they have all that
 * had been published by then. Subscribers whose sockets are full do not count (for them there is
 * --max-lag), nor does a listener that only follows (see channel_listen). What is counted are the
 * bytes that were appended to the logs, not those of the payload. While the memory account is over
 * its bound a publisher is paused as well, for a moment: what it would add is not dropped, it
 * waits. Belongs to a worker, and to its thread. */
#ifndef WS_SERVER_BROADCAST_THROTTLE_H
#define WS_SERVER_BROADCAST_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/broadcast/channels.h"

enum {
    THROTTLE_LOOK = 64 * 1024, /* bytes appended to a channel between two looks at the others */
    THROTTLE_BEHIND = 4 * 1024 * 1024, /* bytes that the others may be behind */
};

struct throttle {
    struct channels *_channels;
    uv_timer_t _timer; /* runs while a publisher is paused */
    struct list _paused;
};

/* A paused publisher: allocated only while it is paused. */
struct throttle_paused;

/* Cannot fail. `channels` is borrowed. */
void throttle_init(struct throttle *throttle, uv_loop_t *loop, struct channels *channels);

/* Closes the timer; no publisher may be paused. */
void throttle_close(struct throttle *throttle);

/* One that publishes. */
struct throttle_publisher {
    struct throttle_paused **paused; /* NULL unless it is paused */
    void *publisher;
    void (*on_paused)(void *publisher, bool paused);
};

/* `publisher` has published in a channel, as `receipt` says. If that is too fast, its `*paused` is
 * set, and its `on_paused` is called: with true now, and with false, out of the loop and with
 * `*paused` NULL again, when it may go on. The channel is referred to meanwhile. Out of memory, it
 * is not paused. */
void throttle_published(struct throttle *throttle, const struct throttle_publisher *publisher,
                        struct channel *channel, const struct channel_receipt *receipt);

/* The publisher goes away. */
void throttle_forget(struct throttle_paused **paused);

#endif

/* Keeps who publishes from outrunning those who deliver. A worker reads no more than its own
 * subscribers get (see fanout.h), but those of other workers its publishers could outrun, and the
 * log would grow by what is between them. So who publishes while others are too far behind is not
 * read from, until they have all that had been published by then. Subscribers whose sockets are
 * full do not count: for them there is --max-lag. Belongs to a worker, and to its thread. */
#ifndef WS_PACE_H
#define WS_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/list.h"
#include "server/channel.h"

enum {
    PACE_LOOK = 64 * 1024,         /* bytes that are published between two looks at the others */
    PACE_BEHIND = 4 * 1024 * 1024, /* bytes that the others may be behind */
};

struct pace {
    uv_timer_t _timer; /* runs while somebody is held */
    struct list _held;
    uint64_t _published; /* since the last look */
};

/* One who is held: it costs memory only meanwhile. */
struct pace_held;

/* Cannot fail. */
void pace_init(struct pace *pace, uv_loop_t *loop);

/* Closes the timer; nobody is held any more. */
void pace_close(struct pace *pace);

/* Who publishes. */
struct pace_publisher {
    struct pace_held **held; /* NULL unless it is held */
    void *publisher;
    void (*on_held)(void *publisher, bool held);
};

/* `publisher` has published so many bytes, on a worker that listens by `own`. If that is too fast,
 * its `*held` is set, and its `on_held` is called: with true now, and with false, out of the loop
 * and with `*held` NULL again, when it may go on. */
void pace_published(struct pace *pace, const struct pace_publisher *publisher,
                    struct channel *channel, const struct channel_listener *own, size_t len);

/* The publisher goes away. */
void pace_forget(struct pace_held **held);

#endif

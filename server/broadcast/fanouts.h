/* The fanouts of one worker, one for each channel that subscribers of this worker have come for. A
 * fanout is made when the first of them comes, and let go at the end of the turn in which the last
 * has gone. All on the worker's thread. */
#ifndef WS_SERVER_BROADCAST_FANOUTS_H
#define WS_SERVER_BROADCAST_FANOUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"
#include "server/broadcast/channels.h"
#include "server/broadcast/fanout.h"

struct fanouts {
    struct channels *channels;
    const struct subscriber_ops *ops;
    struct inbox *inbox;
    struct list *due;
    struct duration_histogram *latency; /* of all of them; NULL: it is not measured */
    struct list all;                    /* of struct fanout: _node */
    void *_by_channel;                  /* tsearch(3)'s tree of struct fanout */
    struct list _unused;                /* of struct fanout: _unused_node */
};

/* What is passed is borrowed; `due` is where fanouts list themselves when they want to be
 * flushed. */
void fanouts_init(struct fanouts *fanouts, struct channels *channels,
                  const struct subscriber_ops *ops, struct inbox *inbox, struct list *due);

/* The fanout of the channel of this name (valid, or ""), which is made if there is none, for a
 * subscriber that comes. With `create`, so is the channel. Returns 0 or an error as channels_make.
 */
int fanouts_get(struct fanouts *fanouts, const char *name, size_t len, bool create,
                struct fanout **fanout);

/* As fanout_look, of this worker's subscribers of a channel; all 0 if there are none. */
bool fanouts_look(const struct fanouts *fanouts, struct channel *channel, unsigned *budget,
                  struct fanout_lag *lag);

/* Subscribers whose sockets are full, and bytes by which the slowest of them is behind. */
struct fanouts_stalled {
    uint64_t subscribers;
    uint64_t worst;
};

/* Of all fanouts of this worker: walks over all that are stalled. */
struct fanouts_stalled fanouts_stalled(const struct fanouts *fanouts);

/* That subscriber does not need it any more. */
void fanouts_put(struct fanouts *fanouts, struct fanout *fanout);

/* As fanout_behind, of this worker's subscribers of a channel. */
struct fanout_behind fanouts_behind(const struct fanouts *fanouts, struct channel *channel);

/* Frees the fanouts without users. Not while one of them is at work. */
void fanouts_clean(struct fanouts *fanouts);

#endif

/* One worker's subscribers of one channel, and the flush that gives them what is new.
 *
 *     ready     subscribers whose socket takes bytes: a ring that the flush visits
 *     stalled   subscribers whose socket is full: not visited until it drains; watched for their
 * lag catching_up  subscribers that still read history: a few bounded writes after each flush, so
 * that no other subscriber waits for them
 *
 * The flush gives each subscriber everything up to the newest byte, and may stop after any of them,
 * so that the loop can look at its input: a subscriber that was visited before that input was
 * published is visited again, and the others get old and new with one system call (see
 * round_robin.h).
 *
 * A publication on this worker's thread marks the fanout as due; one on another thread posts to the
 * worker's inbox, once however many messages come. Due fanouts are flushed at the end of the
 * turn. */
#ifndef WS_SERVER_BROADCAST_FANOUT_H
#define WS_SERVER_BROADCAST_FANOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/round_robin.h"
#include "server/broadcast/subscriber.h"
#include "server/metrics/duration.h"
#include "server/thread/inbox.h"

/* How far behind the slowest of the subscribers is, and what all that can say so have acknowledged.
 */
struct fanout_lag {
    uint64_t bytes;
    uint64_t messages;
    uint64_t unacknowledged; /* bytes that the system has taken for one subscriber, and TCP has not
                                brought */
    bool acknowledges;       /* there are such subscribers: */
    uint64_t acknowledged;
};

struct time_marks;

struct fanout {
    struct channel *channel;
    const struct subscriber_ops *_ops;
    struct list _node;        /* among the worker's fanouts, */
    struct list _unused_node; /* and among those without users: these are struct fanouts' */
    size_t _users;
    struct round_robin _ready; /* positions are those of channel_appended */
    struct list _stalled;
    struct list _catching_up;
    struct list *_due_list; /* of the worker */
    struct list _due;
    struct inbox *_inbox; /* of the worker */
    struct inbox_item _item;
    struct channel_listener _listener;
    uv_thread_t _thread;                /* of the worker */
    struct duration_histogram *latency; /* where it is told how long messages wait for their flush;
                                           or NULL */
    _Atomic uint64_t _published; /* nanoseconds: when the oldest of them was; 0: none waits */
    uint64_t _lag_checked;       /* channel_appended when the stalled were last looked at, */
    uint64_t _messages_checked;  /* and messages published */
    struct time_marks *_marks;   /* while stalled subscribers are limited in time; else NULL */
    bool _looking;               /* fanout_look is at it: */
    unsigned _look_list;         /* in which list, */
    struct list *_look;          /* and the next one there */
    struct fanout_lag _lag;
    enum frame_close_code _close_code;
    const char *_close_reason; /* NULL: none is to be closed */
};

/* On the worker's thread. `due` is where the fanout lists itself when it wants to be flushed. It
 * listens to the channel while it has subscribers. */
void fanout_init(struct fanout *fanout, struct channel *channel, const struct subscriber_ops *ops,
                 struct inbox *inbox, struct list *due);

/* All subscribers have left. */
void fanout_deinit(struct fanout *fanout);

/* The subscriber joins: it will get the channel's messages in this form (see channel_join), from
 * where `from` says; `*start` becomes the ID before the first. Returns 0, or an error as
 * channel_join. */
int fanout_join(struct fanout *fanout, struct subscriber *subscriber, unsigned encoding,
                const struct channel_replay_from *from, struct event_id *start);

/* The subscriber, which has joined, leaves; what it has not read is forgotten. `live_cursor` is for
 * channel_leave. */
void fanout_leave(struct fanout *fanout, struct subscriber *subscriber,
                  struct block_cursor *live_cursor);

/* True from when the subscriber has joined until it leaves. */
bool fanout_has(const struct subscriber *subscriber);

/* The subscriber's socket is full (has drained): it is not visited (is visited) by flushes.
 * Harmless when that is so already. To be called also when the subscriber's cursor has begun or
 * ceased to catch up. */
void fanout_stall(struct fanout *fanout, struct subscriber *subscriber);
void fanout_resume(struct fanout *fanout, struct subscriber *subscriber);

/* What the flushes of one turn may take, in visits; a visit that writes much counts as several. */
struct fanout_budget {
    unsigned visits; /* until the loop is to look at its input again, */
    unsigned most;   /* and until it is to turn, whatever is published */
    bool behind;     /* so much was published while a flush went round that nothing more is to be
                        read before all have that */
};

/* Judges the lag of the stalled subscribers, and flushes the ready ones that have something to get,
 * as far as the budget goes. Takes the fanout off the list of those that are due; it is listed
 * again, behind the others, when not all are done. */
void fanout_flush(struct fanout *fanout, struct fanout_budget *budget);

/* How far a subscriber is behind: in bytes, and in messages if these are limited. */
struct fanout_behind {
    uint64_t bytes;
    uint64_t messages;
};

/* How far the subscriber is behind that is furthest behind; what the history holds costs nothing.
 */
struct fanout_behind fanout_behind(struct fanout *fanout);

/* Bytes of the channel's logs that the subscriber keeps from being freed, if no other does: what
 * it has yet to read, but for what the history retains. */
uint64_t fanout_pinned(struct fanout *fanout, const struct subscriber *subscriber);

/* Calls `see` for each subscriber that is behind for longer than a flush: those that are stalled,
 * and those that catch up. */
void fanout_each_behind(struct fanout *fanout,
                        void (*see)(struct subscriber *subscriber, void *argument), void *argument);

/* Memory is scarce: subscribers that have read all, and the logs they read, keep next to nothing.
 */
void fanout_fold(struct fanout *fanout);

/* Has every subscriber look whether it has been idle or reads too slowly. */
void fanout_sweep(struct fanout *fanout, const struct subscriber_sweep *sweep);

/* Judges for how long messages have waited for the stalled subscribers, if that is limited; to be
 * called several times in that time. `now` in milliseconds. */
void fanout_check_time(struct fanout *fanout, uint64_t now);

/* Looks at the subscribers, at `*budget` of them at most, from which they are taken: to be called
 * until it is true, in turn after turn. Then `*lag` is what it has found; one that has joined
 * meanwhile may or may not be in it. One at a time may do so. */
bool fanout_look(struct fanout *fanout, unsigned *budget, struct fanout_lag *lag);

/* Starts the closing handshake with every subscriber: with those whose sockets are full or who
 * catch up at once, with the others as the flush comes to them. `reason` is static. */
void fanout_close(struct fanout *fanout, enum frame_close_code code, const char *reason);

/* The same for `most` of them at most, at once, which are not closing already. Returns how many. */
size_t fanout_close_some(struct fanout *fanout, size_t most, enum frame_close_code code,
                         const char *reason);

/* Drops every subscriber. */
void fanout_abort(struct fanout *fanout);

#endif

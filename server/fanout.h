/* One worker's subscribers of one channel, and the flush that gives them what is new.
 *
 *     ready    everybody whose socket takes bytes: a ring that the flush goes round
 *     stalled  peers whose socket is full: not visited until it drains; watched for their lag
 *
 *     ready:  A  B  C  D  E  F  G  H  I        something is published here:
 *                      ▲ _next                 everybody is `_unvisited` once more
 *
 * The flush gives each peer everything up to the newest byte, and may stop after any of them, so
 * that the loop can look at its input: who was visited before that input was published is visited
 * again, and whoever comes behind gets old and new with one system call.
 *
 * A publication on this worker's thread marks the fanout as due; one on another thread posts to the
 * worker's inbox, once however many messages come. Due fanouts are flushed at the end of the
 * turn. */
#ifndef WS_FANOUT_H
#define WS_FANOUT_H

#include <stdint.h>
#include <uv.h>

#include "common/list.h"
#include "server/channel.h"
#include "server/inbox.h"

struct peer;

struct fanout {
    struct channel *channel;
    struct list _ready;
    struct list *_next;  /* in _ready (or its head): who is visited next */
    size_t _ready_count; /* members of _ready */
    size_t _unvisited;   /* how many of them, from _next on, may have something to get */
    size_t _lap;         /* visits until everybody has been visited since _lap_began */
    uint64_t _lap_began; /* channel_appended at that time */
    uint64_t _marked;    /* the same when all became _unvisited */
    struct list _stalled;
    struct list *_due_list; /* of the worker */
    struct list _due;
    struct inbox *_inbox; /* of the worker */
    struct inbox_item _item;
    struct channel_listener _listener;
    uv_thread_t _thread;   /* of the worker: set when it starts to run */
    uint64_t _lag_checked; /* channel_appended when the stalled were last looked at */
    uint64_t _max_lag;
    enum frame_close_code _close_code;
    const char *_close_reason; /* NULL: nobody is to be closed */
};

/* `due` is where the fanout lists itself when it wants to be flushed. `max_lag` in bytes: who lags
 * further is closed with 1008; 0: nobody is. */
void fanout_init(struct fanout *fanout, struct channel *channel, struct inbox *inbox,
                 struct list *due, uint64_t max_lag);

/* On the worker's thread, before anybody joins, and when all have left. A fanout listens to its
 * channel while it has peers: a worker without subscribers is not woken. */
void fanout_start(struct fanout *fanout);
void fanout_stop(struct fanout *fanout);

/* The peer joins: it will get what is published from now on, in the form that suits its window of
 * 2^`bits` bytes, or CHANNEL_PLAIN. */
void fanout_join(struct fanout *fanout, struct peer *peer, unsigned bits);

/* The peer leaves; what it has not read is forgotten. */
void fanout_leave(struct fanout *fanout, struct peer *peer);

/* The peer's socket is full (has drained): it is not visited (is visited) by flushes. Harmless when
 * that is so already. */
void fanout_stall(struct fanout *fanout, struct peer *peer);
void fanout_resume(struct fanout *fanout, struct peer *peer);

/* Judges the lag of the stalled peers, and flushes the ready ones that have something to get:
 * `*budget` of them, from which the visits are taken, or all if so much is published meanwhile that
 * nothing should be read before they have it. True when all are done. */
bool fanout_flush(struct fanout *fanout, unsigned *budget);

/* Judges who has been idle for `idle_timeout` milliseconds, and which stalled peers have read fewer
 * than `min_read` bytes since the last sweep; 0 for not at all. */
void fanout_sweep(struct fanout *fanout, uint64_t now, uint64_t idle_timeout, uint64_t min_read);

/* Starts the closing handshake with every peer: with those whose sockets are full at once, with the
 * others as the flush comes to them. `reason` is static. */
void fanout_close(struct fanout *fanout, enum frame_close_code code, const char *reason);

/* Drops every peer. */
void fanout_abort(struct fanout *fanout);

#endif

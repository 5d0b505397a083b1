/* One worker's subscribers of one channel, and the flush that gives them what is new.
 *
 *     ready    everybody whose socket takes bytes: visited by each flush
 *     stalled  peers whose socket is full: not visited until it drains; watched for their lag
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
    struct list _stalled;
    struct list *_due_list; /* of the worker */
    struct list _due;
    struct inbox *_inbox; /* of the worker */
    struct inbox_item _item;
    struct channel_listener _listener;
    uv_thread_t _thread;   /* of the worker: set when it starts to run */
    uint64_t _lag_checked; /* channel_appended when the stalled were last looked at */
    uint64_t _max_lag;
};

/* `due` is where the fanout lists itself when it wants to be flushed. `max_lag` in bytes: who lags
 * further is closed with 1008; 0: nobody is. */
void fanout_init(struct fanout *fanout, struct channel *channel, struct inbox *inbox,
                 struct list *due, uint64_t max_lag);

/* On the worker's thread, before anybody joins, and when all have left. A fanout listens to its
 * channel while it has peers: a worker without subscribers is not woken. */
void fanout_start(struct fanout *fanout);
void fanout_stop(struct fanout *fanout);

/* The peer joins: it will get what is published from now on. */
void fanout_join(struct fanout *fanout, struct peer *peer);

/* The peer leaves; what it has not read is forgotten. */
void fanout_leave(struct fanout *fanout, struct peer *peer);

/* The peer's socket is full (has drained): it is not visited (is visited) by flushes. */
void fanout_stall(struct fanout *fanout, struct peer *peer);
void fanout_resume(struct fanout *fanout, struct peer *peer);

/* Flushes every ready peer, and judges the lag of the stalled ones. */
void fanout_flush(struct fanout *fanout);

/* Judges who has been idle for `idle_timeout` milliseconds, and which stalled peers have read fewer
 * than `min_read` bytes since the last sweep; 0 for not at all. */
void fanout_sweep(struct fanout *fanout, uint64_t now, uint64_t idle_timeout, uint64_t min_read);

/* Starts the closing handshake with every peer. */
void fanout_close(struct fanout *fanout, enum frame_close_code code, const char *reason);

#endif

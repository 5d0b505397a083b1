/* What the files of a worker share: worker.c (its life, and how its parts are put together),
 * worker_turn.c (what each turn of its loop does) and worker_stop.c (how it ends). For them alone.
 */
#ifndef WS_SERVER_WORKER_PRIVATE_H
#define WS_SERVER_WORKER_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "server/http/router.h"
#include "server/http/services.h"
#include "server/net/handoff.h"
#include "server/net/listener.h"
#include "server/net/proxy_arrivals.h"
#include "server/peer/peer_context.h"
#include "server/peer/relief.h"
#include "server/thread/inbox.h"
#include "server/worker.h"

enum {
    FLUSH_BUDGET = 128, /* visits to peers that get messages, and peers that get own frames, before
                           the loop looks at its input, */
    FLUSH_MOST = 1024,  /* and before it turns, whatever is published */
};

struct worker {
    uv_loop_t loop;
    uv_thread_t thread;
    bool started;
    _Atomic unsigned stops; /* how often worker_stop was called */
    bool stopping;
    bool served; /* and has finished the last request */
    bool ended;
    _Atomic bool serving; /* it runs, and may have requests to finish: others wait for that */
    size_t number;
    const struct worker_shared *shared;
    const struct config *config; /* that holds now */
    struct connection_policy policy;
    struct connection_policy admin_policy;
    struct channel_publisher publisher;
    struct submit_context publish;
    struct list listeners;
    struct inbox inbox;
    struct inbox_item stop_item;
    struct inbox_item drain_item;
    uv_timer_t drain;              /* runs while it drains, */
    uint64_t drain_time;           /* so many milliseconds in all, */
    uint64_t drain_end;            /* up to then, of uv_now */
    struct inbox_item leave_item;  /* another worker has nothing more to finish */
    struct inbox_item room_item;   /* another one is short of connections, */
    struct inbox_item retry_item;  /* or has made room */
    struct inbox_item change_item; /* the configuration has changed: */
    struct worker_change *change;
    struct tls_loop tls;
    struct proxy_arrivals proxied; /* connections that wait for their PROXY header */
    struct handoff handoff;        /* what other workers have accepted for this one */
    uv_check_t turn_begin;
    uint64_t turn_began; /* nanoseconds */
    uv_prepare_t turn_end;
    uv_idle_t go_on;  /* active while a flush is not done: the loop does not wait for events */
    uv_timer_t sweep; /* runs only if one of its limits is set, */
    uv_timer_t lag;   /* and this one only if --max-lag limits the time */
    struct awake swept, lagged; /* the clocks of these two */
    struct relief relief;
    struct list due; /* fanouts to be flushed at the end of this turn */
    struct fanouts fanouts;
    struct throttle throttle;
    struct router router;
    struct router admin_router;
    struct services services;
    struct services admin_services; /* the same, for the operator's requests */
    struct question_desk desk;
    struct peer_context context; /* what its peers need of it */
};

/* ---- worker_turn.c ---- */

/* Initializes the handles that drive the loop. Cannot fail. */
void worker_turn_init(struct worker *worker);

/* Starts or stops timers as the configuration of now says. */
void worker_turn_configure(struct worker *worker);

/* Closes them. */
void worker_turn_close(struct worker *worker);

/* A connection has come, or one that another worker has accepted. */
int worker_turn_connection(struct listener *listener, int fd);
void worker_turn_handed_off(struct handoff *handoff, const struct handoff_connection *arrival);

/* When a worker that is to stop has finished its last request, all of them are told. */
void worker_turn_check_served(struct worker *worker);

/* For the listeners of the worker, and for its peers: see listener.h and peer_context.h. */
bool worker_turn_make_room(struct listener *listener);
bool worker_turn_make_room_for_peer(struct peer_context *context);

/* A connection that could not be accepted for want of a descriptor may be now. */
void worker_turn_retry_listeners(struct worker *worker);

/* ---- worker_stop.c ---- */

void worker_stop_init(struct worker *worker);

/* Nothing is left to serve: closes all handles, without which the loop ends. */
void worker_stop_end_loop(struct worker *worker);

void worker_stop_close_listeners(struct worker *worker);

/* A peer is gone: see peer_context.h. */
void worker_stop_peer_left(struct peer_context *context);

#endif

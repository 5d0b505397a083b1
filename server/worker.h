/* A thread with a loop, and its share of the connections: everything beneath a worker is touched by
 * its thread alone. What workers share is in struct worker_shared, and what they pass to each other
 * goes through inboxes. */
#ifndef WS_SERVER_WORKER_H
#define WS_SERVER_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/base/list.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_loop.h"
#include "common/websocket/transport.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/channels.h"
#include "server/broadcast/fanouts.h"
#include "server/config/server_options.h"
#include "server/http/connection.h"
#include "server/http/services.h"
#include "server/inbox.h"
#include "server/journal/publish.h"
#include "server/net/fd_shortage.h"
#include "server/net/limits.h"

struct worker;

/* What a worker shares with the others; borrowed until worker_free. */
struct worker_shared {
    const struct server_options *options;
    struct limits *limits;
    struct channels *channels;
    struct tls_context *tls; /* NULL: no listener speaks TLS */
    struct fd_shortage *shortage;
    struct worker **workers; /* all of them: complete before the first one starts */
    size_t worker_count;
    _Atomic size_t *running; /* workers whose threads have not ended */
    uv_async_t *done;        /* sent by the last of them */
};

/* `number` counts from 0. Returns 0 or a negative UV_E* code. */
int worker_new(struct worker **worker, size_t number, const struct worker_shared *shared);

/* Before worker_start: serves a listening socket, which it takes; `spread` says that it shares the
 * connections with all workers, in turn; `tls`, that TLS is spoken on them. Returns 0 or a negative
 * UV_E* code. */
int worker_listen(struct worker *worker, int fd, bool spread, bool tls);

/* Starts the thread. Returns 0 or a negative UV_E* code. */
int worker_start(struct worker *worker);

/* From any thread, once it was started: the worker stops accepting and finishes the requests that
 * have begun. When all workers have, it says goodbye (Close 1001) to every peer, delivers what is
 * owed, and ends within a few seconds. A second time: it drops everybody and ends. */
void worker_stop(struct worker *worker);

/* From any thread, until worker_join: the TLS context has been reloaded. */
void worker_tls_reloaded(struct worker *worker);

/* Waits for the thread, once it was started. All workers are joined before the first one is freed:
 * until then they may pass things to each other. */
void worker_join(struct worker *worker);
void worker_free(struct worker *worker);

/* From any thread: to pass things to the worker. */
struct inbox *worker_inbox(struct worker *worker);

/* Bytes that a reader may lag behind, by the options; 0: any number. */
uint64_t worker_max_lag(const struct server_options *options);

/* ---- for the worker's own peers, on its thread ---- */

/* Frees the place of a connection that is kept for further requests and idle, here or, later, on
 * another worker. True when it is free. */
bool worker_make_room(struct worker *worker);

struct worker *worker_of_transports(struct transport_context *transports);
void worker_peer_arrived(struct worker *worker);
void worker_peer_left(struct worker *worker);
bool worker_is_leaving(const struct worker *worker); /* it has said goodbye */
const struct server_options *worker_options(const struct worker *worker);
const struct connection_policy *worker_policy(const struct worker *worker);
const struct publish_means *worker_publish(const struct worker *worker);
struct limits *worker_limits(const struct worker *worker);
struct tls_loop *worker_tls(struct worker *worker);
struct fanouts *worker_fanouts(struct worker *worker);
/* The time (milliseconds) by which a peer's idleness is judged. */
uint64_t worker_clock(const struct worker *worker);

struct memory *worker_memory(const struct worker *worker);
struct list *worker_charged(
    struct worker *worker); /* of struct peer_more: those that are charged */

#endif

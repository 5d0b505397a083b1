/* A thread with a loop, and all the connections that it accepted: everything beneath a worker is
 * touched by its thread alone. What workers share is the server's options and its channels. */
#ifndef WS_WORKER_H
#define WS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/list.h"
#include "common/tls_context.h"
#include "common/transport.h"
#include "server/channel.h"
#include "server/channels.h"
#include "server/fanouts.h"
#include "server/http_api.h"
#include "server/inbox.h"
#include "server/limits.h"
#include "server/server_options.h"
#include "server/upgrade.h"

struct worker;

/* What a worker shares with the others; borrowed until worker_free. */
struct worker_shared {
    const struct server_options *options;
    struct limits *limits;
    struct channels *channels;
    struct tls_context *tls; /* NULL: ws:// */
    uv_async_t *done;        /* sent when the worker's thread has ended */
};

/* Returns 0 or a negative UV_E* code. */
int worker_new(struct worker **worker, const struct worker_shared *shared);

/* Before worker_start: serves a bound socket, which it takes. Returns 0 or a negative UV_E*
 * code. */
int worker_listen(struct worker *worker, int fd);

/* Starts the thread. Returns 0 or a negative UV_E* code. */
int worker_start(struct worker *worker);

/* From any thread: the worker stops accepting, says goodbye (Close 1001) to every peer, delivers
 * what is owed, and ends within a few seconds. A second time: it drops everybody and ends. */
void worker_stop(struct worker *worker);

/* Waits for the thread, if it was started, and frees. */
void worker_free(struct worker *worker);

/* ---- for the worker's own peers, on its thread ---- */

struct worker *worker_of_transports(struct transport_context *transports);
void worker_peer_arrived(struct worker *worker);
void worker_peer_left(struct worker *worker);
bool worker_is_stopping(const struct worker *worker);
const struct server_options *worker_options(const struct worker *worker);
const struct upgrade_policy *worker_policy(const struct worker *worker);
const struct channel_publisher *worker_publisher(const struct worker *worker);
struct limits *worker_limits(const struct worker *worker);
struct frame_part worker_prefix(const struct worker *worker);
struct tls_context *worker_tls(struct worker *worker); /* NULL: ws:// */
struct fanouts *worker_fanouts(struct worker *worker);

#endif

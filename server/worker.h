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
#include "server/config/config.h"
#include "server/http/connection.h"
#include "server/journal/submit.h"
#include "server/net/fd_shortage.h"
#include "server/net/limits.h"
#include "server/net/sockets.h"
#include "server/thread/inbox.h"

struct worker;

/* What a worker shares with the others; borrowed until worker_free. */
struct worker_shared {
    const struct config *config; /* of the start */
    struct limits *limits;
    struct channels *channels;
    struct journal *journal;
    struct control *control;               /* NULL: nothing can be asked of the server */
    const struct counters *stdin_counters; /* of the thread that reads standard input */
    struct tls_context *tls;               /* NULL: no listener speaks TLS */
    struct fd_shortage *shortage;
    struct worker **workers; /* all of them: complete before the first one starts */
    size_t worker_count;
    _Atomic size_t *running; /* workers whose threads have not ended */
    uv_async_t *done;        /* sent by the last of them */
};

/* `number` counts from 0. Returns 0 or a negative UV_E* code. */
int worker_new(struct worker **worker, size_t number, const struct worker_shared *shared);

/* Before worker_start: serves the listening socket `fd`, which it takes, as `socket` says: whether
 * it shares the connections with all workers, in turn, and how they begin. Returns 0 or a negative
 * UV_E* code. */
int worker_listen(struct worker *worker, int fd, const struct sockets_socket *socket);

/* What changes while the workers run. Borrowed until each of them has taken it over; one at a
 * time. */
struct worker_change {
    const struct config *config;
    const unsigned *closed; /* listeners that are closed, by the IDs of their addresses */
    size_t closed_count;
    struct sockets_socket *opened; /* each is taken by its worker */
    size_t opened_count;
    bool tls_reloaded;      /* the TLS context has been */
    _Atomic size_t pending; /* workers that have not taken it over, */
    uv_async_t *done;       /* sent by the last of them */
};

/* From any thread, once it was started: the worker takes the change over between two turns. It may
 * end before; then it never says so. */
void worker_change(struct worker *worker, struct worker_change *change);

/* Starts the thread. Returns 0 or a negative UV_E* code. */
int worker_start(struct worker *worker);

/* From any thread, once it was started: the worker stops accepting and finishes the requests that
 * have begun. When all workers have, it says goodbye (Close 1001) to every peer, delivers what is
 * owed, and ends within a few seconds. A second time: it drops every peer and ends. */
void worker_stop(struct worker *worker);

/* From any thread, before worker_stop: the worker accepts nothing more but the operator's requests,
 * and closes its subscribers (1001) one after the other, the last of them when so many milliseconds
 * are over. */
void worker_drain(struct worker *worker, uint64_t milliseconds);

/* Waits for the thread, once it was started. All workers are joined before the first one is freed:
 * until then they may pass things to each other. */
void worker_join(struct worker *worker);
void worker_free(struct worker *worker);

/* From any thread: to pass things to the worker. */
struct inbox *worker_inbox(struct worker *worker);

/* To be looked at on the worker's thread. */
const struct fanouts *worker_fanouts(const struct worker *worker);

#endif

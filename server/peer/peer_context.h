/* The surroundings of a worker's peers: all that they need of the thread that they live on. A
 * worker embeds one and fills it in; everything is borrowed, and touched on the worker's thread
 * alone. */
#ifndef WS_SERVER_PEER_PEER_CONTEXT_H
#define WS_SERVER_PEER_PEER_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/awake.h"
#include "common/base/list.h"
#include "common/tls/tls_loop.h"
#include "common/websocket/transport.h"
#include "server/broadcast/fanouts.h"
#include "server/broadcast/memory.h"
#include "server/config/server_options.h"
#include "server/http/connection.h"
#include "server/journal/submit.h"
#include "server/metrics/counters.h"
#include "server/net/limits.h"
#include "server/peer/peer_users.h"

struct peer_context {
    struct transport_context transports; /* a transport leads to it, and so a peer to this struct */
    const struct server_options *options;
    const struct connection_policy *policy;
    const struct connection_policy *admin_policy; /* for the operator's connections */
    const struct submit_context *publish;
    struct limits *limits;
    struct memory *memory;
    struct fanouts *fanouts;
    struct tls_loop *tls;
    struct list *charged;     /* of struct peer_cold: peers that the memory account charges */
    const struct awake *idle; /* the clock by which a peer's idleness is judged */
    struct counters counters; /* of the worker */
    struct peer_users users;  /* those that are somebody */
    const struct auth *auth;  /* of now; NULL: there are no users */
    struct list records;      /* of struct peer_record: connections, where they are noted */
    uint64_t first_id;        /* of the first of them; */
    uint64_t id_step;         /* those of other workers lie in between */
    bool leaving;             /* the goodbye has been said */
    size_t peers;             /* that there are, */
    uint64_t peers_ever;      /* and that there were; */
    uint64_t publishers_ever; /* that published with --no-echo */
    /* Frees the place of a connection that is kept for further requests and idle, here or, later,
     * on another worker. True when it is free. */
    bool (*make_room)(struct peer_context *context);
    /* A peer is gone, and not counted any more. */
    void (*on_left)(struct peer_context *context);
};

static inline struct peer_context *peer_context_of(struct transport_context *transports)
{
    return container_of(transports, struct peer_context, transports);
}

/* Milliseconds, of the clock of idleness. */
static inline uint64_t peer_context_clock(const struct peer_context *context)
{
    return awake_clock(context->idle, uv_now(context->transports.loop));
}

#endif

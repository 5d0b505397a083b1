/* From a URL to a connected socket: whether through a proxy, to which addresses, and which of them
 * answers first.
 *
 *     URL ─► --connect-to ─► proxy? ─► --resolve or the resolver ─► race ─► tunnel?
 *     --unix-socket ───────────────────────────────────────────────► race
 */
#ifndef WS_CLIENT_CONNECT_CONNECTOR_H
#define WS_CLIENT_CONNECT_CONNECTOR_H

#include <stdbool.h>
#include <uv.h>

#include "client/connect/outcome.h"
#include "client/connect/proxy.h"
#include "client/connect/race.h"
#include "client/connect/resolution.h"
#include "client/connect/tunnel.h"
#include "client/connect/url.h"
#include "client/options/client_options.h"
#include "common/tls/tls_context.h"
#include <netinet/in.h>

struct connector;

/* Within either of these the connector may be started again. */
struct connector_ops {
    /* `fd` is a connected socket, non-blocking, and the owner's to close. */
    void (*on_connected)(struct connector *connector, int fd);
    void (*on_failed)(struct connector *connector, const struct outcome *outcome);
};

struct connector {
    uv_loop_t *_loop;
    const struct client_options *_options;
    const struct connector_ops *_ops;
    struct proxy _proxy;
    struct tls_context *_proxy_tls; /* made when an https proxy is first met */
    const char *_host;              /* of the server, after --connect-to */
    uint16_t _port;
    struct resolution *_resolution; /* what is under way, or NULL */
    struct race *_race;
    struct tunnel *_tunnel;          /* of an https proxy: also while the connection lasts */
    char _numeric[INET6_ADDRSTRLEN]; /* an address in place of _host, for a socks5 proxy */
    bool _resolves;                  /* which is being looked for */
    bool _warned;                    /* of a proxy that the environment names */
    const char *_doing;
    bool _stuck;
};

/* All pointers are borrowed for the life of the connector. */
void connector_init(struct connector *connector, uv_loop_t *loop,
                    const struct client_options *options, const struct connector_ops *ops);
void connector_deinit(struct connector *connector);

/* Begins an attempt; one of the ops ends it, perhaps before this returns. `url` is borrowed until
 * then. What was connected before, through an https proxy, must be closed. */
void connector_start(struct connector *connector, const struct url *url);

/* Gives up what is under way, if anything is: none of the ops will run. */
void connector_cancel(struct connector *connector);

/* What has not been done yet, for people; NULL when nothing is under way. */
const char *connector_doing(const struct connector *connector);

/* True when a resolver that was given up is still at work: the loop does not end before it does. */
bool connector_is_stuck(const struct connector *connector);

#endif

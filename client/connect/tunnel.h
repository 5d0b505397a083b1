/* Through a proxy: from a socket that is connected to the proxy to one that leads to the server.
 *
 *     http, socks…    the same socket, once the proxy has said yes
 *     https           one end of a socket pair; the tunnel carries what goes through the other end
 *                     to the proxy's TLS and back, for as long as the connection lasts
 */
#ifndef WS_CLIENT_CONNECT_TUNNEL_H
#define WS_CLIENT_CONNECT_TUNNEL_H

#include <stdint.h>
#include <uv.h>

#include "client/connect/outcome.h"
#include "client/connect/proxy.h"
#include "common/tls/tls_context.h"

struct tunnel;

/* What the owner hears: on_ready or on_failed, never within tunnel_start, and last of all on_gone,
 * after which the tunnel is no more. */
struct tunnel_ops {
    void (*on_ready)(void *owner, int fd); /* which is the owner's now */
    void (*on_failed)(void *owner, const struct outcome *outcome);
    void (*on_gone)(void *owner);
};

/* Where it leads; all is borrowed for the life of the tunnel, but `host`, which is copied. */
struct tunnel_way {
    const struct proxy *proxy;
    struct tls_context *tls; /* for an https proxy */
    const char *host;
    uint16_t port;
};

/* Takes `fd`, connected to the proxy, and asks it for the host and port. Returns 0, or a negative
 * UV_E* code, and then `fd` is closed. */
int tunnel_start(struct tunnel **tunnel, uv_loop_t *loop, int fd, const struct tunnel_way *way,
                 void *owner, const struct tunnel_ops *ops);

/* Drops it at once; none of the ops runs any more. */
void tunnel_cancel(struct tunnel *tunnel);

#endif

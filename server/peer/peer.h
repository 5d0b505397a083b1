/* One connection's life: it arrives, asks to be upgraded, subscribes, publishes and receives
 * messages, and leaves. */
#ifndef WS_SERVER_PEER_PEER_H
#define WS_SERVER_PEER_PEER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/websocket/transport.h"
#include "server/broadcast/subscriber.h"

struct fanout;
struct limits_address;
struct peer_cold;
struct peer_user;

/* Keep small: this struct is the entire cost of an idle subscriber, and there may be a million. */
struct peer {
    struct transport transport;
    struct subscriber subscriber;
    struct fanout *_fanout; /* of the channel that it has asked for; NULL before */
    void *_extra;           /* what only some need: see peer_private.h */
};

/* What the transports of a worker, and its fanouts, ask of their peers. */
extern const struct transport_ops peer_transport_ops;
extern const struct subscriber_ops peer_subscriber_ops;

/* How a connection has come. */
struct peer_arrival {
    const struct sockaddr *client; /* its address; NULL: the socket's own */
    bool loopback;                 /* through a listener that only this machine reaches */
    bool tls;                      /* TLS is spoken on it */
    bool admin;                    /* it is the operator's: it counts for no limit */
};

/* Takes an accepted socket. `transports` is that of a struct peer_context. The peer owns itself
 * from then on, and calls the context's on_left when it is gone. Returns 0, or a negative UV_E*
 * code if there was no memory for a peer, and the socket is closed. */
int peer_accept(struct transport_context *transports, int fd, const struct peer_arrival *arrival);

/* Drops the connection that has waited longest for a further request to begin: its descriptor is
 * free, and it is not counted any more. False when there is none. */
bool peer_drop_kept(struct transport_context *transports);

/* For struct connection_policy: the peer's client is another one than the last. */
const char *peer_on_forwarded(struct transport *transport, const struct sockaddr *client,
                              struct limits_address **address);

/* Ends the peer, whose client's certificate is no longer admitted: with 1008 if it speaks frames.
 */
void peer_expel(struct peer *peer);

/* The last message that the peer, which has joined, has acknowledged; where it began, at first. */
uint64_t peer_acknowledged(const struct peer *peer);

#endif

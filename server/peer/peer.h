/* One connection's life: it arrives, asks to be upgraded, subscribes, says and hears messages, and
 * leaves. An idle subscriber is this struct and nothing else. */
#ifndef WS_SERVER_PEER_PEER_H
#define WS_SERVER_PEER_PEER_H

#include "common/base/list.h"
#include "common/websocket/transport.h"
#include "server/broadcast/channel.h"

struct fanout;
struct peer_more;

/* An idle subscriber is no more than this; there may be a million of them. */
struct peer {
    struct transport transport;
    struct list place;          /* in one of the lists of its fanout */
    struct block_cursor cursor; /* what it has read of the channel's log */
    struct fanout *_fanout;     /* of the channel it has come for; NULL before */
    struct peer_more *_more;    /* what only some need, or NULL */
};

/* What the transports of a worker ask of their peers. */
extern const struct transport_ops peer_transport_ops;

/* Takes an accepted socket, which came through a listener that only this machine reaches if
 * `loopback`, and on which TLS is spoken if `tls`; the peer owns itself from then on and tells its
 * worker when it is gone. Returns 0, or a negative UV_E* code if there was nothing left to make a
 * peer of, and the socket is closed. */
int peer_accept(struct transport_context *transports, int fd, bool loopback, bool tls);

/* Drops the connection that has waited longest for a further request to begin: its descriptor is
 * free, and it is not counted any more. False when there is none. */
bool peer_drop_kept(struct transport_context *transports);

/* Writes what is owed: own frames and whatever the log has for it, with one system call as a
 * rule. */
void peer_flush(struct peer *peer);

/* Ends the peer, whose client's certificate is not admitted any more: with 1008 if frames are
 * spoken. */
void peer_expel(struct peer *peer);

/* Closes the peer (1000) if its last message is `timeout` milliseconds old. */
void peer_judge_idle(struct peer *peer, uint64_t now, uint64_t timeout);

/* Drops the peer if it is stalled and has read fewer than `least` bytes since the last call. */
void peer_judge_reading(struct peer *peer, uint64_t least);

/* While the peer catches up: the cursor with which it will go on. NULL, or nowhere: there is none.
 */
struct block_cursor *peer_meeting(const struct peer *peer);

/* The last message that the peer, which has joined, has acknowledged; where it began, at first. */
uint64_t peer_acknowledged(const struct peer *peer);

/* The stalled peer lags too far behind: what it has not begun to read is lost to it. It is told so
 * and closed (1008), or goes on with what is new then; one that is closing is just closed. */
void peer_too_slow(struct peer *peer);

#endif

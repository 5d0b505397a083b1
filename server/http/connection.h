/* A connection before it is a WebSocket: its bytes are read as HTTP/1.1, each request goes to the
 * router, and the response is written. When a request becomes a subscriber (an opening handshake,
 * or a request for an event stream) the owner takes over; any other is answered, and the connection
 * goes on where HTTP allows it. A client that does not read its responses is not read from. It
 * lives on the heap until the connection has joined or is gone. */
#ifndef WS_SERVER_HTTP_CONNECTION_H
#define WS_SERVER_HTTP_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/websocket/transport.h"
#include "server/broadcast/channel.h"
#include "server/http/router.h"
#include "server/net/limits.h"
#include "server/syntax/server_names.h"
#include "server/syntax/trusted_proxies.h"

struct connection;
struct services;

enum connection_result {
    CONNECTION_MORE,  /* all bytes are used; wait for the next */
    CONNECTION_JOIN,  /* it wants to join a channel: connection_accept or connection_refuse it */
    CONNECTION_ENDED, /* the last response is written; the transport finishes or is aborted */
};

/* What a request that joins asks for. */
struct connection_join {
    bool events;                      /* an event stream; else a WebSocket */
    bool ids;                         /* with the subprotocol id.wsbroadcast */
    bool refuses_gap;                 /* ?gap=refuse */
    struct extension_deflate deflate; /* as agreed on */
    struct request_target_channel channel;
    struct channel_replay_from replay_from;
    bool may_create;                 /* the channel, if there is none */
    const struct identity *identity; /* borrowed from the request */
};

/* What the requests of a listener are served by; all is borrowed. */
struct connection_policy {
    const struct router *router;
    const struct services *services;
    struct server_names names;
    uint64_t max_header_bytes; /* 0: no limit */
    uint64_t max_header_count;
    const struct trusted_proxies *proxies; /* whose word is taken for whom a request comes from */
    /* A request is another client's than the last one: the connection counts there from now on, and
     * `*address` becomes where. Returns NULL, or the limit that forbids it. */
    const char *(*on_forwarded)(struct transport *transport, const struct sockaddr *client,
                                struct limits_address **address);
    bool ending; /* each response is the last one of its connection */
};

/* `policy` is borrowed; `loopback` says that the connection came through a listener that only this
 * machine reaches. `address` is where the client counts, or NULL. Returns 0 or UV_ENOMEM. */
int connection_new(struct connection **connection, const struct connection_policy *policy,
                   bool loopback, struct limits_address *address);

/* Also cancels a request that is pending. Harmless with NULL. */
void connection_free(struct connection *connection);

/* Reads requests from `len` bytes and writes the responses to the transport. `*used` says how many
 * bytes were read, or are held until the responses have left; if the result is CONNECTION_JOIN, the
 * rest are frames, and `join` is what is asked for. */
enum connection_result connection_input(struct connection *connection, struct transport *transport,
                                        const uint8_t *data, size_t len, size_t *used,
                                        struct connection_join *join);

/* All that was queued has left: writes what follows of a response. Takes the bytes that were held,
 * which are the caller's to free, if it is time for them: feed them to connection_input, even if
 * there are none (a request that was pending joins). To be asked after each flush. False if it is
 * not time yet. */
bool connection_take_buffered(struct connection *connection, struct transport *transport,
                              struct buffer *buffered);

/* After CONNECTION_JOIN: writes 101, or the head of the event stream; `start` is the ID just before
 * the first message that will be sent, `live` that of the newest one. False when the transport had
 * to be aborted. */
bool connection_accept(struct connection *connection, struct transport *transport,
                       struct event_id start, struct event_id live);

/* Refuses the request, whatever has come of it, and ends the connection. A request that is pending
 * is cancelled. */
void connection_refuse(struct connection *connection, struct transport *transport, int status,
                       const char *why);

/* The time for what is to come now is over: refuses the request (408, or 503 while the server
 * ends), answers one that is pending in place of its handler, or drops a client that does not
 * read. */
void connection_expire(struct connection *connection, struct transport *transport);

/* True while a request is pending, or a response is written in part. */
bool connection_is_answering(const struct connection *connection);

/* Bytes of memory that the connection holds for its client, but for what is queued for the socket;
 * `connection` may be NULL. */
size_t connection_held(const struct connection *connection);

/* Bytes of a channel's log that only an unfinished page keeps: those that the history does not hold
 * any more. `connection` may be NULL. Takes the channel's lock, and walks through a block. */
uint64_t connection_pinned(const struct connection *connection);

/* After connection_refuse: lets go of what has come of the request, and of its response. */
void connection_forget(struct connection *connection);

/* True while no byte of a request, or of a further one, has come. */
bool connection_is_idle(const struct connection *connection);

/* The limit that the last refusal was for: the option that sets it; NULL if it was for none. */
const char *connection_limit(const struct connection *connection);

#endif

/* One connection, a WebSocket or an event stream, from a connected socket to its end: TLS, the
 * opening handshake, the transport, and what its end means. When it has closed, the next one may be
 * started in the same place. */
#ifndef WS_CLIENT_CONNECT_CONNECTION_H
#define WS_CLIENT_CONNECT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "client/connect/client_handshake.h"
#include "client/connect/event_parser.h"
#include "client/connect/outcome.h"
#include "client/connect/refusal.h"
#include "client/connect/url.h"
#include "client/monitor/monitor.h"
#include "client/options/client_options.h"
#include "common/websocket/transport.h"

struct connection;

struct connection_ops {
    /* The opening handshake is done: messages may be sent, and may come. */
    void (*on_open)(struct connection *connection);
    /* A whole message, borrowed for the call. */
    void (*on_message)(struct connection *connection, enum frame_opcode opcode, const uint8_t *data,
                       size_t len);
    /* Of an event stream: a message has come that is of no type that is wanted. */
    void (*on_skipped)(struct connection *connection);
    /* A ping has come, with this payload, which is borrowed for the call. */
    void (*on_ping)(struct connection *connection, const uint8_t *data, size_t len);
    /* What waited was given to the socket: 0 when it took all; else as transport_flush. */
    void (*on_flushed)(struct connection *connection, int status);
    /* How it ended; told once, as soon as it is known. */
    void (*on_end)(struct connection *connection, const struct outcome *outcome);
    /* The socket is gone. */
    void (*on_closed)(struct connection *connection);
};

struct connection {
    const struct client_options *_options;
    const struct connection_ops *_ops;
    struct monitor *_monitor;
    const struct url *_url;
    struct client_handshake_request _request;
    const char *_limit; /* what was not met by the peer; NULL: nothing */
    uint64_t _opened;   /* when, by the loop's clock; 0: not open yet */
    struct transport_context _transports;
    struct transport _transport;
    struct client_handshake _handshake;
    struct http_head _head;
    struct extension_deflate _deflate;
    struct http_body _body; /* of an event stream */
    struct event_parser _events;
    bool _streaming;         /* it is open */
    char *_event_id;         /* the last that a server gave whose IDs are not ours, or NULL */
    uint64_t _retry;         /* milliseconds: its field of that name */
    struct outcome _refused; /* the server refused the opening handshake; exit is CLIENT_OK: no */
    struct refusal _refusal; /* its body, for which */
    uv_timer_t _patience;    /* is waited so long */
    bool _live;              /* on_closed has not run */
    bool _told;              /* on_end has */
    bool _ended;             /* closed by connection_end */
    bool _answered;          /* a byte has come */
    bool _alerted;           /* and it was that of an alert of TLS */
};

/* All pointers are borrowed for the life of the connection. Returns 0 or a negative UV_E* code. */
int connection_init(struct connection *connection, uv_loop_t *loop,
                    const struct client_options *options, const struct connection_ops *ops,
                    struct monitor *monitor);

/* Closes what belongs to the loop: run it once more, then deinit. Not while the connection is live,
 * unless it has been aborted. */
void connection_close_handles(struct connection *connection);
void connection_deinit(struct connection *connection);

/* Takes `fd`, a connected socket, and begins the opening handshake; with TLS first, if `tls` is not
 * NULL. `url` and `tls` are borrowed until on_closed, all in `request` until on_end. What fails is
 * told by on_end. Returns 0; or a negative UV_E* code when there was not even enough for that: then
 * `fd` is closed. */
int connection_start(struct connection *connection, int fd, const struct url *url,
                     struct tls_context *tls, const struct client_handshake_request *request);

/* Within on_open: the Last-Event-ID of the response, borrowed; NULL when it has not just one. */
const char *connection_last_event_id(const struct connection *connection);

/* The same for Live-Event-ID: the newest message when we joined. */
const char *connection_live_event_id(const struct connection *connection);

/* Within on_open: false when the response says that the server does not send us our own messages
 * (Wsbroadcast-Echo: no). */
bool connection_is_echoed(const struct connection *connection);

/* True when the socket has bytes, or its end, that are not read yet: a system call. */
bool connection_has_input(const struct connection *connection);

/* True from a successful start until on_closed. */
bool connection_is_live(const struct connection *connection);

/* True while messages may be sent. */
bool connection_is_open(const struct connection *connection);

/* As transport_send; a failure of the machine's own aborts the connection. */
void connection_send(struct connection *connection, enum frame_opcode opcode, const void *data,
                     size_t len);

/* Bytes of frames that wait to be sent: the measure of back-pressure. */
size_t connection_queued(const struct connection *connection);

/* Back-pressure towards the server: between these two nothing is read. */
void connection_pause(struct connection *connection);
void connection_resume(struct connection *connection);

/* Starts the closing handshake with code 1000. */
void connection_close(struct connection *connection);

/* The same for good, with the code of --close. */
void connection_end(struct connection *connection);

/* Drops it at once. */
void connection_abort(struct connection *connection, int status);

/* Ends it, as the owner has judged: on_end gets this outcome, unless the end was known before. An
 * open connection is closed with code 1000 and what the server still sends is not heard. */
void connection_give_up(struct connection *connection, const struct outcome *outcome);

/* For how many milliseconds it has been open, or was; 0 when it never was. */
uint64_t connection_age(const struct connection *connection);

/* Writes what waits. Once, at the end of each loop turn. */
void connection_flush(struct connection *connection);

#endif

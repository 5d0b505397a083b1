/* The server's side of the opening handshake (RFC 6455, 4.2), without a socket: the fields of a
 * request are checked, once, and the response is written from what they came to. */
#ifndef WS_SERVER_HTTP_SERVER_HANDSHAKE_H
#define WS_SERVER_HTTP_SERVER_HANDSHAKE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/http/http_head.h"
#include "common/websocket/event_id.h"
#include "common/websocket/extension.h"
#include "common/websocket/handshake.h"
#include "server/broadcast/channel_settings.h"

/* The subprotocol with which each message, text or binary, is preceded by its ID and a newline. */
#define SUBPROTOCOL_IDS "id.wsbroadcast"

/* The subprotocol that changes nothing, for clients that insist on one. */
#define SUBPROTOCOL_PLAIN "wsbroadcast"

/* A handshake that is agreed on. */
struct server_handshake {
    char accept[HANDSHAKE_ACCEPT_LEN + 1]; /* Sec-WebSocket-Accept */
    struct extension_deflate deflate;      /* permessage-deflate, if it was offered */
    bool ids; /* the subprotocol is SUBPROTOCOL_IDS: each message comes with its ID */
    const char *subprotocol; /* that is agreed on, borrowed from the request; NULL: none */
    size_t subprotocol_len;
    bool no_echo; /* the client is not sent its own messages, and the response says so */
};

/* True for a request that asks to become a WebSocket. */
bool server_handshake_is_asked_for(const struct http_head *request);

/* Why a request for a WebSocket does not arrive as one: proxies speak HTTP/1.0 to servers, or keep
 * Upgrade to themselves, unless they are configured otherwise. Static; NULL if the request does not
 * look like one, or asks for something else as well. */
const char *server_handshake_lost(const struct http_head *request);

/* Checks the method and the fields of a request that asks to become a WebSocket (RFC 6455, 4.2.1);
 * the first thing that is wrong decides. With `compression`, an offer of permessage-deflate is
 * accepted. Returns 0, or the HTTP status of the refusal with `*why` (static). */
int server_handshake_check(const struct http_head *request, bool compression,
                           struct server_handshake *handshake, const char **why);

/* Agrees to the first subprotocol offered that the server knows or the channel's settings name (RFC
 * 6455, 4.2.2, 5.4). It is borrowed from the request. */
void server_handshake_choose(const struct http_head *request,
                             const struct channel_settings *settings,
                             struct server_handshake *handshake);

/* Appends the response (101); `start` is the ID just before the first message that will be sent,
 * `live` that of the newest one, up to which the client catches up. Returns 0 or UV_ENOMEM. */
int server_handshake_write(struct buffer *out, const struct server_handshake *handshake,
                           struct event_id start, struct event_id live);

#endif

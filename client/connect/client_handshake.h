/* The client's side of the opening handshake (RFC 6455, 4.1), without a socket: the request is
 * written, and the response is checked. */
#ifndef WS_CLIENT_CONNECT_CLIENT_HANDSHAKE_H
#define WS_CLIENT_CONNECT_CLIENT_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/http/http_head.h"
#include "common/websocket/extension.h"
#include "common/websocket/handshake.h"

/* What a request says. Nothing of it is checked here: no value may have a CR or LF. */
struct client_handshake_request {
    const char *server_name;   /* of TLS: for SNI, and what the certificate must be for */
    const char *authority;     /* host and port as in a URL */
    const char *target;        /* path and query */
    const char *user_agent;    /* NULL: none */
    const char *origin;        /* NULL: none */
    const char *authorization; /* the value of that field; NULL: none */
    const char *cookies;       /* "NAME=VALUE; …" beside those of `fields`; NULL: none */
    const char *last_event_id; /* the place to go on behind; NULL: none */
    const char *const *subprotocols;
    size_t subprotocol_count;
    const char *const *fields; /* whole lines, "Name: value" */
    size_t field_count;
    bool events;      /* an event stream is asked for, and no WebSocket */
    bool compression; /* permessage-deflate is offered */
    bool withheld;    /* credentials that there are stand in none of these */
};

struct client_handshake {
    char key[HANDSHAKE_KEY_LEN + 1];       /* Sec-WebSocket-Key of the request */
    char accept[HANDSHAKE_ACCEPT_LEN + 1]; /* what the response must bear */
};

/* Draws a fresh key. Returns 0, or UV_EIO when the CSPRNG fails. */
int client_handshake_init(struct client_handshake *client);

/* Appends the request. Returns 0 or UV_ENOMEM. */
int client_handshake_write_request(const struct client_handshake *client, struct buffer *out,
                                   const struct client_handshake_request *request);

/* Judges a complete response head to `request`, and says in `deflate` what was agreed on. Returns 0
 * when the connection is open, UV_ECONNREFUSED when the server answered with another status than
 * 101 (the text names it), or UV_EPROTO when it said 101 but not as RFC 6455, 4.1 asks. */
int client_handshake_check_response(const struct client_handshake *client,
                                    const struct client_handshake_request *request,
                                    const struct http_head *response,
                                    struct extension_deflate *deflate, struct error *error);

#endif

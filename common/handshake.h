/* The opening handshake (RFC 6455, 4), both sides, without a socket: a request is judged, a
 * response is judged, and both are written. */
#ifndef WS_HANDSHAKE_H
#define WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/event_id.h"
#include "common/extension.h"
#include "common/http_head.h"
#include "common/origin.h"
#include "common/resource.h"

enum {
    HANDSHAKE_KEY_LEN = 24,    /* 16 bytes in base64 */
    HANDSHAKE_ACCEPT_LEN = 28, /* 20 bytes in base64 */
};

/* The methods that the endpoint and its channels know. */
#define HANDSHAKE_ALLOW "GET, HEAD, POST, OPTIONS"

/* ---- the server's side (RFC 6455, 4.2) ---- */

/* What a request may become. */
struct handshake_verdict {
    int status;      /* 101: it becomes a WebSocket; else the HTTP status of the refusal */
    const char *why; /* of a refusal: one line that says what to do; static, or `text` */
    char text[256];
    /* The refusal is because it does not ask to become a WebSocket; all before that is fine: what
     * it asks for may be had by plain HTTP. */
    bool plain;
    /* When status is 101: */
    char accept[HANDSHAKE_ACCEPT_LEN + 1]; /* Sec-WebSocket-Accept */
    struct extension_deflate deflate;      /* permessage-deflate, if it was offered */
    bool no_echo;                          /* as the policy has it */
    /* Then, and when it is plain: */
    struct resource resource;     /* borrowed from the request, as is the channel: */
    struct resource_text channel; /* its name; empty: the default one */
};

/* What the server serves. */
struct handshake_policy {
    const char *path; /* the path that may be upgraded, and channels beneath it */
    bool compression; /* offers of permessage-deflate are taken */
    bool no_echo;     /* clients are not sent their own messages, and the response says so */
    struct origin_policy origins;
};

/* Judges a complete request head: the first thing that is wrong decides, in the order request
 * line, header fields, target, method, upgrade, origin. `loopback`: it came through a listener that
 * only this machine reaches. */
void handshake_judge_request(const struct http_head *request, const struct handshake_policy *policy,
                             bool loopback, struct handshake_verdict *verdict);

/* Refuses (403) what comes from the page of an origin that is not allowed. */
void handshake_judge_origin(const struct http_head *request, const struct origin_policy *policy,
                            bool loopback, struct handshake_verdict *verdict);

/* Appends the response to a verdict of 101; `place` is the ID just before the first message that
 * will be sent. Returns 0 or UV_ENOMEM. */
int handshake_write_response(struct buffer *out, const struct handshake_verdict *verdict,
                             struct event_id place);

/* Appends a refusal: status line, the fields that the status asks for (Allow of 405, Upgrade and
 * Sec-WebSocket-Version of 426), and `why` with a newline as its text/plain body, which
 * `head_only` leaves out (the answer to HEAD). `keep_alive` says whether the connection goes on.
 * Returns 0 or UV_ENOMEM. */
int handshake_write_refusal(struct buffer *out, int status, const char *why, bool keep_alive,
                            bool head_only);

/* ---- the client's side (RFC 6455, 4.1) ---- */

/* What a request says. Nothing of it is checked here: no value may have a CR or LF. */
struct handshake_request {
    const char *authority;     /* host and port as in a URL */
    const char *target;        /* path and query */
    const char *user_agent;    /* NULL: none */
    const char *origin;        /* NULL: none */
    const char *authorization; /* the value of that field; NULL: none */
    const char *last_event_id; /* the place to go on behind; NULL: none */
    const char *const *subprotocols;
    size_t subprotocol_count;
    const char *const *fields; /* whole lines, "Name: value" */
    size_t field_count;
    bool compression; /* permessage-deflate is offered */
    bool withheld;    /* credentials that there are stand in none of these */
};

struct handshake_client {
    char key[HANDSHAKE_KEY_LEN + 1];       /* Sec-WebSocket-Key of the request */
    char accept[HANDSHAKE_ACCEPT_LEN + 1]; /* what the response must bear */
};

/* Draws a fresh key. Returns 0, or UV_EIO when the CSPRNG fails. */
int handshake_client_init(struct handshake_client *client);

/* Appends the request. Returns 0 or UV_ENOMEM. */
int handshake_write_request(const struct handshake_client *client, struct buffer *out,
                            const struct handshake_request *request);

/* Judges a complete response head to `request`, and says in `deflate` what was agreed on. Returns 0
 * when the connection is open, UV_ECONNREFUSED when the server answered with another status than
 * 101 (the text names it), or UV_EPROTO when it said 101 but not as RFC 6455, 4.1 asks. */
int handshake_judge_response(const struct handshake_client *client,
                             const struct handshake_request *request,
                             const struct http_head *response, struct extension_deflate *deflate,
                             struct error *error);

#endif

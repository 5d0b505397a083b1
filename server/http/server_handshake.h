/* The server's side of the opening handshake (RFC 6455, 4.2), without a socket: a request is
 * checked, and the response is written. */
#ifndef WS_SERVER_HTTP_SERVER_HANDSHAKE_H
#define WS_SERVER_HTTP_SERVER_HANDSHAKE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/http/http_head.h"
#include "common/websocket/event_id.h"
#include "common/websocket/extension.h"
#include "common/websocket/handshake.h"
#include "server/http/request_target.h"
#include "server/syntax/origin.h"

/* The methods that the endpoint and its channels know (RFC 9110, 10.2.1). */
#define SERVER_HANDSHAKE_ALLOW "GET, HEAD, POST, OPTIONS"

/* What a request may become. */
struct server_handshake_verdict {
    int status;      /* 101: it becomes a WebSocket; else the HTTP status of the refusal */
    const char *why; /* of a refusal: one line that says what to do; static, or `text` */
    char text[256];
    /* The refusal is because it does not ask to become a WebSocket; all before that is fine: what
     * it asks for may be had by plain HTTP. */
    bool plain;
    bool by_proxy; /* the refusal is for what a proxy in between did: its operator can mend it */
    /* When status is 101: */
    char accept[HANDSHAKE_ACCEPT_LEN + 1]; /* Sec-WebSocket-Accept */
    struct extension_deflate deflate;      /* permessage-deflate, if it was offered */
    bool no_echo;                          /* as the policy has it */
    /* Then, and when it is plain: */
    struct request_target resource; /* borrowed from the request */
    struct request_target_channel channel;
};

/* What the server serves. */
struct server_handshake_policy {
    const char *path; /* the path that may be upgraded, and channels beneath it */
    bool compression; /* offers of permessage-deflate are taken */
    bool no_echo;     /* clients are not sent their own messages, and the response says so */
    struct origin_policy origins;
};

/* Judges a complete request head: the first thing that is wrong decides, in the order request
 * line, header fields, target, method, upgrade, origin. `loopback`: it came through a listener that
 * only this machine reaches. */
void server_handshake_check(const struct http_head *request,
                            const struct server_handshake_policy *policy, bool loopback,
                            struct server_handshake_verdict *verdict);

/* Refuses (403) what comes from the page of an origin that is not allowed. */
void server_handshake_check_origin(const struct http_head *request,
                                   const struct origin_policy *policy, bool loopback,
                                   struct server_handshake_verdict *verdict);

/* Appends the response to a verdict of 101; `place` is the ID just before the first message that
 * will be sent. Returns 0 or UV_ENOMEM. */
int server_handshake_write(struct buffer *out, const struct server_handshake_verdict *verdict,
                           struct event_id place);

#endif

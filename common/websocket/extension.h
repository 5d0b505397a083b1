/* Negotiation of permessage-deflate (RFC 6455, 9; RFC 7692, 5 and 7.1), both sides, without a
 * socket. */
#ifndef WS_COMMON_WEBSOCKET_EXTENSION_H
#define WS_COMMON_WEBSOCKET_EXTENSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/http/http_head.h"

/* What both sides have agreed on. */
struct extension_deflate {
    bool agreed; /* else messages are not compressed, and the rest means nothing */
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    uint8_t server_max_window_bits; /* 8 to 15 */
    uint8_t client_max_window_bits;
    bool _answer_server_bits; /* the answer names these parameters */
    bool _answer_client_bits;
};

/* The server's side: takes the first offer of a request that can be kept. `deflate->agreed` stays
 * false when there is none. Returns 0, or UV_EPROTO when a field is not what RFC 6455, 9.1 allows
 * in it, which fails the handshake. */
int extension_accept(const struct http_head *request, struct extension_deflate *deflate);

/* Appends the header field that answers the offer; nothing when nothing was agreed. Returns 0 or
 * UV_ENOMEM. */
int extension_write_answer(struct buffer *out, const struct extension_deflate *deflate);

/* The client's side: appends the header field that offers permessage-deflate, as it is judged by
 * extension_check_response. Returns 0 or UV_ENOMEM. */
int extension_write_offer(struct buffer *out);

/* What a response answers to that offer (or to none, if `offered` is false). Returns 0, or
 * UV_EPROTO when the answer is not one to it (RFC 6455, 4.1 point 5 of the response; RFC 7692,
 * 7.1). */
int extension_check_response(const struct http_head *response, bool offered,
                             struct extension_deflate *deflate);

#endif

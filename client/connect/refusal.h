/* The body of a response that refuses the opening handshake: servers say there what to do. Its
 * first lines are kept, made fit for a terminal; HTML, and what is compressed, is left out. Without
 * a socket. */
#ifndef WS_CLIENT_CONNECT_REFUSAL_H
#define WS_CLIENT_CONNECT_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/http/http_body.h"

struct refusal {
    struct buffer _text;
    struct http_body _body;
};

/* Begins with a complete head; both must stay where they are while it is read. True when a body is
 * to be fed. */
bool refusal_begin(struct refusal *refusal, struct http_head *head);
void refusal_deinit(struct refusal *refusal);

/* Feeds what came behind the head, or behind the last feed. True when more is wanted. */
bool refusal_feed(struct refusal *refusal, struct http_head *head, const uint8_t *data, size_t len);

/* Appends the lines to `out`, escaped, each with its newline, then a NUL; what is left out is shown
 * as "...". Returns 0; UV_ENOENT when there are none; or UV_ENOMEM. */
int refusal_write(const struct refusal *refusal, struct buffer *out);

#endif

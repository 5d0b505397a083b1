/* What compressed payloads contain. A server that compresses each message once sends the same bytes
 * to everybody, and inflating them a thousand times would make the generator the bottleneck: so
 * the result is remembered by content. Without context takeover, which is all that the generator
 * agrees to, equal bytes mean equal messages. */
#ifndef BENCH_INFLATED_H
#define BENCH_INFLATED_H

#include <stddef.h>
#include <stdint.h>

struct inflated;

/* `max`: bytes of the longest message. Returns 0 or UV_ENOMEM. */
int inflated_new(struct inflated **inflated, size_t max);
void inflated_free(struct inflated *inflated);

/* The message that the payload is when inflated, until the next call; NULL when it is no deflate
 * stream or too long. */
const uint8_t *inflated_find(struct inflated *inflated, const uint8_t *data, size_t len,
                             size_t *plain_len);

#endif

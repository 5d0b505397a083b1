/* Base64 (RFC 4648): the usual one (4), with padding and without line breaks, and the one for URLs
 * and tokens (5; RFC 7515, 2), without padding. */
#ifndef WS_COMMON_BASE_BASE64_H
#define WS_COMMON_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

/* How many characters `len` bytes become. */
static inline size_t base64_size(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Appends `len` bytes. Returns 0 or UV_ENOMEM. */
int base64_append(struct buffer *out, const uint8_t *data, size_t len);

/* Writes what fits of `len` bytes, in whole groups, so that pieces put together are what the whole
 * would have been. Returns the number of characters, which is less than `room`; `*used` is the
 * number of bytes they stand for. */
size_t base64_write(uint8_t *out, size_t room, const uint8_t *data, size_t len, size_t *used);

/* Decodes the kind for URLs, strictly: no whitespace, no '=', and no stray bits in the last
 * character. Returns 0, or UV_EINVAL for anything else, or for more than `size` bytes. */
int base64url_decode(const char *text, size_t text_len, unsigned char *out, size_t size,
                     size_t *len);

/* The caller's to free; NULL when out of memory. */
char *base64url_encode(const unsigned char *bytes, size_t len);

#endif

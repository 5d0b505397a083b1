/* Bytes as printable text. */
#ifndef WS_COMMON_BASE_ENCODE_H
#define WS_COMMON_BASE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

/* Appends `len` bytes in hexadecimal. Returns 0 or UV_ENOMEM. */
int encode_hex(struct buffer *out, const uint8_t *data, size_t len, bool upper);

#endif

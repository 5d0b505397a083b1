#include "common/base/base64.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { STEP = 3 << 20 }; /* bytes encoded at a time: OpenSSL counts in int */

/* 4 characters for 3 bytes, and OpenSSL ends them with a NUL. */
int base64_append(struct buffer *out, const uint8_t *data, size_t len)
{
    size_t room = base64_size(len) + 1;
    int status = buffer_reserve(out, room);

    while (status == 0 && len > 0) {
        size_t used, written = base64_write(out->data + out->len, room, data, len, &used);

        out->len += written;
        room -= written;
        data += used;
        len -= used;
    }
    return status;
}

size_t base64_write(uint8_t *out, size_t room, const uint8_t *data, size_t len, size_t *used)
{
    size_t most = room > 0 ? (room - 1) / 4 * 3 : 0;

    if (most > STEP)
        most = STEP;
    *used = len < most ? len : most;
    return *used > 0 ? (size_t) EVP_EncodeBlock(out, data, (int) *used) : 0;
}

/* ---- for URLs ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int base64url_decode(const char *text, size_t text_len, unsigned char *out, size_t size,
                     size_t *len)
{
    uint32_t bits = 0;
    unsigned count = 0;

    *len = 0;
    for (size_t i = 0; i < text_len; i++) {
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;

        if (digit == NULL)
            return UV_EINVAL;
        bits = bits << 6 | (uint32_t) (digit - digits);
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        if (*len == size)
            return UV_EINVAL;
        out[(*len)++] = (unsigned char) (bits >> count);
        bits &= ((uint32_t) 1 << count) - 1;
    }
    return count < 6 && bits == 0 ? 0 : UV_EINVAL;
}

char *base64url_encode(const unsigned char *bytes, size_t len)
{
    char *text = malloc(len / 3 * 4 + 5), *end = text;
    uint32_t bits = 0;
    unsigned count = 0;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        bits = (bits << 8 | bytes[i]) & 0xffff;
        for (count += 8; count >= 6; count -= 6)
            *end++ = digits[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *end++ = digits[bits << (6 - count) & 63];
    *end = '\0';
    return text;
}

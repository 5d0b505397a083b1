#include "common/base/encode.h"

#include <openssl/evp.h>

enum { BASE64_STEP = 3 << 20 }; /* bytes encoded at a time: OpenSSL counts in int */

int encode_hex(struct buffer *out, const uint8_t *data, size_t len, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    int status = buffer_reserve(out, 2 * len);

    if (status != 0)
        return status;
    for (size_t i = 0; i < len; i++) {
        out->data[out->len++] = (uint8_t) digits[data[i] >> 4];
        out->data[out->len++] = (uint8_t) digits[data[i] & 15];
    }
    return 0;
}

/* 4 characters for 3 bytes, and OpenSSL ends them with a NUL. */
int encode_base64(struct buffer *out, const uint8_t *data, size_t len)
{
    int status = buffer_reserve(out, (len + 2) / 3 * 4 + 1);

    if (status != 0)
        return status;
    while (len > 0) {
        size_t step = len < BASE64_STEP ? len : BASE64_STEP;

        out->len += (size_t) EVP_EncodeBlock(out->data + out->len, data, (int) step);
        data += step;
        len -= step;
    }
    return 0;
}

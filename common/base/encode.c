#include "common/base/encode.h"

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

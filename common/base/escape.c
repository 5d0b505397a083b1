#include "common/base/escape.h"

#include <stdbool.h>
#include <string.h>
#include <unistr.h>

enum { MAX_UNIT = 16 }; /* bytes that one character can become: four times \xNN */

/* What a terminal acts on, or what reorders the text around it (Unicode's Bidi_Control). */
static bool acts(ucs4_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x061c ||
           character == 0x200e || character == 0x200f ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

/* Writes the first character of `text` to `unit`, escaped if need be. Returns how many bytes of
 * `text` it was; `*written` are the bytes of `unit`. */
static size_t escape_one(const uint8_t *text, size_t len, uint8_t unit[MAX_UNIT], size_t *written)
{
    static const char digits[] = "0123456789abcdef";
    ucs4_t character;
    int valid = u8_mbtoucr(&character, text, len);
    size_t used = valid > 0 ? (size_t) valid : 1;

    *written = 0;
    if (valid > 0 && !acts(character)) {
        memcpy(unit, text, used);
        *written = used;
    } else {
        for (size_t i = 0; i < used; i++) {
            unit[(*written)++] = '\\';
            unit[(*written)++] = 'x';
            unit[(*written)++] = (uint8_t) digits[text[i] >> 4];
            unit[(*written)++] = (uint8_t) digits[text[i] & 15];
        }
    }
    return used;
}

int escape_append(struct buffer *out, const uint8_t *text, size_t len)
{
    int status = 0;

    while (len > 0 && status == 0) {
        uint8_t unit[MAX_UNIT];
        size_t written;
        size_t used = escape_one(text, len, unit, &written);

        status = buffer_append(out, unit, written);
        text += used;
        len -= used;
    }
    return status;
}

const char *escape_text(char *out, size_t size, const void *text, size_t len)
{
    const uint8_t *at = text;
    size_t end = 0;

    while (len > 0) {
        uint8_t unit[MAX_UNIT];
        size_t written;
        size_t used = escape_one(at, len, unit, &written);
        size_t reserve = used < len ? 4 : 1; /* for "..." and the NUL, or for the NUL alone */

        if (end + written + reserve > size) {
            memcpy(out + end, "...", 4);
            return out;
        }
        memcpy(out + end, unit, written);
        end += written;
        at += used;
        len -= used;
    }
    out[end] = '\0';
    return out;
}

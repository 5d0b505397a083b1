#include "common/base/json.h"

#include <stdbool.h>
#include <string.h>
#include <unistr.h>

/* What becomes of a byte: 0: it stands in a string as it is; a letter: the two-character escape
 * (RFC 8259, 7) of that letter; or one of these. */
enum {
    X = 1, /* \u00XX */
    M = 2, /* it begins a character of several bytes, or is not UTF-8 */
};

/* clang-format off */
#define MULTIBYTE_32 M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, \
                     M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M

static const uint8_t classes[256] = {
    X, X, X, X, X, X, X, X, 'b', 't', 'n', X, 'f', 'r', X, X,
    X, X, X, X, X, X, X, X, X,   X,   X,   X, X,   X,   X, X,
    0, 0, '"', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\\', 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, X,
    MULTIBYTE_32, MULTIBYTE_32, MULTIBYTE_32, MULTIBYTE_32,
};
/* clang-format on */

static size_t plain_prefix(const uint8_t *text, size_t len)
{
    size_t n = 0;

    while (n < len && classes[text[n]] == 0)
        n++;
    return n;
}

/* What ends a line somewhere, or what a terminal acts on; see escape.h. */
static bool acts(ucs4_t character)
{
    return (character >= 0x7f && character < 0xa0) || character == 0x061c || character == 0x200e ||
           character == 0x200f || (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

/* What a character that is not plain becomes. */
struct form {
    uint8_t bytes[JSON_MAX_ESCAPE];
    size_t len;
};

static void write_hex(struct form *form, ucs4_t character)
{
    static const char digits[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                                    '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};

    form->bytes[0] = '\\';
    form->bytes[1] = 'u';
    for (unsigned i = 0; i < 4; i++)
        form->bytes[2 + i] = (uint8_t) digits[character >> (12 - 4 * i) & 15];
    form->len = JSON_MAX_ESCAPE;
}

/* The first character of the text, whose first byte is not ASCII. Returns its bytes. */
static size_t form_multibyte(struct form *form, const uint8_t *text, size_t len)
{
    ucs4_t character;
    int valid = u8_mbtoucr(&character, text, len);

    form->len = valid > 0 ? (size_t) valid : 3;
    if (valid > 0 && acts(character))
        write_hex(form, character);
    else
        memcpy(form->bytes, valid > 0 ? text : (const uint8_t *) "\xef\xbf\xbd", form->len);
    return valid > 0 ? (size_t) valid : 1;
}

/* The first character of the text, which is not plain. Returns its bytes. */
static size_t form_of(struct form *form, const uint8_t *text, size_t len)
{
    uint8_t class = classes[text[0]];

    if (class == M)
        return form_multibyte(form, text, len);
    if (class == X) {
        write_hex(form, text[0]);
        return 1;
    }
    form->bytes[0] = '\\';
    form->bytes[1] = class;
    form->len = 2;
    return 1;
}

size_t json_string_size(const void *text, size_t len, size_t most)
{
    const uint8_t *at = text;
    size_t size = 2;

    while (len > 0 && size <= most) {
        size_t used = plain_prefix(at, len);
        struct form form = {.len = used};

        if (used == 0)
            used = form_of(&form, at, len);
        size += form.len;
        at += used;
        len -= used;
    }
    return size;
}

size_t json_escape(uint8_t *out, size_t room, const void *text, size_t len, size_t *used)
{
    const uint8_t *at = text, *end = at + len;
    size_t written = 0;

    while (at < end && written < room) {
        size_t rest = (size_t) (end - at), space = room - written;
        size_t plain = plain_prefix(at, rest < space ? rest : space);
        struct form form;
        size_t taken;

        if (plain > 0) {
            memcpy(out + written, at, plain);
            written += plain;
            at += plain;
            continue;
        }
        taken = form_of(&form, at, rest);
        if (form.len > space)
            break;
        memcpy(out + written, form.bytes, form.len);
        written += form.len;
        at += taken;
    }
    *used = (size_t) (at - (const uint8_t *) text);
    return written;
}

int json_append_string(struct buffer *out, const void *text, size_t len)
{
    size_t size = json_string_size(text, len, SIZE_MAX), used;
    int status = buffer_reserve(out, size);

    if (status != 0)
        return status;
    out->data[out->len] = '"';
    (void) json_escape(out->data + out->len + 1, size - 2, text, len, &used);
    out->data[out->len + size - 1] = '"';
    out->len += size;
    return 0;
}

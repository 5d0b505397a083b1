#include "common/json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistr.h>

enum { MAX_ESCAPE = 6 }; /* bytes: \uXXXX */

/* A byte that is a character of its own and stands in a string as it is. */
static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static size_t plain_prefix(const uint8_t *text, size_t len)
{
    size_t n = 0;

    while (n < len && is_plain(text[n]))
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

/* RFC 8259, 7: the letter of a two-character escape, or 0. */
static char letter_of(ucs4_t character)
{
    switch (character) {
    case '"':
    case '\\':
        return (char) character;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static int append_escape(struct buffer *out, ucs4_t character)
{
    char escape[MAX_ESCAPE + 1] = {'\\', letter_of(character)};

    if (escape[1] != 0)
        return buffer_append(out, escape, 2);
    (void) snprintf(escape, sizeof escape, "\\u%04x", character & 0xffffU);
    return buffer_append(out, escape, MAX_ESCAPE);
}

/* Appends the first character of the text, which is not plain. */
static int append_character(struct buffer *out, const uint8_t *text, size_t len, size_t *used)
{
    ucs4_t character;
    int valid = u8_mbtoucr(&character, text, len);

    *used = valid > 0 ? (size_t) valid : 1;
    if (valid <= 0)
        return buffer_append(out, "\xef\xbf\xbd", 3);
    if (character < 0x80 || acts(character))
        return append_escape(out, character);
    return buffer_append(out, text, *used);
}

int json_append_string(struct buffer *out, const void *text, size_t len)
{
    const uint8_t *at = text;
    int status = buffer_append(out, "\"", 1);

    while (status == 0 && len > 0) {
        size_t used = plain_prefix(at, len);

        if (used > 0)
            status = buffer_append(out, at, used);
        else
            status = append_character(out, at, len, &used);
        at += used;
        len -= used;
    }
    return status != 0 ? status : buffer_append(out, "\"", 1);
}

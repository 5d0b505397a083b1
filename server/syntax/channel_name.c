#include "server/syntax/channel_name.h"

#include <stdint.h>
#include <string.h>

#include "common/base/utf8.h"

/* What RFC 3986, 3.3 has as pchar, without what patterns and lists need; and what is not ASCII. */
static bool is_of_a_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char) c >= 0x80 || (c != '\0' && strchr("-._~!$&'()+:@", c) != NULL);
}

static bool part_is_valid(const char *part, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool is_c1 = i + 1 < len && part[i] == '\xc2' && (unsigned char) part[i + 1] < 0xa0;

        if (!is_of_a_name(part[i]) || is_c1)
            return false;
    }
    return len > 0 && !(len == 1 && part[0] == '.') &&
           !(len == 2 && part[0] == '.' && part[1] == '.');
}

bool channel_name_is_valid(const char *name, size_t len)
{
    size_t begin = 0;

    if (len > CHANNEL_NAME_MAX || !utf8_valid((const uint8_t *) name, len))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] != '/')
            continue;
        if (!part_is_valid(name + begin, i - begin))
            return false;
        begin = i + 1;
    }
    return part_is_valid(name + begin, len - begin);
}

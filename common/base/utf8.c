#include "common/base/utf8.h"

#include <string.h>
#include <unistr.h>

static uint64_t word_at(const uint8_t *data)
{
    uint64_t word;

    memcpy(&word, data, sizeof word);
    return word;
}

/* How many bytes at the front are ASCII, found by whole words. */
static size_t ascii_prefix(const uint8_t *data, size_t len)
{
    const uint64_t high = 0x8080808080808080U;
    size_t n = 0;

    while (len - n >= 32 && ((word_at(data + n) | word_at(data + n + 8) | word_at(data + n + 16) |
                              word_at(data + n + 24)) &
                             high) == 0)
        n += 32;
    while (len - n >= 8 && (word_at(data + n) & high) == 0)
        n += 8;
    while (n < len && data[n] < 0x80)
        n++;
    return n;
}

/* As u8_mbtoucr, which waits for more of a sequence that no more bytes can save: the first byte of
 * one is never above 0xf4. */
static int first_character(const uint8_t *data, size_t len)
{
    ucs4_t character;

    return data[0] > 0xf4 ? -1 : u8_mbtoucr(&character, data, len);
}

/* Completes the carried sequence with bytes from the front of `data`. Returns how many it took,
 * or -1 when the sequence is invalid. */
static int finish_carried(struct utf8 *utf8, const uint8_t *data, size_t len)
{
    uint8_t sequence[4];
    size_t have = utf8->_carried;
    size_t more = len < sizeof sequence - have ? len : sizeof sequence - have;
    int n;

    memcpy(sequence, utf8->_carry, have);
    memcpy(sequence + have, data, more);
    n = first_character(sequence, have + more);
    if (n == -1)
        return -1;
    if (n == -2) { /* still incomplete: then it is three bytes at most, and all of data is in it */
        memcpy(utf8->_carry, sequence, have + more);
        utf8->_carried = (uint8_t) (have + more);
        return (int) more;
    }
    utf8->_carried = 0;
    return n - (int) have;
}

bool utf8_feed(struct utf8 *utf8, const uint8_t *data, size_t len)
{
    const uint8_t *bad;
    size_t skip;

    if (len == 0)
        return true;
    if (utf8->_carried > 0) {
        int taken = finish_carried(utf8, data, len);

        if (taken < 0)
            return false;
        data += taken;
        len -= (size_t) taken;
    }
    skip = ascii_prefix(data, len);
    data += skip;
    len -= skip;
    if (len == 0)
        return true;
    bad = u8_check(data, len);
    if (bad == NULL)
        return true;
    len -= (size_t) (bad - data);
    if (first_character(bad, len) != -2)
        return false;
    memcpy(utf8->_carry, bad, len);
    utf8->_carried = (uint8_t) len;
    return true;
}

bool utf8_complete(const struct utf8 *utf8)
{
    return utf8->_carried == 0;
}

bool utf8_valid(const uint8_t *data, size_t len)
{
    size_t skip = ascii_prefix(data, len);

    return skip == len || u8_check(data + skip, len - skip) == NULL;
}

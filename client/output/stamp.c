#include "client/output/stamp.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

enum { SECOND = 1000 * 1000 * 1000 };

/* Writes `number` with at least `width` digits. Returns how many. */
static size_t write_digits(char *out, uint64_t number, unsigned width)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[sizeof digits - ++n] = (char) ('0' + number % 10);
        number /= 10;
    } while (number > 0 || n < width);
    memcpy(out, digits + sizeof digits - n, n);
    return n;
}

/* Splits into seconds, rounded down, and what is left. */
static int64_t split(int64_t time, uint64_t *rest)
{
    int64_t seconds = time / SECOND;
    int64_t left = time % SECOND;

    if (left < 0) {
        left += SECOND;
        seconds--;
    }
    *rest = (uint64_t) left;
    return seconds;
}

/* The first `decimals` digits of a fraction in nanoseconds. */
static size_t write_fraction(char *out, uint64_t rest, unsigned decimals)
{
    if (decimals == 0)
        return 0;
    for (unsigned i = decimals; i < 9; i++)
        rest /= 10;
    out[0] = '.';
    return 1 + write_digits(out + 1, rest, decimals);
}

size_t stamp_iso(struct stamp_cache *cache, char out[STAMP_MAX], int64_t time)
{
    uint64_t rest;
    int64_t second = split(time, &rest);
    size_t len;

    if (cache->_len == 0 || cache->_second != second) {
        time_t seconds = (time_t) second;
        struct tm tm;

        (void) gmtime_r(&seconds, &tm);
        cache->_len = strftime(cache->_text, sizeof cache->_text, "%Y-%m-%dT%H:%M:%S", &tm);
        cache->_second = second;
    }
    memcpy(out, cache->_text, cache->_len);
    len = cache->_len;
    len += write_fraction(out + len, rest, 6);
    out[len++] = 'Z';
    return len;
}

/* RFC 3339 wants a colon in it, and strftime has none. */
static void write_zone(char zone[8], const struct tm *tm)
{
    char digits[8] = "";

    if (strftime(digits, sizeof digits, "%z", tm) != 5)
        memcpy(digits, "-0000", sizeof "-0000"); /* unknown */
    memcpy(zone, digits, 3);
    zone[3] = ':';
    memcpy(zone + 4, digits + 3, 3);
}

size_t stamp_local(struct stamp_cache *cache, char out[STAMP_MAX], int64_t time)
{
    uint64_t rest;
    int64_t second = split(time, &rest);
    size_t len;

    if (cache->_len == 0 || cache->_second != second) {
        time_t seconds = (time_t) second;
        struct tm tm;

        (void) localtime_r(&seconds, &tm);
        cache->_len = strftime(cache->_text, sizeof cache->_text, "%Y-%m-%dT%H:%M:%S", &tm);
        write_zone(cache->_zone, &tm);
        cache->_second = second;
    }
    memcpy(out, cache->_text, cache->_len);
    len = cache->_len;
    len += write_fraction(out + len, rest, 6);
    memcpy(out + len, cache->_zone, 6);
    return len + 6;
}

int stamp_strftime(struct buffer *out, const char *format, int64_t time)
{
    uint64_t rest;
    time_t seconds = (time_t) split(time, &rest);
    struct tm tm;
    char text[512];
    size_t len;

    (void) localtime_r(&seconds, &tm);
    len = strftime(text, sizeof text, format, &tm); /* 0 also when it is too long */
    return buffer_append(out, text, len);
}

size_t stamp_seconds(char out[STAMP_MAX], int64_t time, unsigned decimals)
{
    bool negative = time < 0;
    uint64_t size = negative ? -(uint64_t) time : (uint64_t) time;
    size_t len = 0;

    if (negative)
        out[len++] = '-';
    len += write_digits(out + len, size / SECOND, 1);
    return len + write_fraction(out + len, size % SECOND, decimals);
}

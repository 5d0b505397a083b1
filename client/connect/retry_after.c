#include "client/connect/retry_after.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/decimal.h"

enum { MOST = 1000000000 }; /* seconds, some 30 years: more is as good as that */

static uint64_t parse_seconds(const char *value)
{
    uint64_t seconds;

    if (value[decimal_read(value, strlen(value), &seconds)] != '\0')
        return 0;
    return (seconds < MOST ? seconds : MOST) * 1000;
}

uint64_t retry_after_parse(const char *value, time_t now)
{
    static const char *const formats[] = {
        "%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
        "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
        "%a %b %d %H:%M:%S %Y",      /* asctime */
    };

    if (value == NULL)
        return 0;
    if (*value >= '0' && *value <= '9')
        return parse_seconds(value);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct tm date = {0};
        const char *end = strptime(value, formats[i], &date);
        time_t then;

        if (end == NULL || *end != '\0')
            continue;
        then = timegm(&date);
        return then > now ? (uint64_t) (then - now) * 1000 : 0;
    }
    return 0;
}

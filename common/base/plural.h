/* One message, two messages: for what is said to people. */
#ifndef WS_COMMON_BASE_PLURAL_H
#define WS_COMMON_BASE_PLURAL_H

#include <stdint.h>

/* What the noun behind `count` ends in. */
static inline const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* The same for "N seconds", of a number of milliseconds. */
static inline const char *plural_seconds(uint64_t milliseconds)
{
    return milliseconds == 1000 ? "" : "s";
}

#endif

/* Retry-After (RFC 9110, 10.2.3): for how long a server wants to be left alone. */
#ifndef WS_CLIENT_CONNECT_RETRY_AFTER_H
#define WS_CLIENT_CONNECT_RETRY_AFTER_H

#include <stdint.h>
#include <time.h>

/* The field's value, seconds or an HTTP-date (RFC 9110, 5.6.7, in all its three forms), as
 * milliseconds from `now`; 0 when there is none (NULL), when it is over, or when it is neither. */
uint64_t retry_after_parse(const char *value, time_t now);

#endif

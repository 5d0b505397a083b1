/* The names of channels. */
#ifndef WS_SERVER_SYNTAX_CHANNEL_NAME_H
#define WS_SERVER_SYNTAX_CHANNEL_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { CHANNEL_NAME_MAX = 128 }; /* bytes of a name, decoded */

/* True for the name of a channel that is not the default one, decoded: 1 to CHANNEL_NAME_MAX
 * bytes of UTF-8, of what RFC 3986, 3.3 calls pchar, without '*', ',', ';' and '=', and of what is
 * not ASCII, without control characters; and '/' between parts that are not empty and neither "."
 * nor "..". */
bool channel_name_is_valid(const char *name, size_t len);

#endif

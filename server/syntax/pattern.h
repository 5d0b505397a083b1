/* Patterns of channel names, as the configuration file's sections and users' rights have them:
 *
 *     =          the default channel, which no other pattern matches
 *     news       the channel of that name
 *     log-*      a star is any run of bytes, also none, within one part of the name
 *     **         two stars are one part or more; only as the last part of a pattern, behind a '/'
 *                or alone
 *
 * Nothing else has a meaning of its own. */
#ifndef WS_SERVER_SYNTAX_PATTERN_H
#define WS_SERVER_SYNTAX_PATTERN_H

#include <stdbool.h>

enum { PATTERN_MAX = 256 }; /* bytes */

/* True if it is a pattern that can match some channel's name. */
bool pattern_is_valid(const char *pattern);

/* True if the valid pattern matches the name of a channel, decoded; "" is the default channel.
 * Takes time in proportion to the product of their lengths at most. */
bool pattern_matches(const char *pattern, const char *name);

/* True if every name that `narrow` matches is matched by `wide`, as far as that is easily seen: a
 * section of the configuration behind one that is at least as wide is never reached. */
bool pattern_covers(const char *wide, const char *narrow);

#endif

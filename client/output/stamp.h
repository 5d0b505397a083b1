/* Points in time, as text: cheap enough to stand before each message of a flood. */
#ifndef WS_CLIENT_OUTPUT_STAMP_H
#define WS_CLIENT_OUTPUT_STAMP_H

#include <stddef.h>
#include <stdint.h>

enum stamp_kind { STAMP_NONE, STAMP_ISO, STAMP_EPOCH, STAMP_REL };

enum { STAMP_MAX = 48 }; /* bytes of any of these */

/* The text of a second, kept: most messages share theirs with the one before. {0} is empty. */
struct stamp_cache {
    int64_t _second;
    size_t _len;
    char _text[STAMP_MAX / 2];
};

/* Writes `time`, in nanoseconds since 1970, in UTC with microseconds (RFC 3339, 5.6):
 * 2026-11-23T01:13:17.123456Z. Returns its length; there is no NUL. */
size_t stamp_iso(struct stamp_cache *cache, char out[STAMP_MAX], int64_t time);

/* Writes `time`, in nanoseconds, as seconds with this many decimals (at most 9). Returns its
 * length; there is no NUL. */
size_t stamp_seconds(char out[STAMP_MAX], int64_t time, unsigned decimals);

#endif

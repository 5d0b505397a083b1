/* Points in time, as text: cheap enough to stand before each message of a flood. */
#ifndef WS_CLIENT_OUTPUT_STAMP_H
#define WS_CLIENT_OUTPUT_STAMP_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum stamp_kind { STAMP_NONE, STAMP_ISO, STAMP_EPOCH, STAMP_REL, STAMP_LOCAL };

enum { STAMP_MAX = 48 }; /* bytes of any of these */

/* The text of a second, kept: most messages share theirs with the one before. {0} is empty. */
struct stamp_cache {
    int64_t _second;
    size_t _len;
    char _text[STAMP_MAX / 2];
    char _zone[8]; /* of stamp_local */
};

/* Writes `time`, in nanoseconds since 1970, in UTC with microseconds (RFC 3339, 5.6):
 * 2026-11-23T01:13:17.123456Z. Returns its length; there is no NUL. */
size_t stamp_iso(struct stamp_cache *cache, char out[STAMP_MAX], int64_t time);

/* The same in local time, with its offset: 2026-11-23T02:13:17.123456+01:00. Not with a cache of
 * stamp_iso's. */
size_t stamp_local(struct stamp_cache *cache, char out[STAMP_MAX], int64_t time);

/* Appends `time` in local time as strftime makes it of `format`. Returns 0 or UV_ENOMEM. */
int stamp_strftime(struct buffer *out, const char *format, int64_t time);

/* Writes `time`, in nanoseconds, as seconds with this many decimals (at most 9). Returns its
 * length; there is no NUL. */
size_t stamp_seconds(char out[STAMP_MAX], int64_t time, unsigned decimals);

#endif

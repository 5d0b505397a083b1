/* Is this text UTF-8? Asked as the bytes arrive, so that a bad sequence is noticed at its first
 * bad byte, wherever a peer cuts its message (RFC 6455, 8.1; RFC 3629). Runs of ASCII are skipped
 * by words; libunistring judges the rest. */
#ifndef WS_COMMON_BASE_UTF8_H
#define WS_COMMON_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text so far: the first bytes of a sequence that is not complete yet. Zero is the start. */
struct utf8 {
    uint8_t _carry[3];
    uint8_t _carried;
};

/* Feeds the next `len` bytes. False as soon as no continuation can make the text valid; the state
 * means nothing from then on. */
bool utf8_feed(struct utf8 *utf8, const uint8_t *data, size_t len);

/* True when the text may end here, that is, not within a sequence. */
bool utf8_complete(const struct utf8 *utf8);

/* True when `data` is valid UTF-8 from end to end. */
bool utf8_valid(const uint8_t *data, size_t len);

#endif

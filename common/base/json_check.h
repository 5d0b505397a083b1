/* Is this text JSON (RFC 8259)? Asked as the bytes arrive; nothing is built or allocated, so that
 * checking costs no memory, whatever the text nests or repeats. Exactly the grammar is accepted:
 * any number that it allows (1e999), any \u escape (a lone surrogate, too), any value on its own,
 * names that repeat; no byte order mark, and nothing behind the value but white space.
 *
 * Own code, as libyajl, which can do this, has had no release since 2014, while its CVEs are mended
 * by distributors alone. tests/fuzz/fuzz_json_check.c holds it against jansson. */
#ifndef WS_COMMON_BASE_JSON_CHECK_H
#define WS_COMMON_BASE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/utf8.h"

enum { JSON_CHECK_MAX_DEPTH = 512 }; /* arrays and objects within each other */

/* A text so far. Zero is the start. */
struct json_check {
    struct utf8 _utf8;
    uint8_t _state;
    uint8_t _hex;                                 /* digits of a \u escape that are still to come */
    bool _is_name;                                /* the string is a member's name */
    uint16_t _depth;                              /* arrays and objects that are open */
    const char *_rest;                            /* of a literal, still to come */
    uint64_t _objects[JSON_CHECK_MAX_DEPTH / 64]; /* a bit for each that is open: an object's? */
};

/* Feeds the next `len` bytes. Returns 0; UV_EINVAL as soon as no continuation can make the text
 * JSON, with `*at` as the offset of the byte that says so; UV_E2BIG, with the same, when it nests
 * too deeply; or UV_EILSEQ when it is not UTF-8. After an error the state means nothing. */
int json_check_feed(struct json_check *check, const void *text, size_t len, size_t *at);

/* True when the text may end here: a value is complete. */
bool json_check_complete(const struct json_check *check);

#endif

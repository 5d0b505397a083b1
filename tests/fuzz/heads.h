/* For harnesses about heads that are whole: parsing one is not what they test. */
#ifndef WS_TESTS_FUZZ_HEADS_H
#define WS_TESTS_FUZZ_HEADS_H

#include "common/http/http_head.h"
#include "tests/fuzz/fuzz.h"

/* Parses a head that is complete in `data`. After false there is nothing to deinit. */
static inline bool heads_parse(struct http_head *head, enum http_head_kind kind, const void *data,
                               size_t len)
{
    size_t used;

    http_head_init(head, kind);
    if (http_head_feed(head, data, len, &used) == HTTP_HEAD_DONE)
        return true;
    http_head_deinit(head);
    return false;
}

/* Parses a head of our own, and says how long it is. */
static inline size_t heads_parse_own(struct http_head *head, enum http_head_kind kind,
                                     const struct buffer *own)
{
    size_t used = 0;
    uint8_t *copy = fuzz_copy(own->data, own->len);

    http_head_init(head, kind);
    fuzz_check(http_head_feed(head, copy, own->len, &used) == HTTP_HEAD_DONE,
               "what we wrote is not a head: %.*s", (int) own->len, (const char *) own->data);
    free(copy);
    return used;
}

#endif

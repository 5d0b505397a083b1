#include "tests/bench/inflated.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/websocket/deflate.h"

enum { SLOTS = 2048 };

struct slot {
    struct buffer compressed;
    struct buffer plain;
};

struct inflated {
    size_t max;
    struct inflater *inflater;
    struct slot slots[SLOTS];
};

int inflated_new(struct inflated **inflated, size_t max)
{
    *inflated = calloc(1, sizeof **inflated);
    if (*inflated == NULL)
        return UV_ENOMEM;
    (*inflated)->max = max;
    if (inflater_new(&(*inflated)->inflater, 15) == 0)
        return 0;
    free(*inflated);
    *inflated = NULL;
    return UV_ENOMEM;
}

void inflated_free(struct inflated *inflated)
{
    if (inflated == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++) {
        buffer_deinit(&inflated->slots[i].compressed);
        buffer_deinit(&inflated->slots[i].plain);
    }
    inflater_free(inflated->inflater);
    free(inflated);
}

/* Stamps differ near a payload's beginning, templates near its end: both ends are looked at. */
static size_t slot_of(const uint8_t *data, size_t len)
{
    uint64_t hash = len, word;

    for (size_t i = 0; i + sizeof word <= len && i < 40; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }
    if (len >= sizeof word) {
        memcpy(&word, data + len - sizeof word, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    }
    return hash >> 40 & (SLOTS - 1);
}

const uint8_t *inflated_find(struct inflated *inflated, const uint8_t *data, size_t len,
                             size_t *plain_len)
{
    struct slot *slot = &inflated->slots[slot_of(data, len)];

    if (slot->compressed.len != len || memcmp(slot->compressed.data, data, len) != 0) {
        slot->compressed.len = 0;
        slot->plain.len = 0;
        inflater_reset(inflated->inflater);
        if (inflater_inflate(inflated->inflater, data, len, true, &slot->plain, inflated->max) !=
                0 ||
            buffer_append(&slot->compressed, data, len) != 0) {
            slot->compressed.len = 0;
            return NULL;
        }
    }
    *plain_len = slot->plain.len;
    return slot->plain.data;
}

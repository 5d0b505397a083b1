#include "common/websocket/event_id.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/base/decimal.h"

enum { EPOCH_DIGITS = 16 };

int event_id_draw_epoch(uint64_t *epoch)
{
    return RAND_bytes((unsigned char *) epoch, sizeof *epoch) == 1 ? 0 : UV_EIO;
}

char *event_id_print(struct event_id id, char out[EVENT_ID_SIZE])
{
    (void) snprintf(out, EVENT_ID_SIZE, "%016" PRIx64 "-%" PRIu64, id.epoch, id.sequence);
    return out;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_sequence(const char *text, size_t len, uint64_t *sequence)
{
    if (len > 1 && text[0] == '0')
        return UV_EINVAL;
    return decimal_parse(text, len, UINT64_MAX, sequence) ? 0 : UV_EINVAL;
}

int event_id_parse(const char *text, size_t len, struct event_id *id)
{
    if (len < EPOCH_DIGITS + 2 || text[EPOCH_DIGITS] != '-')
        return UV_EINVAL;
    id->epoch = 0;
    for (size_t i = 0; i < EPOCH_DIGITS; i++) {
        int digit = digit_of(text[i]);

        if (digit < 0)
            return UV_EINVAL;
        id->epoch = id->epoch << 4 | (uint64_t) digit;
    }
    return parse_sequence(text + EPOCH_DIGITS + 1, len - EPOCH_DIGITS - 1, &id->sequence);
}

#include "common/decoder_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/deflate.h"

enum {
    POOL_SPARE = 16,    /* contexts kept for the next frames; more are freed when returned */
    WIDEST_WINDOW = 15, /* what an inflater that is lent can follow: any sender */
    HEADER_START = 10,  /* bytes of a header up to the masking key */
};

/* ---- wslay's contexts ---- */

/* The bytes of the header that is under way: those kept, and those that have come. */
static size_t peek_header(const struct decoder_lease *lease, uint8_t header[HEADER_START])
{
    size_t kept = lease->header_len < HEADER_START ? lease->header_len : HEADER_START;
    size_t more = HEADER_START - kept < lease->input_len ? HEADER_START - kept : lease->input_len;

    memcpy(header, lease->header, kept);
    memcpy(header + kept, lease->input, more);
    return kept + more;
}

/* How many bytes of the frame that is under way wslay has not been given. UINT64_MAX while its
 * header does not tell, or tells what wslay will refuse. */
static uint64_t rest_of_frame(const struct decoder_lease *lease)
{
    uint8_t header[HEADER_START];
    size_t have, length_field;
    uint64_t payload = 0;

    if (lease->in_frame)
        return lease->frame_len - lease->unfinished;
    have = peek_header(lease, header);
    if (have < 2)
        return UINT64_MAX;
    length_field = (header[1] & 0x7f) == 126 ? 2 : (header[1] & 0x7f) == 127 ? 8 : 0;
    if (have < 2 + length_field)
        return UINT64_MAX;
    for (size_t i = 0; i < length_field; i++)
        payload = payload << 8 | header[2 + i];
    if (length_field == 0)
        payload = header[1] & 0x7fU;
    if (payload >> 63 != 0)
        return UINT64_MAX;
    return 2 + length_field + ((header[1] & 0x80) != 0 ? 4 : 0) + payload - lease->unfinished;
}

/* wslay gets nothing beyond the frame that it is in: between two frames it holds no bytes, and
 * decoder_next may take the next one without it. */
static ssize_t on_recv(uint8_t *out, size_t size, int flags, void *user_data)
{
    struct decoder_lease *lease = user_data;
    size_t len = lease->input_len < size ? lease->input_len : size;
    uint64_t rest = rest_of_frame(lease);

    (void) flags;
    if (rest < len)
        len = (size_t) rest;
    if (len == 0)
        return 0;
    memcpy(out, lease->input, len);
    lease->input += len;
    lease->input_len -= len;
    lease->unfinished += len;
    return (ssize_t) len;
}

static void lease_free(struct decoder_lease *lease)
{
    wslay_frame_context_free(lease->wslay);
    free(lease);
}

struct decoder_lease *decoder_pool_lend(struct decoder_pool *pool)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
    struct decoder_lease *lease = pool->spare;

    if (lease != NULL) {
        pool->spare = lease->next;
        pool->spares--;
    } else {
        lease = calloc(1, sizeof *lease);
        if (lease == NULL)
            return NULL;
        if (wslay_frame_context_init(&lease->wslay, &callbacks, lease) != 0) {
            free(lease);
            return NULL;
        }
        lease->pool = pool;
    }
    pool->lent++;
    return lease;
}

/* A context that stopped within a frame, or that wslay gave up on, serves nobody else. */
void decoder_pool_return(struct decoder_lease *lease)
{
    struct decoder_pool *pool = lease->pool;

    pool->lent--;
    if (lease->unfinished > 0 || pool->spares == POOL_SPARE) {
        lease_free(lease);
        return;
    }
    lease->next = pool->spare;
    pool->spare = lease;
    pool->spares++;
}

int decoder_pool_new(struct decoder_pool **pool, enum decoder_role role, uint64_t max_message)
{
    struct decoder_pool *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->role = role;
    fresh->max_message = max_message > 0 ? max_message : UINT64_MAX;
    decoder_pool_limit_fragments(fresh, 0, 0);
    *pool = fresh;
    return 0;
}

void decoder_pool_limit_fragments(struct decoder_pool *pool, uint64_t frames, uint64_t empty)
{
    pool->max_frames = frames > 0 ? frames : UINT64_MAX;
    pool->max_empty = empty > 0 ? empty : UINT64_MAX;
}

void decoder_pool_free(struct decoder_pool *pool)
{
    if (pool == NULL)
        return;
    assert(pool->lent == 0);
    while (pool->spare != NULL) {
        struct decoder_lease *lease = pool->spare;

        pool->spare = lease->next;
        lease_free(lease);
    }
    while (pool->spare_inflaters > 0)
        inflater_free(pool->inflaters[--pool->spare_inflaters]);
    free(pool);
}

size_t decoder_pool_lent(const struct decoder_pool *pool)
{
    return pool->lent;
}

/* ---- inflaters ---- */

static bool takes_context_over(const struct decoder_deflate *deflate)
{
    return deflate->pool->role == DECODER_SERVER ? !deflate->agreed.client_no_context_takeover
                                                 : !deflate->agreed.server_no_context_takeover;
}

struct inflater *decoder_pool_need_inflater(struct decoder_deflate *deflate)
{
    struct decoder_pool *pool = deflate->pool;
    unsigned bits = WIDEST_WINDOW;

    if (deflate->inflater != NULL)
        return deflate->inflater;
    if (takes_context_over(deflate))
        bits = pool->role == DECODER_SERVER ? deflate->agreed.client_max_window_bits
                                            : deflate->agreed.server_max_window_bits;
    else if (pool->spare_inflaters > 0)
        return deflate->inflater = pool->inflaters[--pool->spare_inflaters];
    (void) inflater_new(&deflate->inflater, bits);
    return deflate->inflater;
}

void decoder_pool_release_inflater(struct decoder_deflate *deflate)
{
    struct decoder_pool *pool = deflate->pool;

    if (takes_context_over(deflate))
        return;
    if (pool->spare_inflaters < DECODER_POOL_INFLATERS) {
        inflater_reset(deflate->inflater);
        pool->inflaters[pool->spare_inflaters++] = deflate->inflater;
    } else {
        inflater_free(deflate->inflater);
    }
    deflate->inflater = NULL;
}

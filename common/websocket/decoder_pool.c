#include "common/websocket/decoder_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/websocket/deflate.h"

enum {
    POOL_SPARE = 16,    /* contexts kept for the next frames; more are freed when returned */
    WIDEST_WINDOW = 15, /* what an inflater that is lent can follow: any sender */
};

/* ---- wslay's contexts ---- */

/* How many bytes of the frame that is under way wslay has not been given. UINT64_MAX while its
 * header does not tell, or tells what wslay will refuse. */
static uint64_t rest_of_frame(const struct decoder_lease *lease)
{
    uint8_t start[FRAME_MAX_HEADER];
    size_t kept = lease->header_len, more = sizeof start - kept, header;
    uint64_t payload;

    if (lease->in_frame)
        return lease->frame_len - lease->unfinished;
    if (more > lease->input_len)
        more = lease->input_len;
    memcpy(start, lease->header, kept);
    memcpy(start + kept, lease->input, more);
    header = frame_peek(start, kept + more, &payload);
    if (header == 0 || payload >> 63 != 0)
        return UINT64_MAX;
    return header + ((start[1] & 0x80) != 0 ? 4 : 0) + payload - lease->unfinished;
}

/* For a client, wslay gets nothing beyond the frame that it is in: between two frames it holds no
 * bytes, and the decoder may take the next one without it. */
static ssize_t on_recv(uint8_t *out, size_t size, int flags, void *user_data)
{
    struct decoder_lease *lease = user_data;
    size_t len = lease->input_len < size ? lease->input_len : size;

    (void) flags;
    if (len == 0)
        return 0;
    if (lease->pool->role == DECODER_CLIENT) {
        uint64_t rest = rest_of_frame(lease);

        len = rest < len ? (size_t) rest : len;
    }
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

void decoder_pool_drop_input(struct decoder_lease *lease)
{
    buffer_deinit(&lease->kept);
    buffer_init(&lease->kept);
    lease->suspended = false;
}

/* A context that stopped within a frame, or that wslay gave up on, is not lent again. */
void decoder_pool_return(struct decoder_lease *lease)
{
    struct decoder_pool *pool = lease->pool;

    decoder_pool_drop_input(lease);
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
    decoder_pool_limit_message(fresh, max_message);
    decoder_pool_limit_fragments(fresh, 0, 0);
    *pool = fresh;
    return 0;
}

void decoder_pool_limit_message(struct decoder_pool *pool, uint64_t max_message)
{
    pool->max_message = max_message > 0 ? max_message : UINT64_MAX;
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

uint64_t decoder_pool_inflated(const struct decoder_pool *pool)
{
    return pool->inflated;
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

/* What the decoders of a loop share: wslay's contexts, and the inflaters of senders that take no
 * context over. Of use to the decoder alone; decoder.h has what its owner calls. */
#ifndef WS_COMMON_WEBSOCKET_DECODER_POOL_H
#define WS_COMMON_WEBSOCKET_DECODER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wslay/wslay.h>

#include "common/base/buffer.h"
#include "common/websocket/decoder.h"

enum { DECODER_POOL_INFLATERS = 4 }; /* kept for the next compressed messages */

struct decoder_lease {
    wslay_frame_context_ptr wslay;
    struct decoder_pool *pool;
    struct decoder_lease *next; /* in the pool */

    const uint8_t *input; /* what wslay has not asked for yet */
    size_t input_len;
    const uint8_t *fed; /* where the input began */
    struct buffer kept; /* a copy of the input, once suspended: `input` and `fed` point into it */
    bool suspended;

    /* Bytes that wslay was given since the last frame ended: none of them means that we stand
     * between two frames. */
    uint64_t unfinished;
    bool in_frame;        /* wslay has shown the frame's header, but not all of its payload */
    uint64_t frame_len;   /* of that frame, header and all */
    uint64_t payload_got; /* of that frame */
    uint8_t header[FRAME_MAX_HEADER]; /* a header that is not complete, kept to be judged early */
    uint8_t header_len;
    uint8_t control_len;
    uint8_t control[FRAME_MAX_CONTROL]; /* a control frame's payload that came in pieces */
};

struct decoder_deflate {
    struct extension_deflate agreed;
    struct decoder_pool *pool; /* of the inflater */
    /* Kept while a compressed message is under way; and for good when the sender takes its context
     * from one message to the next. */
    struct inflater *inflater;
};

struct decoder_pool {
    enum decoder_role role;
    uint64_t max_message;
    uint64_t max_frames; /* of a message */
    uint64_t max_empty;
    uint64_t inflated; /* bytes, by all decoders */
    struct decoder_lease *spare;
    size_t spares;
    size_t lent;
    struct inflater *inflaters[DECODER_POOL_INFLATERS];
    size_t spare_inflaters;
};

/* A context between two frames, or NULL without memory. */
struct decoder_lease *decoder_pool_lend(struct decoder_pool *pool);

/* Forgets the copy of suspended input, which is used up. */
void decoder_pool_drop_input(struct decoder_lease *lease);

/* Gives it back, wherever in a frame it is. */
void decoder_pool_return(struct decoder_lease *lease);

/* The inflater of the compressed message that is under way, or NULL without memory. */
struct inflater *decoder_pool_need_inflater(struct decoder_deflate *deflate);

/* Bytes of memory of a wslay context. */
#define DECODER_POOL_WSLAY_SIZE ((size_t) 4200)

/* Bytes of memory of an inflater that is lent, more or less (see deflate.h). */
#define DECODER_POOL_INFLATER_SIZE ((size_t) 40 * 1024)

/* The message is complete: an inflater that need not remember it serves the next one. */
void decoder_pool_release_inflater(struct decoder_deflate *deflate);

#endif

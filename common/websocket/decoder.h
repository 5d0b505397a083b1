/* Bytes become messages: wslay's frame layer cuts and unmasks the frames, and the rules of
 * RFC 6455, 5 to 8 that it leaves open are judged here, as strictly as the RFC has them and as
 * early as the bytes allow.
 *
 *     bytes ──► [ lease: wslay context, 4.2 KiB ] ──► event ──► the owner of the connection
 *                    ▲ lent at the first byte of a frame
 *                    ▼ returned when the last byte of a frame was the last that came
 *               [ decoder_pool of the loop ]
 *
 * A server's plainest frames, if they lie whole in what came, are lent from there without wslay:
 * that halves what a short message costs a listener.
 *
 * Between frames a connection holds nothing but the pointers of its struct decoder, NULL unless a
 * fragmented message is under way or permessage-deflate was agreed on. Compressed messages (RFC
 * 7692) are inflated as they arrive; where the sender takes no context over, the inflater is lent,
 * too. A pool and all its decoders belong to one loop. */
#ifndef WS_COMMON_WEBSOCKET_DECODER_H
#define WS_COMMON_WEBSOCKET_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/websocket/extension.h"
#include "common/websocket/frame.h"

enum decoder_role {
    DECODER_SERVER, /* reads what clients send: masked frames */
    DECODER_CLIENT, /* reads what servers send: unmasked frames */
};

/* Lends wslay contexts to the decoders of one loop. */
struct decoder_pool;

/* `max_message` bounds the payload of a message in bytes; 0 does not. Returns 0 or UV_ENOMEM. */
int decoder_pool_new(struct decoder_pool **pool, enum decoder_role role, uint64_t max_message);

/* How many frames a message may have, and how many of them may be empty; 0 for no limit. More is a
 * fault with code 1008. */
void decoder_pool_limit_fragments(struct decoder_pool *pool, uint64_t frames, uint64_t empty);

/* Another `max_message` from now on, for messages that have begun, too. */
void decoder_pool_limit_message(struct decoder_pool *pool, uint64_t max_message);

/* Every decoder of the pool must have been deinitialized. */
void decoder_pool_free(struct decoder_pool *pool);

/* Bytes that the decoders of the pool have inflated so far: work that the sender has not paid
 * for. */
uint64_t decoder_pool_inflated(const struct decoder_pool *pool);

/* How many contexts are lent at the moment. */
size_t decoder_pool_lent(const struct decoder_pool *pool);

enum decoder_event_type {
    DECODER_MORE,  /* all bytes are used up */
    DECODER_YIELD, /* much has been inflated and no message is complete: call decoder_next again */
    DECODER_MESSAGE, /* a whole message: opcode, data */
    DECODER_PING,    /* data is the application data to echo (RFC 6455, 5.5.2) */
    DECODER_PONG,    /* data as sent */
    DECODER_CLOSE,   /* code (CLOSE_NO_STATUS if none), data is the reason; nothing follows */
    DECODER_FAULT,   /* the peer broke the rules: code to close with, why; nothing follows */
};

/* Only what belongs to the type is set. */
struct decoder_event {
    enum decoder_event_type type;
    enum frame_opcode opcode; /* FRAME_TEXT or FRAME_BINARY */
    const uint8_t *data;      /* borrowed until the next decoder_next or decoder_deinit */
    size_t len;
    uint16_t code;
    const char *why;   /* static; also fit for the reason of a Close frame */
    const char *limit; /* of a fault that is a limit: the option that sets it, static; else NULL */
};

/* Embedded in a connection; {0} is the initial state. */
struct decoder {
    struct decoder_lease *_lease;     /* while within a frame */
    struct decoder_message *_message; /* while within a message that could not be lent as it lay */
    struct decoder_deflate *_deflate; /* once compressed messages may come */
};

/* Compressed messages may come from now on, as agreed in the opening handshake. Returns 0 or
 * UV_ENOMEM. */
int decoder_allow_deflate(struct decoder *decoder, const struct extension_deflate *agreed);

/* What was agreed on with decoder_allow_deflate; NULL when nothing was. */
const struct extension_deflate *decoder_deflate(const struct decoder *decoder);

/* Gives the decoder the next bytes of the connection, borrowed until decoder_next answers
 * DECODER_MORE; call that until it does. Returns 0 or UV_ENOMEM. */
int decoder_feed(struct decoder *decoder, struct decoder_pool *pool, const uint8_t *data,
                 size_t len);

/* Instead of asking on until DECODER_MORE: copies what is left of the bytes that were fed, so that
 * decoder_next goes on with them later. Only after decoder_next has answered anything else. Returns
 * 0 or UV_ENOMEM. */
int decoder_suspend(struct decoder *decoder);

/* True from decoder_suspend until decoder_next answers DECODER_MORE. */
bool decoder_is_suspended(const struct decoder *decoder);

/* Bytes of memory that the decoder holds for the peer. */
size_t decoder_held(const struct decoder *decoder);

/* The next thing that the bytes say. After DECODER_CLOSE and DECODER_FAULT the decoder is spent:
 * only decoder_deinit may follow. Running out of memory is a fault with code 1011. */
void decoder_next(struct decoder *decoder, struct decoder_event *event);

/* Gives back whatever the decoder holds; it may be called twice. */
void decoder_deinit(struct decoder *decoder);

/* True within a frame or a fragmented message. */
bool decoder_is_busy(const struct decoder *decoder);

/* True within a message of which at least one piece has been taken, also between its frames. */
bool decoder_in_message(const struct decoder *decoder);

/* True when `code` may stand in a Close frame that is received (RFC 6455, 7.4; and the codes 1012
 * to 1014 that are registered since). */
bool decoder_close_code_valid(uint16_t code);

#endif

#include "common/decoder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <wslay/wslay.h>

#include "common/buffer.h"
#include "common/deflate.h"
#include "common/utf8.h"

enum {
    POOL_SPARE = 16,          /* contexts kept for the next frames; more are freed when returned */
    POOL_SPARE_INFLATERS = 4, /* the same for compressed messages */
    WIRE_FACTOR = 8,          /* a compressed message may be so many times longer on the wire, */
    WIRE_SLACK = 64 * 1024,   /* and this much */
    WIDEST_WINDOW = 15,       /* what an inflater that is lent can follow: any sender */
    HEADER_START = 10,        /* bytes of a header up to the masking key */
};

struct decoder_lease {
    wslay_frame_context_ptr wslay;
    struct decoder_pool *pool;
    struct decoder_lease *next; /* in the pool */

    const uint8_t *input; /* what wslay has not asked for yet */
    size_t input_len;

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

struct decoder_message {
    enum frame_opcode opcode;
    struct utf8 utf8;
    bool compressed;
    bool delivered; /* its bytes are lent to the owner until the next call */
    uint64_t frames;
    uint64_t empty_frames;
    uint64_t wire;         /* payload bytes as they came: compressed, if it is */
    struct buffer payload; /* as the sender meant it */
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
    struct decoder_lease *spare;
    size_t spares;
    size_t lent;
    struct inflater *inflaters[POOL_SPARE_INFLATERS];
    size_t spare_inflaters;
};

/* ---- the pool ---- */

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

static struct decoder_lease *pool_lend(struct decoder_pool *pool)
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
static void pool_return(struct decoder_lease *lease)
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

static struct inflater *need_inflater(struct decoder_deflate *deflate)
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

/* The message is complete: an inflater that need not remember it serves the next one. */
static void release_inflater(struct decoder_deflate *deflate)
{
    struct decoder_pool *pool = deflate->pool;

    if (takes_context_over(deflate))
        return;
    if (pool->spare_inflaters < POOL_SPARE_INFLATERS) {
        inflater_reset(deflate->inflater);
        pool->inflaters[pool->spare_inflaters++] = deflate->inflater;
    } else {
        inflater_free(deflate->inflater);
    }
    deflate->inflater = NULL;
}

int decoder_allow_deflate(struct decoder *decoder, const struct extension_deflate *agreed)
{
    decoder->_deflate = calloc(1, sizeof *decoder->_deflate);
    if (decoder->_deflate == NULL)
        return UV_ENOMEM;
    decoder->_deflate->agreed = *agreed;
    return 0;
}

const struct extension_deflate *decoder_deflate(const struct decoder *decoder)
{
    return decoder->_deflate != NULL ? &decoder->_deflate->agreed : NULL;
}

/* ---- the rules ---- */

static void fault(struct decoder_event *event, enum frame_close_code code, const char *why)
{
    *event = (struct decoder_event){.type = DECODER_FAULT, .code = (uint16_t) code, .why = why};
}

static void fault_for(struct decoder_event *event, const char *limit, enum frame_close_code code,
                      const char *why)
{
    fault(event, code, why);
    event->limit = limit;
}

static bool is_control(unsigned opcode)
{
    return (opcode & 0x8U) != 0;
}

bool decoder_in_message(const struct decoder *decoder)
{
    return decoder->_message != NULL && !decoder->_message->delivered;
}

static bool starts_message(unsigned opcode)
{
    return opcode == FRAME_TEXT || opcode == FRAME_BINARY;
}

/* What the first two bytes of a frame say (RFC 6455, 5.1, 5.2, 5.4, 5.5; RFC 7692, 6). */
static bool judge_start(const struct decoder *decoder, unsigned opcode, unsigned rsv, bool masked,
                        struct decoder_event *event)
{
    bool want_mask = decoder->_lease->pool->role == DECODER_SERVER;
    bool may_compress = decoder->_deflate != NULL && starts_message(opcode);

    if ((rsv & (may_compress ? 3U : 7U)) != 0)
        fault(event, CLOSE_PROTOCOL_ERROR, "reserved bit set");
    else if ((opcode & 0x7U) > 2)
        fault(event, CLOSE_PROTOCOL_ERROR, "reserved opcode");
    else if (masked != want_mask)
        fault(event, CLOSE_PROTOCOL_ERROR, want_mask ? "unmasked frame" : "masked frame");
    else if (opcode == FRAME_CONTINUATION && !decoder_in_message(decoder))
        fault(event, CLOSE_PROTOCOL_ERROR, "continuation of nothing");
    else if (starts_message(opcode) && decoder_in_message(decoder))
        fault(event, CLOSE_PROTOCOL_ERROR, "new message within a fragmented one");
    else
        return true;
    return false;
}

/* `compressed`: the frame begins a compressed message. */
static bool judge_length(const struct decoder *decoder, unsigned opcode, bool compressed,
                         uint64_t payload, struct decoder_event *event)
{
    uint64_t room = decoder->_lease->pool->max_message;

    if (is_control(opcode))
        return true; /* wslay holds these to 125 bytes */
    /* What counts is the size after inflating, but a message has no business being many times
     * longer before, as empty blocks can make it. */
    if ((compressed || (decoder_in_message(decoder) && decoder->_message->compressed)) &&
        room < UINT64_MAX / WIRE_FACTOR - WIRE_SLACK)
        room = room * WIRE_FACTOR + WIRE_SLACK;
    if (decoder_in_message(decoder))
        room -= decoder->_message->wire;
    if (payload <= room)
        return true;
    fault_for(event, "max-message", CLOSE_TOO_BIG, "message too big");
    return false;
}

/* A message of ever more frames, or of empty ones, is work for us and none for its sender. */
static bool count_frame(struct decoder *decoder, bool empty, struct decoder_event *event)
{
    const struct decoder_pool *pool = decoder->_lease->pool;
    struct decoder_message *message = decoder->_message;

    message->frames++;
    message->empty_frames += empty ? 1 : 0;
    if (message->frames > pool->max_frames)
        fault_for(event, "max-fragments", CLOSE_POLICY, "too many fragments");
    else if (message->empty_frames > pool->max_empty)
        fault_for(event, "max-empty-fragments", CLOSE_POLICY, "too many empty fragments");
    else
        return true;
    return false;
}

/* wslay shows a frame with the first byte of its payload. A header that is all that came is looked
 * at here, so that a bad one is answered at once and not when its sender pleases to go on. */
static bool judge_partial_header(const struct decoder *decoder, struct decoder_event *event)
{
    const struct decoder_lease *lease = decoder->_lease;
    const uint8_t *header = lease->header;
    unsigned opcode = header[0] & 0xfU;
    unsigned rsv = (header[0] >> 4) & 7U;
    bool compressed = (rsv & WSLAY_RSV1_BIT) != 0;
    size_t length_field, i;
    uint64_t payload = 0;

    if (lease->header_len < 2)
        return true;
    if (!judge_start(decoder, opcode, rsv, (header[1] & 0x80) != 0, event))
        return false;
    if (is_control(opcode) && ((header[0] & 0x80) == 0 || (header[1] & 0x7f) > FRAME_MAX_CONTROL)) {
        fault(event, CLOSE_PROTOCOL_ERROR, "malformed frame header"); /* RFC 6455, 5.5 */
        return false;
    }
    length_field = (header[1] & 0x7f) == 126 ? 2 : (header[1] & 0x7f) == 127 ? 8 : 0;
    if (length_field == 0)
        return judge_length(decoder, opcode, compressed, header[1] & 0x7fU, event);
    if (lease->header_len < 2 + length_field)
        return true;
    for (i = 0; i < length_field; i++)
        payload = payload << 8 | header[2 + i];
    if (payload >> 63 != 0)
        return true; /* not a length at all: wslay says so when it comes to it */
    return judge_length(decoder, opcode, compressed, payload, event);
}

bool decoder_close_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != CLOSE_NO_STATUS &&
            code != CLOSE_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

/* RFC 6455, 5.5.1, 7.4 and 8.1 */
static void judge_close(const uint8_t *data, size_t len, struct decoder_event *event)
{
    uint16_t code = CLOSE_NO_STATUS;

    if (len == 1) {
        fault(event, CLOSE_PROTOCOL_ERROR, "Close with half a code");
        return;
    }
    if (len >= 2) {
        code = (uint16_t) (data[0] << 8 | data[1]);
        data += 2;
        len -= 2;
        if (!decoder_close_code_valid(code)) {
            fault(event, CLOSE_PROTOCOL_ERROR, "Close with a code that must not be sent");
            return;
        }
        if (!utf8_valid(data, len)) {
            fault(event, CLOSE_INVALID_DATA, "Close reason is not UTF-8");
            return;
        }
    }
    *event = (struct decoder_event){.type = DECODER_CLOSE, .code = code, .data = data, .len = len};
}

/* ---- pieces of frames ---- */

static void message_free(struct decoder *decoder)
{
    if (decoder->_message == NULL)
        return;
    buffer_deinit(&decoder->_message->payload);
    free(decoder->_message);
    decoder->_message = NULL;
}

/* One piece of a control frame. True when `event` is set. */
static bool take_control(struct decoder_lease *lease, const struct wslay_frame_iocb *piece,
                         bool last, struct decoder_event *event)
{
    const uint8_t *data = piece->data;
    size_t len = piece->data_length;

    if (!last || lease->control_len > 0) {
        memcpy(lease->control + lease->control_len, data, len);
        lease->control_len = (uint8_t) (lease->control_len + len);
        data = lease->control;
        len = lease->control_len;
    }
    if (!last)
        return false;
    lease->control_len = 0;
    if (piece->opcode == FRAME_CLOSE)
        judge_close(data, len, event);
    else
        *event = (struct decoder_event){
            .type = piece->opcode == FRAME_PING ? DECODER_PING : DECODER_PONG,
            .data = data,
            .len = len,
        };
    return true;
}

static void set_message(struct decoder_event *event, enum frame_opcode opcode, const uint8_t *data,
                        size_t len)
{
    *event =
        (struct decoder_event){.type = DECODER_MESSAGE, .opcode = opcode, .data = data, .len = len};
}

/* A message whose one frame came in one piece needs no copy: it is lent where wslay has it. */
static void lend_whole(enum frame_opcode opcode, const uint8_t *data, size_t len,
                       struct decoder_event *event)
{
    if (opcode == FRAME_TEXT && !utf8_valid(data, len))
        fault(event, CLOSE_INVALID_DATA, "text is not UTF-8");
    else
        set_message(event, opcode, data, len);
}

/* Most of what a server sends is this: a message in one frame, unmasked, not compressed, less than
 * 64 KiB, and all of it has come. It is lent where it lies, between two frames of wslay's; a header
 * that is anything else is for wslay. True when `event` is set. */
static bool lend_plain(struct decoder *decoder, struct decoder_event *event)
{
    struct decoder_lease *lease = decoder->_lease;
    const uint8_t *at = lease->input;
    size_t len = lease->input_len, header = 2, payload;

    if (lease->unfinished > 0 || lease->pool->role != DECODER_CLIENT || decoder->_message != NULL ||
        len < header || (at[0] != (0x80 | FRAME_TEXT) && at[0] != (0x80 | FRAME_BINARY)))
        return false;
    payload = at[1];
    if (payload == 126 && len >= 4) {
        header = 4;
        payload = (size_t) at[2] << 8 | at[3];
        if (payload < 126)
            return false;
    } else if (payload >= 126) {
        return false;
    }
    if (len - header < payload || payload > lease->pool->max_message)
        return false;
    lease->input += header + payload;
    lease->input_len -= header + payload;
    lend_whole((enum frame_opcode)(at[0] & 0xf), at + header, payload, event);
    return true;
}

/* Adds a piece to the message's payload. True unless `event` says what is wrong with it. */
static bool append_piece(struct decoder *decoder, const struct wslay_frame_iocb *piece,
                         bool complete, struct decoder_event *event)
{
    struct decoder_message *message = decoder->_message;
    size_t before = message->payload.len;
    int status = UV_ENOMEM;

    message->wire += piece->data_length;
    if (!message->compressed)
        status = buffer_append(&message->payload, piece->data, piece->data_length);
    else if (need_inflater(decoder->_deflate) != NULL)
        status = inflater_inflate(decoder->_deflate->inflater, piece->data, piece->data_length,
                                  complete, &message->payload, decoder->_lease->pool->max_message);
    if (status == UV_E2BIG)
        fault_for(event, "max-message", CLOSE_TOO_BIG, "message too big");
    else if (status == UV_EILSEQ)
        fault(event, CLOSE_INVALID_DATA, "compressed message is broken");
    else if (status != 0)
        fault(event, CLOSE_INTERNAL_ERROR, "out of memory");
    else if (message->opcode == FRAME_TEXT &&
             ((message->payload.len > before &&
               !utf8_feed(&message->utf8, message->payload.data + before,
                          message->payload.len - before)) ||
              (complete && !utf8_complete(&message->utf8))))
        fault(event, CLOSE_INVALID_DATA, "text is not UTF-8");
    else
        return true;
    return false;
}

/* One piece of a data frame. True when `event` is set. */
static bool take_data(struct decoder *decoder, const struct wslay_frame_iocb *piece, bool last,
                      struct decoder_event *event)
{
    struct decoder_message *message = decoder->_message;
    bool complete = last && piece->fin != 0;

    if (message == NULL && complete && piece->rsv == 0) {
        lend_whole((enum frame_opcode) piece->opcode, piece->data, piece->data_length, event);
        return true;
    }
    if (message == NULL) {
        message = decoder->_message = calloc(1, sizeof *message);
        if (message == NULL) {
            fault(event, CLOSE_INTERNAL_ERROR, "out of memory");
            return true;
        }
        message->opcode = (enum frame_opcode) piece->opcode;
        message->compressed = piece->rsv != 0;
    }
    if (last && !count_frame(decoder, piece->payload_length == 0, event))
        return true;
    if (!append_piece(decoder, piece, complete, event))
        return true;
    if (!complete)
        return false;
    if (message->compressed)
        release_inflater(decoder->_deflate);
    message->delivered = true;
    set_message(event, message->opcode, message->payload.data, message->payload.len);
    return true;
}

/* One piece of a frame as wslay hands it out. True when `event` is set. */
static bool take_piece(struct decoder *decoder, const struct wslay_frame_iocb *piece,
                       struct decoder_event *event)
{
    struct decoder_lease *lease = decoder->_lease;
    bool last;

    if (!lease->in_frame) {
        if (!judge_start(decoder, piece->opcode, piece->rsv, piece->mask != 0, event) ||
            !judge_length(decoder, piece->opcode, piece->rsv != 0, piece->payload_length, event))
            return true;
        lease->in_frame = true;
        lease->frame_len = frame_size(piece->mask != 0, piece->payload_length);
        lease->payload_got = 0;
        lease->header_len = 0;
    }
    lease->payload_got += piece->data_length;
    last = lease->payload_got == piece->payload_length;
    if (last) {
        lease->in_frame = false;
        lease->unfinished -= lease->frame_len;
    }
    if (is_control(piece->opcode))
        return take_control(lease, piece, last, event);
    return take_data(decoder, piece, last, event);
}

/* Keeps the bytes of the incomplete header that came with the last feed. `end` is behind them. */
static void keep_partial_header(struct decoder_lease *lease, const uint8_t *end)
{
    size_t fresh = (size_t) lease->unfinished - lease->header_len;

    memcpy(lease->header + lease->header_len, end - fresh, fresh);
    lease->header_len = (uint8_t) lease->unfinished;
}

int decoder_feed(struct decoder *decoder, struct decoder_pool *pool, const uint8_t *data,
                 size_t len)
{
    if (decoder->_lease == NULL) {
        decoder->_lease = pool_lend(pool);
        if (decoder->_lease == NULL)
            return UV_ENOMEM;
    }
    if (decoder->_deflate != NULL)
        decoder->_deflate->pool = pool;
    decoder->_lease->input = data;
    decoder->_lease->input_len = len;
    return 0;
}

void decoder_next(struct decoder *decoder, struct decoder_event *event)
{
    struct decoder_lease *lease = decoder->_lease;
    struct wslay_frame_iocb piece;
    ssize_t got;

    if (decoder->_message != NULL && decoder->_message->delivered)
        message_free(decoder);
    if (lend_plain(decoder, event))
        return;
    while ((got = wslay_frame_recv(lease->wslay, &piece)) >= 0) {
        if (take_piece(decoder, &piece, event))
            return;
    }
    if (got != WSLAY_ERR_WANT_READ) {
        fault(event, CLOSE_PROTOCOL_ERROR, "malformed frame header");
        return;
    }
    *event = (struct decoder_event){.type = DECODER_MORE};
    if (lease->unfinished == 0) {
        pool_return(lease);
        decoder->_lease = NULL;
    } else if (!lease->in_frame) {
        keep_partial_header(lease, lease->input);
        (void) judge_partial_header(decoder, event);
    }
}

bool decoder_is_busy(const struct decoder *decoder)
{
    return decoder->_lease != NULL || decoder_in_message(decoder);
}

void decoder_deinit(struct decoder *decoder)
{
    message_free(decoder);
    if (decoder->_deflate != NULL) {
        inflater_free(decoder->_deflate->inflater);
        free(decoder->_deflate);
        decoder->_deflate = NULL;
    }
    if (decoder->_lease != NULL) {
        pool_return(decoder->_lease);
        decoder->_lease = NULL;
    }
}

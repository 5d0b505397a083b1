#include "common/websocket/decoder.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <wslay/wslay.h>

#include "common/base/buffer.h"
#include "common/base/utf8.h"
#include "common/websocket/decoder_pool.h"
#include "common/websocket/deflate.h"

enum {
    WIRE_FACTOR = 8,        /* a compressed message may be so many times longer on the wire, */
    WIRE_SLACK = 64 * 1024, /* and this much */
    YIELD = 1024 * 1024,    /* bytes that are inflated between two answers of decoder_next */
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

/* ---- compressed messages ---- */

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
static bool check_start(const struct decoder *decoder, unsigned opcode, unsigned rsv, bool masked,
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
static bool check_length(const struct decoder *decoder, unsigned opcode, bool compressed,
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
    if (decoder_in_message(decoder)) /* which may have begun under another limit */
        room -= decoder->_message->wire < room ? decoder->_message->wire : room;
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
static bool check_partial_header(const struct decoder *decoder, struct decoder_event *event)
{
    const struct decoder_lease *lease = decoder->_lease;
    const uint8_t *header = lease->header;
    unsigned opcode = header[0] & 0xfU;
    unsigned rsv = (header[0] >> 4) & 7U;
    bool compressed = (rsv & WSLAY_RSV1_BIT) != 0;
    uint64_t payload;

    if (lease->header_len < 2)
        return true;
    if (!check_start(decoder, opcode, rsv, (header[1] & 0x80) != 0, event))
        return false;
    if (is_control(opcode) && ((header[0] & 0x80) == 0 || (header[1] & 0x7f) > FRAME_MAX_CONTROL)) {
        fault(event, CLOSE_PROTOCOL_ERROR, "malformed frame header"); /* RFC 6455, 5.5 */
        return false;
    }
    if (frame_peek(header, lease->header_len, &payload) == 0)
        return true;
    if (payload >> 63 != 0)
        return true; /* not a length at all: wslay says so when it comes to it */
    return check_length(decoder, opcode, compressed, payload, event);
}

bool decoder_close_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != CLOSE_NO_STATUS &&
            code != CLOSE_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

/* RFC 6455, 5.5.1, 7.4 and 8.1 */
static void check_close(const uint8_t *data, size_t len, struct decoder_event *event)
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
        check_close(data, len, event);
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
    event->type = DECODER_MESSAGE;
    event->opcode = opcode;
    event->data = data;
    event->len = len;
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

/* Most of what a server sends is this: a message in one frame, unmasked, not compressed, its length
 * in the shortest form, and all of it has come. It is lent where it lies, between two frames of
 * wslay's. Whatever is anything else, or not allowed, is for wslay. True when `event` is set. */
static inline bool lend_plain(struct decoder *decoder, struct decoder_event *event)
{
    struct decoder_lease *lease = decoder->_lease;
    const uint8_t *frame = lease->input;
    size_t len = lease->input_len, header;
    uint64_t payload;

    if (lease->unfinished > 0 || lease->pool->role != DECODER_CLIENT || decoder->_message != NULL)
        return false;
    header = frame_peek(frame, len, &payload);
    if (header == 0 || payload > len - header || payload > lease->pool->max_message ||
        (header > 2 && frame_size(false, payload) != header + payload) || (frame[1] & 0x80) != 0 ||
        (frame[0] != (0x80 | FRAME_TEXT) && frame[0] != (0x80 | FRAME_BINARY)))
        return false;
    lease->input += header + payload;
    lease->input_len -= header + payload;
    lend_whole((enum frame_opcode)(frame[0] & 0xf), frame + header, (size_t) payload, event);
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
    else if (decoder_pool_need_inflater(decoder->_deflate) != NULL)
        status = inflater_inflate(decoder->_deflate->inflater, piece->data, piece->data_length,
                                  complete, &message->payload, decoder->_lease->pool->max_message);
    if (message->compressed)
        decoder->_lease->pool->inflated += message->payload.len - before;
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
        decoder_pool_release_inflater(decoder->_deflate);
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
        if (!check_start(decoder, piece->opcode, piece->rsv, piece->mask != 0, event) ||
            !check_length(decoder, piece->opcode, piece->rsv != 0, piece->payload_length, event))
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
        decoder->_lease = decoder_pool_lend(pool);
        if (decoder->_lease == NULL)
            return UV_ENOMEM;
    }
    if (decoder->_deflate != NULL)
        decoder->_deflate->pool = pool;
    decoder->_lease->input = decoder->_lease->fed = data;
    decoder->_lease->input_len = len;
    return 0;
}

int decoder_suspend(struct decoder *decoder)
{
    struct decoder_lease *lease = decoder->_lease;
    /* An incomplete header may lie in what wslay was given of these bytes: it is sought there. */
    size_t given = (size_t) (lease->input - lease->fed);
    size_t before = given < FRAME_MAX_HEADER ? given : FRAME_MAX_HEADER;
    int status = 0;

    if (!lease->suspended)
        status = buffer_append(&lease->kept, lease->input - before, before + lease->input_len);
    if (status != 0)
        return status;
    if (!lease->suspended) {
        lease->fed = lease->kept.data;
        lease->input = lease->kept.data + before;
    }
    lease->suspended = true;
    return 0;
}

bool decoder_is_suspended(const struct decoder *decoder)
{
    return decoder->_lease != NULL && decoder->_lease->suspended;
}

size_t decoder_held(const struct decoder *decoder)
{
    size_t held = 0;

    if (decoder->_lease != NULL)
        held += sizeof *decoder->_lease + DECODER_POOL_WSLAY_SIZE + decoder->_lease->kept._size;
    if (decoder->_message != NULL)
        held += sizeof *decoder->_message + decoder->_message->payload._size;
    if (decoder->_deflate != NULL && decoder->_deflate->inflater != NULL)
        held += DECODER_POOL_INFLATER_SIZE;
    return held;
}

/* The next thing that wslay's frames say. Out of line: what lend_plain takes shall not pay for what
 * this needs of the stack. */
static __attribute__((noinline)) void next_of_frames(struct decoder *decoder,
                                                     struct decoder_event *event)
{
    struct decoder_lease *lease = decoder->_lease;
    uint64_t before = lease->pool->inflated;
    struct wslay_frame_iocb piece;
    ssize_t got;

    while ((got = wslay_frame_recv(lease->wslay, &piece)) >= 0) {
        if (take_piece(decoder, &piece, event))
            return;
        if (lease->pool->inflated - before >= YIELD) {
            *event = (struct decoder_event){.type = DECODER_YIELD};
            return;
        }
    }
    if (got != WSLAY_ERR_WANT_READ) {
        fault(event, CLOSE_PROTOCOL_ERROR, "malformed frame header");
        return;
    }
    *event = (struct decoder_event){.type = DECODER_MORE};
    if (lease->unfinished == 0) {
        decoder_pool_return(lease);
        decoder->_lease = NULL;
        return;
    }
    if (!lease->in_frame) {
        keep_partial_header(lease, lease->input);
        (void) check_partial_header(decoder, event);
    }
    decoder_pool_drop_input(lease);
}

void decoder_next(struct decoder *decoder, struct decoder_event *event)
{
    if (decoder->_message != NULL && decoder->_message->delivered)
        message_free(decoder);
    if (!lend_plain(decoder, event))
        next_of_frames(decoder, event);
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
        decoder_pool_return(decoder->_lease);
        decoder->_lease = NULL;
    }
}

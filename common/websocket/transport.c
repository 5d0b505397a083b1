#include "common/websocket/transport.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/websocket/transport_output.h"
#include "common/websocket/transport_private.h"
#include "common/websocket/transport_time.h"
#include "common/websocket/transport_work.h"

enum {
    OWN_CLOSE_BASE = CLOSE_NORMAL - 1
}; /* our codes lie so close behind that a byte holds them */

/* ---- the end ---- */

/* Tells the owner that the peer has hit a limit; `code` is what it is closed with, or 0. */
static void tell_limit(struct transport *transport, const char *limit, uint16_t code)
{
    const struct transport_ops *ops = transport_context_of(transport)->ops;

    if (limit != NULL && ops->on_limit != NULL)
        ops->on_limit(transport, limit, code);
}

static void on_stream_closed(uv_handle_t *handle)
{
    struct transport *transport = container_of(handle, struct transport, stream.tcp);

    transport_context_of(transport)->ops->on_closed(transport);
}

static void tell_end(struct transport *transport, const struct transport_end *end)
{
    struct transport_end whole = *end;

    if (transport->_told)
        return;
    transport->_told = true;
    if (transport->_own_close != 0)
        whole.own_code = (uint16_t) (OWN_CLOSE_BASE + transport->_own_close);
    whole.finished = end->fate == TRANSPORT_LOST && transport->_finishing;
    transport_context_of(transport)->ops->on_end(transport, &whole);
}

/* Input means nothing from here on; what the decoder held goes back. */
static void ignore_input(struct transport *transport)
{
    if (transport->_input == TRANSPORT_INPUT_READ)
        transport->_input = TRANSPORT_INPUT_IGNORED;
    decoder_deinit(&transport->_decoder);
}

void transport_close_stream(struct transport *transport, bool reset)
{
    transport->_stage = TRANSPORT_CLOSED;
    tell_end(transport, &(struct transport_end){.fate = TRANSPORT_LOST, .status = UV_EOF});
    deadline_stop(&transport->_deadline);
    transport_work_forget(transport);
    ignore_input(transport);
    transport_output_drop(transport);
    stream_close(&transport->stream, reset, on_stream_closed);
}

void transport_abort(struct transport *transport, int status)
{
    bool reset = transport->_connected && transport_is_stalled(transport);

    if (transport->_stage == TRANSPORT_CLOSED)
        return;
    transport->_stage = TRANSPORT_CLOSED; /* nothing that on_end does can bring it back */
    tell_end(transport, &(struct transport_end){.fate = TRANSPORT_LOST, .status = status});
    transport_close_stream(transport, reset);
}

void transport_abort_for(struct transport *transport, const char *limit)
{
    if (transport->_stage != TRANSPORT_CLOSED)
        tell_limit(transport, limit, 0);
    transport_abort(transport, UV_ETIMEDOUT);
}

/* Input means nothing any more, but its end does, and a peer that is still sending has to get rid
 * of what it sends: whatever reading was paused for does not matter. */
static void read_on(struct transport *transport)
{
    transport->_paused = 0;
    transport_read_start(transport);
}

/* All that was owed is written. The server says so with a FIN and waits for the client's; the
 * client waits for the server's (RFC 6455, 7.1.1). */
static void drain(struct transport *transport)
{
    transport->_stage = TRANSPORT_DRAINING;
    read_on(transport);
    if (transport->_input == TRANSPORT_INPUT_ENDED) {
        transport_close_stream(transport, false);
        return;
    }
    if (transport->_finishing && stream_finish(&transport->stream) != 0) {
        transport_close_stream(transport, false);
        return;
    }
    ignore_input(transport);
    transport_time_start(transport, &transport_context_of(transport)->_closing);
}

/* Everything queued before and with the end is written. If we began the closing handshake, the
 * peer's Close is still to come. */
void transport_last_written(struct transport *transport)
{
    transport->_writing = TRANSPORT_WRITING_DONE;
    if (transport->_finishing || transport->_input != TRANSPORT_INPUT_READ)
        drain(transport);
}

/* True when what the peer sent before writing failed says how the connection ends. For a client
 * in its opening handshake that is the server's refusal, or the alert of its TLS, which it may
 * have sent before it had read the whole request. */
static bool reads_on(const struct transport *transport, int status)
{
    switch (transport->_stage) {
    case TRANSPORT_OPENING:
        return !transport_context_of(transport)->_server &&
               (status == UV_EPIPE || status == UV_ECONNRESET);
    case TRANSPORT_OPEN:
    case TRANSPORT_CLOSING:
        return true;
    default:
        return false;
    }
}

/* Writing does not work any more. What the peer sent before may still lie in the socket: reading
 * goes on, and finds out how the connection ends. */
void transport_shut_write(struct transport *transport, int status)
{
    if (!reads_on(transport, status) || transport->_input != TRANSPORT_INPUT_READ) {
        transport_abort(transport, status);
        return;
    }
    transport->_writing = TRANSPORT_WRITING_FAILED;
    transport_output_drop(transport);
    if (transport_context_of(transport)
            ->_server) /* a client may be held up by the reader of its output */
        transport_time_start(transport, &transport_context_of(transport)->_closing);
}

static void watch(struct transport *transport, bool own, enum frame_opcode opcode, size_t len)
{
    const struct transport_ops *ops = transport_context_of(transport)->ops;

    if (ops->on_frame != NULL)
        ops->on_frame(transport, own, opcode, len);
}

/* ---- closing ---- */

/* Where no frames are spoken there is no Close. */
static void close_raw(struct transport *transport)
{
    transport->_stage = TRANSPORT_CLOSING;
    if (transport->_writing != TRANSPORT_WRITING_ON)
        transport_abort(transport, UV_EPIPE);
    else
        transport_finish(transport);
}

/* Queues our Close frame: from here on nothing else of our own may follow. */
static void queue_close(struct transport *transport, uint16_t code, const char *reason)
{
    struct outbox_coder coder = transport_output_coder(transport);
    struct transport_output *output = transport_output_need(transport);
    int status = UV_ENOMEM;

    transport->_stage = TRANSPORT_CLOSING;
    transport_time_start(transport, &transport_context_of(transport)->_closing);
    if (transport->_writing != TRANSPORT_WRITING_ON)
        return; /* it cannot be said; reading goes on until the end is known */
    watch(transport, true, FRAME_CLOSE, code == CLOSE_NO_STATUS ? 0 : 2 + strlen(reason));
    if (output != NULL)
        status = outbox_set_close(&output->outbox, &coder, code, reason);
    if (status != 0)
        transport_abort(transport, status);
}

/* Our Close is the first of the two. */
static void begin_close(struct transport *transport, uint16_t code, const char *reason)
{
    transport->_own_close = (uint8_t) (code - OWN_CLOSE_BASE);
    queue_close(transport, code, reason);
}

void transport_close(struct transport *transport, enum frame_close_code code, const char *reason)
{
    if (transport->_stage == TRANSPORT_OPENING)
        transport_abort(transport, UV_ECANCELED);
    else if (transport->_stage == TRANSPORT_OPEN && transport->_raw)
        close_raw(transport);
    else if (transport->_stage == TRANSPORT_OPEN)
        begin_close(transport, (uint16_t) code, reason);
}

void transport_finish(struct transport *transport)
{
    transport->_finishing = true;
    if (transport->_input == TRANSPORT_INPUT_READ)
        transport->_input = TRANSPORT_INPUT_IGNORED;
    transport_time_start(transport, &transport_context_of(transport)->_closing);
    if (transport_output_need(transport) == NULL)
        transport_abort(transport, UV_ENOMEM);
    else
        read_on(transport);
}

/* Nothing that comes from here on matters. Our Close, if it is not out yet, ends the writing. */
static void hear_no_more(struct transport *transport, const struct transport_end *end)
{
    tell_end(transport, end);
    if (transport->_stage == TRANSPORT_CLOSED)
        return;
    ignore_input(transport);
    if (transport->_writing != TRANSPORT_WRITING_ON)
        drain(transport);
}

/* The peer's Close: answered with its own code (RFC 6455, 5.5.1), unless it is the answer. */
static void on_close_frame(struct transport *transport, const struct decoder_event *event)
{
    struct transport_end end = {
        .fate = TRANSPORT_PEER_CLOSED,
        .code = event->code,
        .reason = event->data,
        .reason_len = event->len,
    };

    watch(transport, false, FRAME_CLOSE, event->code == CLOSE_NO_STATUS ? 0 : 2 + event->len);
    transport->_finishing = transport_context_of(transport)->_server;
    if (transport->_stage == TRANSPORT_OPEN)
        queue_close(transport, event->code, "");
    if (transport->_stage != TRANSPORT_CLOSED)
        hear_no_more(transport, &end);
}

/* RFC 6455, 7.1.7 */
static void fail(struct transport *transport, uint16_t code, const char *why, const char *limit)
{
    struct transport_end end = {
        .fate = TRANSPORT_PEER_FAULT,
        .code = code,
        .reason = (const uint8_t *) why,
        .reason_len = strlen(why),
    };

    tell_limit(transport, limit, code);
    transport->_finishing = true;
    if (transport->_stage == TRANSPORT_OPEN)
        begin_close(transport, code, why);
    if (transport->_stage != TRANSPORT_CLOSED)
        hear_no_more(transport, &end);
}

void transport_reject(struct transport *transport, enum frame_close_code code, const char *reason,
                      const char *limit)
{
    if (transport->_stage == TRANSPORT_OPEN && !transport->_raw)
        fail(transport, (uint16_t) code, reason, limit);
}

static void send_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    struct outbox_coder coder = transport_output_coder(transport);
    struct transport_output *output = transport_output_need(transport);
    int status = UV_ENOMEM;

    if (output != NULL)
        status = outbox_add_pong(&output->outbox, &coder, data, len);
    if (status != 0)
        transport_abort(transport, status);
}

void transport_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    if (!transport_is_open(transport))
        return;
    watch(transport, true, FRAME_PONG, len);
    send_pong(transport, data, len);
}

static void on_pong(struct transport *transport, const struct decoder_event *event)
{
    const struct transport_ops *ops = transport_context_of(transport)->ops;

    watch(transport, false, FRAME_PONG, event->len);
    if (ops->on_pong != NULL)
        ops->on_pong(transport, event->data, event->len);
    if (transport->_asked)
        transport_time_quiet(transport);
    else if (ops->on_control != NULL)
        ops->on_control(transport);
}

static void on_ping(struct transport *transport, const struct decoder_event *event)
{
    const struct transport_ops *ops = transport_context_of(transport)->ops;

    watch(transport, false, FRAME_PING, event->len);
    if (ops->holds_pong == NULL || !ops->holds_pong(transport, event->data, event->len))
        transport_pong(transport, event->data, event->len);
    if (ops->on_ping != NULL && transport->_stage == TRANSPORT_OPEN)
        ops->on_ping(transport, event->data, event->len);
    if (ops->on_control != NULL && transport->_stage == TRANSPORT_OPEN)
        ops->on_control(transport);
}

/* True for what ends with its last byte: a message, or a control frame between two messages. */
static bool completes(const struct transport *transport, const struct decoder_event *event)
{
    return event->type == DECODER_MESSAGE ||
           (event->type != DECODER_MORE && !decoder_in_message(&transport->_decoder));
}

/* ---- reading ---- */

static void handle(struct transport *transport, const struct decoder_event *event)
{
    switch (event->type) {
    case DECODER_MESSAGE:
        if (transport->_stage == TRANSPORT_OPEN ||
            (transport->_stage == TRANSPORT_CLOSING && transport_context_of(transport)->_hears_on))
            transport_context_of(transport)->ops->on_message(transport, event->opcode, event->data,
                                                             event->len);
        break;
    case DECODER_PING:
        if (transport->_stage == TRANSPORT_OPEN)
            on_ping(transport, event);
        break;
    case DECODER_CLOSE:
        on_close_frame(transport, event);
        break;
    case DECODER_FAULT:
        fail(transport, event->code, event->why, event->limit);
        break;
    case DECODER_PONG:
        if (transport->_stage == TRANSPORT_OPEN)
            on_pong(transport, event);
        break;
    case DECODER_MORE:
    case DECODER_YIELD:
        break;
    }
}

/* Its share of this turn's work is used up: the rest of its input waits. */
static void wait_with_rest(struct transport *transport)
{
    if (decoder_suspend(&transport->_decoder) != 0)
        transport_abort(transport, UV_ENOMEM);
    else
        transport_work_defer(transport);
}

/* Takes what the decoder has been fed. */
static void decode_on(struct transport *transport)
{
    const struct transport_context *context = transport_context_of(transport);
    struct decoder_pool *pool = context->decoders;
    struct decoder_event event;
    bool completed = false;

    if (context->ops->max_message != NULL)
        decoder_pool_limit_message(pool, context->ops->max_message(transport));
    do {
        uint64_t inflated = decoder_pool_inflated(pool);

        decoder_next(&transport->_decoder, &event);
        completed = completed || completes(transport, &event);
        handle(transport, &event);
        transport_charge(transport,
                         TRANSPORT_WORK_EVENT +
                             (decoder_pool_inflated(pool) - inflated) * TRANSPORT_WORK_INFLATED);
    } while (event.type != DECODER_MORE && transport->_input == TRANSPORT_INPUT_READ &&
             !transport_is_spent(transport));
    transport->_heard = true;
    if (event.type != DECODER_MORE && transport->_input == TRANSPORT_INPUT_READ)
        wait_with_rest(transport);
    else
        transport_time_message(transport, completed);
}

static void decode(struct transport *transport, const uint8_t *data, size_t len)
{
    const struct transport_context *context = transport_context_of(transport);

    if (context->ops->on_bytes != NULL)
        context->ops->on_bytes(transport, len);
    if (decoder_feed(&transport->_decoder, context->decoders, data, len) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    transport_charge(transport, (uint64_t) len * TRANSPORT_WORK_READ);
    decode_on(transport);
}

void transport_input(struct transport *transport, const uint8_t *data, size_t len)
{
    if (transport->_input != TRANSPORT_INPUT_READ || len == 0)
        return;
    (void) transport_work_begin(transport);
    if (transport->_stage == TRANSPORT_OPENING)
        transport_context_of(transport)->ops->on_opening(transport, data, len);
    else
        decode(transport, data, len);
}

void transport_wait_for_share(struct transport *transport)
{
    if (transport->_stage != TRANSPORT_CLOSED)
        transport_work_defer(transport);
}

void transport_go_on(struct transport *transport)
{
    const struct transport_ops *ops = transport_context_of(transport)->ops;

    /* An owner that has paused it in its opening knows best what it waits for. */
    if (transport->_stage == TRANSPORT_OPENING && ops->on_share != NULL)
        ops->on_share(transport);
    else if (transport->_paused != 0)
        return; /* transport_resume goes on */
    else if (decoder_is_suspended(&transport->_decoder))
        decode_on(transport);
    transport_read_start(transport);
    transport_read_taken(transport);
}

/* ---- life ---- */

int transport_init(struct transport *transport, struct transport_context *context)
{
    *transport = (struct transport){._stage = TRANSPORT_OPENING};
    deadline_init(&transport->_deadline);
    return stream_init(&transport->stream, context->loop);
}

int transport_start(struct transport *transport)
{
    transport->_connected = true;
    transport_restart_opening(transport);
    return transport_read_begin(transport);
}

int transport_open(struct transport *transport, const struct extension_deflate *deflate)
{
    transport->_stage = TRANSPORT_OPEN;
    transport_time_quiet(transport);
    return deflate->agreed ? decoder_allow_deflate(&transport->_decoder, deflate) : 0;
}

void transport_open_raw(struct transport *transport)
{
    const struct transport_context *context = transport_context_of(transport);

    transport->_stage = TRANSPORT_OPEN;
    transport->_raw = true;
    ignore_input(transport);
    if (deadline_list_expires(&context->_quiet) && deadline_list_expires(&context->_asked))
        stream_limit_silence(&transport->stream, deadline_list_timeout(&context->_quiet) +
                                                     deadline_list_timeout(&context->_asked));
    transport_time_quiet(transport);
}

bool transport_is_open(const struct transport *transport)
{
    return transport->_stage == TRANSPORT_OPEN && transport->_writing == TRANSPORT_WRITING_ON;
}

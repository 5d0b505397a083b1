#include "common/transport.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum transport_stage {
    STAGE_OPENING,
    STAGE_OPEN,
    STAGE_CLOSING,
    STAGE_DRAINING,
    STAGE_CLOSED,
};

enum {
    TICK = 250,         /* milliseconds between two looks at the deadlines */
    MAX_PONGS = 2048,   /* bytes of pongs that wait; beyond, only the newest is kept */
    MAX_BUFS = TRANSPORT_MAX_BUFS + 3, /* in one write: the owner's, frames, pongs, Close */
    MAX_CLOSE = FRAME_MAX_HEADER + FRAME_MAX_CONTROL,
};

struct transport_outbox {
    struct buffer frames; /* opening handshake, messages, pings */
    struct buffer pongs;
    uint8_t close_len;
    uint8_t close[MAX_CLOSE];
};

/* The rest of a short write, and all that its bytes lie in that is ours. */
struct transport_write {
    uv_write_t request;
    struct transport *transport;
    struct transport_outbox *outbox;
    size_t passed;
    bool last; /* the Close frame, or whatever else was to be the end, is in it */
};

/* ---- context ---- */

int transport_context_init(struct transport_context *context, uv_loop_t *loop,
                           const struct transport_ops *ops, const struct transport_config *config)
{
    int status;

    context->loop = loop;
    context->ops = ops;
    context->encoder = NULL;
    context->decoders = NULL;
    context->_server = config->server;
    list_init(&context->_dirty);
    deadline_list_init(&context->_opening, config->opening_timeout);
    deadline_list_init(&context->_closing, config->closing_timeout);
    status = frame_encoder_new(&context->encoder, !config->server);
    if (status != 0)
        return status;
    status = decoder_pool_new(&context->decoders, config->server ? DECODER_SERVER : DECODER_CLIENT,
                              config->max_message);
    if (status == 0)
        status = uv_timer_init(loop, &context->_tick);
    if (status != 0)
        transport_context_deinit(context);
    return status;
}

void transport_context_close(struct transport_context *context)
{
    uv_close((uv_handle_t *) &context->_tick, NULL);
}

void transport_context_deinit(struct transport_context *context)
{
    frame_encoder_free(context->encoder);
    decoder_pool_free(context->decoders);
}

void transport_context_flush(struct transport_context *context)
{
    struct list *node;

    while ((node = list_take_first(&context->_dirty)) != NULL)
        context->ops->flush(container_of(node, struct transport, _dirty));
}

static struct transport *expired(struct deadline *deadline)
{
    return deadline != NULL ? container_of(deadline, struct transport, _deadline) : NULL;
}

void transport_context_abort_opening(struct transport_context *context)
{
    struct transport *transport;

    while ((transport = expired(deadline_any(&context->_opening))) != NULL)
        transport_abort(transport, UV_ECANCELED);
}

void transport_context_abort_closing(struct transport_context *context)
{
    struct transport *transport;

    while ((transport = expired(deadline_any(&context->_closing))) != NULL)
        transport_abort(transport, UV_ECANCELED);
}

static void on_tick(uv_timer_t *timer)
{
    struct transport_context *context = container_of(timer, struct transport_context, _tick);
    uint64_t now = uv_now(context->loop);
    struct transport *transport;

    while ((transport = expired(deadline_expired(&context->_opening, now))) != NULL)
        context->ops->on_opening_timeout(transport);
    while ((transport = expired(deadline_expired(&context->_closing, now))) != NULL)
        transport_abort(transport, UV_ETIMEDOUT);
    if (list_empty(&context->_opening._members) && list_empty(&context->_closing._members))
        (void) uv_timer_stop(timer);
}

static void start_deadline(struct transport *transport, struct deadline_list *deadlines)
{
    struct transport_context *context = transport->context;

    deadline_start(deadlines, &transport->_deadline, uv_now(context->loop));
    if (deadlines->_timeout > 0 && !uv_is_active((uv_handle_t *) &context->_tick))
        (void) uv_timer_start(&context->_tick, on_tick, TICK, TICK);
}

/* ---- the end ---- */

static void outbox_free(struct transport_outbox *outbox)
{
    if (outbox == NULL)
        return;
    buffer_deinit(&outbox->frames);
    buffer_deinit(&outbox->pongs);
    free(outbox);
}

static void on_stream_closed(uv_handle_t *handle)
{
    struct transport *transport = container_of(handle, struct transport, stream.tcp);

    transport->context->ops->on_closed(transport);
}

static void tell_end(struct transport *transport, const struct transport_end *end)
{
    if (transport->_told)
        return;
    transport->_told = true;
    transport->context->ops->on_end(transport, end);
}

/* Input means nothing from here on; what the decoder held goes back. */
static void go_deaf(struct transport *transport)
{
    transport->_deaf = true;
    decoder_deinit(&transport->_decoder);
}

static void close_stream(struct transport *transport, bool reset)
{
    transport->_stage = STAGE_CLOSED;
    deadline_stop(&transport->_deadline);
    list_remove(&transport->_dirty);
    go_deaf(transport);
    outbox_free(transport->_outbox);
    transport->_outbox = NULL;
    stream_close(&transport->stream, reset, on_stream_closed);
}

void transport_abort(struct transport *transport, int status)
{
    bool reset = transport->_connected && transport->_write != NULL;

    if (transport->_stage == STAGE_CLOSED)
        return;
    transport->_stage = STAGE_CLOSED; /* nothing that on_end does can bring it back */
    tell_end(transport, &(struct transport_end){.fate = TRANSPORT_LOST, .status = status});
    close_stream(transport, reset);
}

/* All that was owed is written. The server says so with a FIN and waits for the client's; the
 * client waits for the server's (RFC 6455, 7.1.1). */
static void drain(struct transport *transport)
{
    transport->_stage = STAGE_DRAINING;
    if (transport->_eof) {
        close_stream(transport, false);
        return;
    }
    if (transport->_finishing && stream_finish(&transport->stream) != 0) {
        close_stream(transport, false);
        return;
    }
    go_deaf(transport);
    start_deadline(transport, &transport->context->_closing);
}

/* Everything queued before and with the end is written. */
static void last_written(struct transport *transport)
{
    if (transport->_finishing || transport->_deaf)
        drain(transport);
}

/* ---- writing ---- */

static void touch(struct transport *transport)
{
    if (transport->_write == NULL && !list_linked(&transport->_dirty))
        list_append(&transport->context->_dirty, &transport->_dirty);
}

/* The outbox, made when it is first needed. NULL when out of memory. */
static struct transport_outbox *need_outbox(struct transport *transport)
{
    if (transport->_outbox == NULL)
        transport->_outbox = calloc(1, sizeof *transport->_outbox);
    if (transport->_outbox != NULL)
        touch(transport);
    return transport->_outbox;
}

/* Appends a frame to one of the outbox's buffers. */
static int append_frame(struct transport *transport, struct buffer *out, enum frame_opcode opcode,
                        const void *data, size_t len)
{
    size_t size = frame_size(!transport->context->_server, len);
    struct frame_part part = {data, len};
    int status = buffer_reserve(out, size);

    if (status == 0)
        status = frame_encode(transport->context->encoder, out->data + out->len, opcode, &part, 1);
    if (status == 0)
        out->len += size;
    return status;
}

int transport_send(struct transport *transport, enum frame_opcode opcode, const void *data,
                   size_t len)
{
    struct transport_outbox *outbox;

    if (transport->_stage != STAGE_OPEN)
        return UV_EPIPE;
    outbox = need_outbox(transport);
    if (outbox == NULL)
        return UV_ENOMEM;
    return append_frame(transport, &outbox->frames, opcode, data, len);
}

size_t transport_queued(const struct transport *transport)
{
    size_t queued = 0;

    if (transport->_outbox != NULL)
        queued += transport->_outbox->frames.len;
    if (transport->_write != NULL && transport->_write->outbox != NULL)
        queued += transport->_write->outbox->frames.len;
    return queued;
}

/* RFC 6455, 5.5.3: a ping is answered; when they come faster than the answers leave, the newest
 * alone may be. */
static void send_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    struct transport_outbox *outbox = need_outbox(transport);

    if (outbox == NULL) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    if (outbox->pongs.len + FRAME_MAX_HEADER + len > MAX_PONGS)
        outbox->pongs.len = 0;
    if (append_frame(transport, &outbox->pongs, FRAME_PONG, data, len) != 0)
        transport_abort(transport, UV_ENOMEM);
}

struct buffer *transport_opening_output(struct transport *transport)
{
    struct transport_outbox *outbox = need_outbox(transport);

    return outbox != NULL ? &outbox->frames : NULL;
}

static void add_buf(uv_buf_t *bufs, unsigned *count, void *data, size_t len, size_t *total)
{
    if (len == 0)
        return;
    bufs[(*count)++] = uv_buf_init(data, (unsigned) len);
    *total += len;
}

/* Drops the first `written` bytes from the buffers; returns the first that still has bytes. */
static uv_buf_t *skip_written(uv_buf_t *bufs, size_t written)
{
    while (written >= bufs->len) {
        written -= bufs->len;
        bufs++;
    }
    bufs->base += written;
    bufs->len -= written;
    return bufs;
}

static void on_written(uv_write_t *request, int status)
{
    struct transport_write *write = container_of(request, struct transport_write, request);
    struct transport *transport = write->transport;
    size_t passed = write->passed;
    bool last = write->last;

    outbox_free(write->outbox);
    free(write);
    transport->_write = NULL;
    if (transport->_stage == STAGE_CLOSED)
        return; /* cancelled by closing: on_closed follows */
    if (status != 0) {
        transport_abort(transport, status);
        return;
    }
    if (transport->_outbox != NULL || transport->_finishing)
        touch(transport);
    if (last)
        last_written(transport);
    if (transport->_stage != STAGE_CLOSED)
        transport->context->ops->on_drained(transport, passed);
}

/* Leaves the rest of a short write with libuv. */
static int stall(struct transport *transport, uv_buf_t *rest, unsigned count, size_t passed,
                 bool last)
{
    struct transport_write *write = calloc(1, sizeof *write);
    int status = UV_ENOMEM;

    if (write != NULL) {
        write->transport = transport;
        write->outbox = transport->_outbox;
        write->passed = passed;
        write->last = last;
        status = stream_write(&transport->stream, &write->request, rest, count, on_written);
    }
    if (status != 0) {
        free(write);
        transport_abort(transport, status);
        return status;
    }
    transport->_outbox = NULL;
    transport->_write = write;
    return UV_EAGAIN;
}

int transport_flush(struct transport *transport, const uv_buf_t *bufs, unsigned count, bool more)
{
    struct transport_outbox *outbox = transport->_outbox;
    uv_buf_t all[MAX_BUFS];
    unsigned used = 0;
    size_t total = 0, passed;
    bool last = !more && (transport->_finishing || (outbox != NULL && outbox->close_len > 0));
    ssize_t written;

    if (!transport_is_writable(transport))
        return UV_EPIPE;
    if (outbox != NULL) {
        add_buf(all, &used, outbox->frames.data, outbox->frames.len, &total);
        add_buf(all, &used, outbox->pongs.data, outbox->pongs.len, &total);
    }
    passed = total;
    assert(count <= TRANSPORT_MAX_BUFS);
    for (unsigned i = 0; i < count; i++)
        add_buf(all, &used, bufs[i].base, bufs[i].len, &total);
    passed = total - passed;
    if (last && outbox != NULL)
        add_buf(all, &used, outbox->close, outbox->close_len, &total);
    written = total > 0 ? stream_try_write(&transport->stream, all, used) : 0;
    if (written < 0) {
        transport_abort(transport, (int) written);
        return (int) written;
    }
    if ((size_t) written < total) {
        uv_buf_t *rest = skip_written(all, (size_t) written);

        return stall(transport, rest, used - (unsigned) (rest - all), passed, last);
    }
    if (more && outbox != NULL && outbox->close_len > 0) {
        outbox->frames.len = outbox->pongs.len = 0;
    } else {
        outbox_free(outbox);
        transport->_outbox = NULL;
        list_remove(&transport->_dirty);
    }
    if (last)
        last_written(transport);
    return 0;
}

/* ---- closing ---- */

/* Queues our Close frame: from here on nothing else of our own may follow. CLOSE_NO_STATUS makes
 * an empty one. */
static void queue_close(struct transport *transport, uint16_t code, const char *reason)
{
    struct transport_outbox *outbox = need_outbox(transport);
    uint8_t payload[FRAME_MAX_CONTROL];
    size_t len = strlen(reason);
    struct frame_part part = {payload, 0};

    if (outbox == NULL) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    if (code != CLOSE_NO_STATUS) {
        payload[0] = (uint8_t) (code >> 8);
        payload[1] = (uint8_t) code;
        if (len > FRAME_MAX_REASON)
            len = FRAME_MAX_REASON;
        memcpy(payload + 2, reason, len);
        part.len = 2 + len;
    }
    if (frame_encode(transport->context->encoder, outbox->close, FRAME_CLOSE, &part, 1) != 0) {
        transport_abort(transport, UV_EIO);
        return;
    }
    outbox->close_len = (uint8_t) frame_size(!transport->context->_server, part.len);
    transport->_stage = STAGE_CLOSING;
    start_deadline(transport, &transport->context->_closing);
}

void transport_close(struct transport *transport, enum frame_close_code code, const char *reason)
{
    if (transport->_stage == STAGE_OPENING)
        transport_abort(transport, UV_ECANCELED);
    else if (transport->_stage == STAGE_OPEN)
        queue_close(transport, (uint16_t) code, reason);
}

void transport_finish(struct transport *transport)
{
    transport->_finishing = true;
    transport->_deaf = true;
    start_deadline(transport, &transport->context->_closing);
    touch(transport);
}

/* The peer's Close: answered with its own code (RFC 6455, 5.5.1), unless it is the answer. */
static void on_close_frame(struct transport *transport, const struct decoder_event *event)
{
    bool answered = transport->_stage == STAGE_CLOSING;
    bool written = answered && transport->_outbox == NULL && transport->_write == NULL;
    struct transport_end end = {
        .fate = TRANSPORT_PEER_CLOSED,
        .code = event->code,
        .reason = event->data,
        .reason_len = event->len,
    };

    transport->_finishing = transport->context->_server;
    if (!answered)
        queue_close(transport, event->code, "");
    tell_end(transport, &end);
    if (transport->_stage == STAGE_CLOSED)
        return;
    go_deaf(transport);
    if (written)
        drain(transport);
}

/* RFC 6455, 7.1.7 */
static void on_fault(struct transport *transport, const struct decoder_event *event)
{
    bool closing = transport->_stage == STAGE_CLOSING;
    struct transport_end end = {
        .fate = TRANSPORT_PEER_FAULT,
        .code = event->code,
        .reason = (const uint8_t *) event->why,
        .reason_len = strlen(event->why),
    };

    transport->_finishing = true;
    if (!closing)
        queue_close(transport, event->code, event->why);
    tell_end(transport, &end);
    if (transport->_stage == STAGE_CLOSED)
        return;
    go_deaf(transport);
    if (closing)
        touch(transport); /* our Close may be out already: the flush finds that all is written */
}

/* ---- reading ---- */

static void handle(struct transport *transport, const struct decoder_event *event)
{
    switch (event->type) {
    case DECODER_MESSAGE:
        if (transport->_stage == STAGE_OPEN)
            transport->context->ops->on_message(transport, event->opcode, event->data, event->len);
        break;
    case DECODER_PING:
        if (transport->_stage == STAGE_OPEN)
            send_pong(transport, event->data, event->len);
        break;
    case DECODER_CLOSE:
        on_close_frame(transport, event);
        break;
    case DECODER_FAULT:
        on_fault(transport, event);
        break;
    case DECODER_PONG:
    case DECODER_MORE:
        break;
    }
}

static void decode(struct transport *transport, const uint8_t *data, size_t len)
{
    struct decoder_event event;

    if (decoder_feed(&transport->_decoder, transport->context->decoders, data, len) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    do {
        decoder_next(&transport->_decoder, &event);
        handle(transport, &event);
    } while (event.type != DECODER_MORE && !transport->_deaf);
}

void transport_input(struct transport *transport, const uint8_t *data, size_t len)
{
    if (transport->_deaf || len == 0)
        return;
    if (transport->_stage == STAGE_OPENING)
        transport->context->ops->on_opening(transport, data, len);
    else
        decode(transport, data, len);
}

static void on_eof(struct transport *transport)
{
    bool owing = transport->_outbox != NULL || transport->_write != NULL;

    transport->_eof = true;
    if (transport->_stage == STAGE_DRAINING)
        close_stream(transport, false);
    else if (transport->_stage == STAGE_OPENING && owing && !transport->_finishing)
        transport_finish(transport); /* it asked, half-closed, and waits for the answer */
    else if (!transport->_deaf)
        transport_abort(transport, UV_EOF);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct transport *transport = container_of(stream, struct transport, stream.tcp);

    if (nread > 0)
        transport_input(transport, (const uint8_t *) buf->base, (size_t) nread);
    else if (nread == UV_EOF)
        on_eof(transport);
    else if (nread < 0 && transport->_stage == STAGE_DRAINING)
        close_stream(transport, false);
    else if (nread < 0)
        transport_abort(transport, (int) nread);
}

/* Reading is synchronous in libuv: alloc, read, callback. One buffer serves all. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct transport *transport = container_of(handle, struct transport, stream.tcp);

    (void) suggested;
    *buf = uv_buf_init(transport->context->_input, sizeof transport->context->_input);
}

/* ---- life ---- */

int transport_init(struct transport *transport, struct transport_context *context)
{
    *transport = (struct transport){.context = context, ._stage = STAGE_OPENING};
    list_init(&transport->_dirty);
    deadline_init(&transport->_deadline);
    return stream_init(&transport->stream, context->loop);
}

int transport_start(struct transport *transport)
{
    transport->_connected = true;
    stream_configure(&transport->stream);
    start_deadline(transport, &transport->context->_opening);
    return stream_read_start(&transport->stream, on_alloc, on_read);
}

void transport_open(struct transport *transport)
{
    transport->_stage = STAGE_OPEN;
    deadline_stop(&transport->_deadline);
}

bool transport_is_open(const struct transport *transport)
{
    return transport->_stage == STAGE_OPEN;
}

bool transport_is_writable(const struct transport *transport)
{
    return transport->_stage < STAGE_DRAINING && transport->_write == NULL;
}

bool transport_is_stalled(const struct transport *transport)
{
    return transport->_write != NULL;
}

void transport_pause(struct transport *transport)
{
    if (transport->_stage != STAGE_CLOSED)
        stream_read_stop(&transport->stream);
}

void transport_resume(struct transport *transport)
{
    if (transport->_stage != STAGE_CLOSED && transport->_connected && !transport->_eof)
        (void) stream_read_start(&transport->stream, on_alloc, on_read);
}

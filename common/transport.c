#include "common/transport.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/transport_time.h"

enum transport_stage {
    STAGE_OPENING,
    STAGE_OPEN,
    STAGE_CLOSING,
    STAGE_DRAINING,
    STAGE_CLOSED,
};

enum {
    MAX_BUFS = TRANSPORT_MAX_BUFS + 3, /* in one write: the owner's, frames, pongs, Close */
};

/* The rest of a short write, and all that its bytes lie in that is ours. */
struct transport_write {
    uv_write_t request;
    struct transport *transport;
    struct outbox *outbox;
    size_t passed;
    size_t waiting_before; /* what transport_reads_on found last; 0: never asked */
    bool last;             /* the Close frame, or whatever else was to be the end, is in it */
};

/* ---- the end ---- */

/* Tells the owner that the peer has hit a limit; `code` is what it is closed with, or 0. */
static void tell_limit(struct transport *transport, const char *limit, uint16_t code)
{
    const struct transport_ops *ops = transport->context->ops;

    if (limit != NULL && ops->on_limit != NULL)
        ops->on_limit(transport, limit, code);
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
    tell_end(transport, &(struct transport_end){.fate = TRANSPORT_LOST, .status = UV_EOF});
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

void transport_abort_for(struct transport *transport, const char *limit)
{
    if (transport->_stage != STAGE_CLOSED)
        tell_limit(transport, limit, 0);
    transport_abort(transport, UV_ETIMEDOUT);
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
    transport_time_start(transport, &transport->context->_closing);
}

/* Everything queued before and with the end is written. If we began the closing handshake, the
 * peer's Close is still to come. */
static void last_written(struct transport *transport)
{
    transport->_mute = true;
    if (transport->_finishing || transport->_deaf)
        drain(transport);
}

/* Writing does not work any more. What the peer sent before may still lie in the socket: reading
 * goes on, and finds out how the connection ends. */
static void fall_mute(struct transport *transport, int status)
{
    bool reads_on = transport->_stage == STAGE_OPEN || transport->_stage == STAGE_CLOSING;

    if (!reads_on || transport->_deaf) {
        transport_abort(transport, status);
        return;
    }
    transport->_mute = true;
    transport->_broken = true;
    outbox_free(transport->_outbox);
    transport->_outbox = NULL;
    list_remove(&transport->_dirty);
    if (transport->context->_server) /* a client may be held up by the reader of its output */
        transport_time_start(transport, &transport->context->_closing);
}

/* ---- writing ---- */

static void touch(struct transport *transport)
{
    if (transport->_write == NULL && !list_linked(&transport->_dirty))
        list_append(&transport->context->_dirty, &transport->_dirty);
}

/* The outbox, made when it is first needed. NULL when out of memory, or when it is too late. */
static struct outbox *need_outbox(struct transport *transport)
{
    if (transport->_stage == STAGE_CLOSED || transport->_mute)
        return NULL;
    if (transport->_outbox == NULL)
        transport->_outbox = outbox_new();
    if (transport->_outbox != NULL)
        touch(transport);
    return transport->_outbox;
}

static struct outbox_coder coder_of(const struct transport *transport)
{
    return (struct outbox_coder){
        .encoder = transport->context->encoder,
        .deflater = transport->context->deflater,
        .agreed = decoder_deflate(&transport->_decoder),
        .server = transport->context->_server,
    };
}

int transport_send(struct transport *transport, enum frame_opcode opcode, const void *data,
                   size_t len)
{
    struct outbox_coder coder = coder_of(transport);
    struct outbox *outbox;

    if (!transport_is_open(transport))
        return UV_EPIPE;
    outbox = need_outbox(transport);
    return outbox != NULL ? outbox_add(outbox, &coder, opcode, data, len) : UV_ENOMEM;
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

static void send_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    struct outbox_coder coder = coder_of(transport);
    struct outbox *outbox = need_outbox(transport);
    int status = outbox != NULL ? outbox_add_pong(outbox, &coder, data, len) : UV_ENOMEM;

    if (status != 0)
        transport_abort(transport, status);
}

struct buffer *transport_opening_output(struct transport *transport)
{
    struct outbox *outbox = need_outbox(transport);

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
    if (status != 0)
        fall_mute(transport, status);
    else if (last)
        last_written(transport);
    else if (transport->_outbox != NULL || transport->_finishing)
        touch(transport);
    if (transport->_asked && !transport->_in_message && transport_is_open(transport))
        transport_time_start(transport,
                             &transport->context->_asked); /* only now does the ping go out */
    if (transport->_stage != STAGE_CLOSED)
        transport->context->ops->on_drained(transport, passed);
}

/* The outbox goes along with a write that refers to its bytes; but not a Close that is not yet to
 * be written. Returns 0 or UV_ENOMEM. */
static int hand_over_outbox(struct transport *transport, struct transport_write *write)
{
    struct outbox *outbox = transport->_outbox;

    transport->_outbox = NULL;
    write->outbox = outbox;
    if (outbox == NULL || outbox->close_len == 0 || write->last)
        return 0;
    transport->_outbox = outbox_new();
    if (transport->_outbox == NULL)
        return UV_ENOMEM;
    transport->_outbox->close_len = outbox->close_len;
    memcpy(transport->_outbox->close, outbox->close, outbox->close_len);
    return 0;
}

/* Leaves the rest of a short write with libuv. */
static int stall(struct transport *transport, uv_buf_t *rest, unsigned count, size_t passed,
                 bool last)
{
    struct transport_write *write = calloc(1, sizeof *write);
    int status = UV_ENOMEM;

    if (write == NULL)
        goto fail;
    write->transport = transport;
    write->passed = passed;
    write->last = last;
    status = hand_over_outbox(transport, write);
    if (status == 0)
        status = stream_write(&transport->stream, &write->request, rest, count, on_written);
    if (status != 0) {
        outbox_free(write->outbox);
        free(write);
        goto fail;
    }
    transport->_write = write;
    list_remove(&transport->_dirty);
    return UV_EAGAIN;

fail:
    transport_abort(transport, status);
    return UV_EPIPE;
}

/* Everything is written, but for a Close that has to wait for more of the owner's bytes. */
static void clear_outbox(struct transport *transport, bool more)
{
    struct outbox *outbox = transport->_outbox;

    if (more && outbox != NULL && outbox->close_len > 0) {
        outbox->frames.len = 0;
        outbox->pongs.len = 0;
        return;
    }
    outbox_free(outbox);
    transport->_outbox = NULL;
    list_remove(&transport->_dirty);
}

int transport_flush(struct transport *transport, const uv_buf_t *bufs, unsigned count, bool more)
{
    struct outbox *outbox = transport->_outbox;
    uv_buf_t all[MAX_BUFS];
    unsigned used = 0;
    size_t total = 0, passed;
    bool last = !more && (transport->_finishing || (outbox != NULL && outbox->close_len > 0));
    ssize_t written;

    if (!transport_is_writable(transport))
        return UV_EPIPE;
    if (transport->_write != NULL)
        return UV_EAGAIN; /* it waits for on_drained, as what is queued already does */
    assert(count <= TRANSPORT_MAX_BUFS);
    if (outbox != NULL) {
        add_buf(all, &used, outbox->frames.data, outbox->frames.len, &total);
        add_buf(all, &used, outbox->pongs.data, outbox->pongs.len, &total);
    }
    passed = total;
    for (unsigned i = 0; i < count; i++)
        add_buf(all, &used, bufs[i].base, bufs[i].len, &total);
    passed = total - passed;
    if (last && outbox != NULL)
        add_buf(all, &used, outbox->close, outbox->close_len, &total);
    written = total > 0 ? stream_try_write(&transport->stream, all, used) : 0;
    if (written < 0) {
        fall_mute(transport, (int) written);
        return UV_EPIPE;
    }
    if ((size_t) written < total) {
        uv_buf_t *rest = skip_written(all, (size_t) written);

        return stall(transport, rest, used - (unsigned) (rest - all), passed, last);
    }
    clear_outbox(transport, more);
    if (last)
        last_written(transport);
    return 0;
}

/* ---- closing ---- */

/* Queues our Close frame: from here on nothing else of our own may follow. */
static void queue_close(struct transport *transport, uint16_t code, const char *reason)
{
    struct outbox_coder coder = coder_of(transport);
    struct outbox *outbox = need_outbox(transport);
    int status = UV_ENOMEM;

    transport->_stage = STAGE_CLOSING;
    transport_time_start(transport, &transport->context->_closing);
    if (transport->_mute)
        return; /* it cannot be said; reading goes on until the end is known */
    if (outbox != NULL)
        status = outbox_set_close(outbox, &coder, code, reason);
    if (status != 0)
        transport_abort(transport, status);
}

void transport_close(struct transport *transport, enum frame_close_code code, const char *reason)
{
    if (transport->_stage == STAGE_OPENING)
        transport_abort(transport, UV_ECANCELED);
    else if (transport->_stage == STAGE_OPEN)
        queue_close(transport, (uint16_t) code, reason);
}

void transport_restart_opening(struct transport *transport)
{
    transport_time_start(transport, &transport->context->_opening);
}

void transport_finish(struct transport *transport)
{
    transport->_finishing = true;
    transport->_deaf = true;
    transport_time_start(transport, &transport->context->_closing);
    touch(transport);
}

/* Nothing that comes from here on matters. Our Close, if it is not out yet, ends the writing. */
static void hear_no_more(struct transport *transport, const struct transport_end *end)
{
    tell_end(transport, end);
    if (transport->_stage == STAGE_CLOSED)
        return;
    go_deaf(transport);
    if (transport->_mute)
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

    transport->_finishing = transport->context->_server;
    if (transport->_stage == STAGE_OPEN)
        queue_close(transport, event->code, "");
    if (transport->_stage != STAGE_CLOSED)
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
    if (transport->_stage == STAGE_OPEN)
        queue_close(transport, code, why);
    if (transport->_stage != STAGE_CLOSED)
        hear_no_more(transport, &end);
}

void transport_reject(struct transport *transport, enum frame_close_code code, const char *reason,
                      const char *limit)
{
    if (transport->_stage == STAGE_OPEN)
        fail(transport, (uint16_t) code, reason, limit);
}

static void on_pong(struct transport *transport)
{
    const struct transport_ops *ops = transport->context->ops;

    if (transport->_asked)
        transport_time_quiet(transport);
    else if (ops->on_control != NULL)
        ops->on_control(transport);
}

static void on_ping(struct transport *transport, const struct decoder_event *event)
{
    const struct transport_ops *ops = transport->context->ops;

    if (transport_is_open(transport))
        send_pong(transport, event->data, event->len);
    if (ops->on_control != NULL && transport->_stage == STAGE_OPEN)
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
        if (transport->_stage == STAGE_OPEN)
            transport->context->ops->on_message(transport, event->opcode, event->data, event->len);
        break;
    case DECODER_PING:
        if (transport->_stage == STAGE_OPEN)
            on_ping(transport, event);
        break;
    case DECODER_CLOSE:
        on_close_frame(transport, event);
        break;
    case DECODER_FAULT:
        fail(transport, event->code, event->why, event->limit);
        break;
    case DECODER_PONG:
        if (transport->_stage == STAGE_OPEN)
            on_pong(transport);
        break;
    case DECODER_MORE:
        break;
    }
}

static void decode(struct transport *transport, const uint8_t *data, size_t len)
{
    struct decoder_event event;
    bool completed = false;

    if (decoder_feed(&transport->_decoder, transport->context->decoders, data, len) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    do {
        decoder_next(&transport->_decoder, &event);
        completed = completed || completes(transport, &event);
        handle(transport, &event);
    } while (event.type != DECODER_MORE && !transport->_deaf);
    transport->_heard = true;
    transport_time_message(transport, completed);
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
    else if (transport->_stage == STAGE_OPENING && transport->context->_server && owing &&
             !transport->_finishing)
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
    transport_time_start(transport, &transport->context->_opening);
    return stream_read_start(&transport->stream, on_alloc, on_read);
}

int transport_open(struct transport *transport, const struct extension_deflate *deflate)
{
    transport->_stage = STAGE_OPEN;
    transport_time_quiet(transport);
    return deflate->agreed ? decoder_allow_deflate(&transport->_decoder, deflate) : 0;
}

bool transport_is_open(const struct transport *transport)
{
    return transport->_stage == STAGE_OPEN && !transport->_mute;
}

bool transport_is_writable(const struct transport *transport)
{
    return transport->_stage < STAGE_DRAINING && !transport->_mute;
}

size_t transport_waiting(const struct transport *transport)
{
    return transport->_write != NULL ? stream_waiting(&transport->stream) : 0;
}

bool transport_reads_on(struct transport *transport)
{
    struct transport_write *write = transport->_write;
    size_t before, waiting;

    if (write == NULL)
        return false;
    before = write->waiting_before;
    waiting = transport_waiting(transport);
    write->waiting_before = waiting;
    return before == 0 || waiting < before;
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

#include "common/websocket/transport_output.h"
#include "common/websocket/transport_private.h"
#include "common/websocket/transport_time.h"
#include "common/websocket/transport_work.h"

enum {
    TURN_INPUT = 1024 * 1024, /* bytes that are read in one turn, more or less */
    MIN_READ = 4096,          /* bytes that one read may bring, however many read */
};

void transport_read_taken(struct transport *transport)
{
    const struct transport_ops *ops = transport_context_of(transport)->ops;

    if (ops->on_taken != NULL && transport->_stage != TRANSPORT_CLOSED)
        ops->on_taken(transport);
}

static void on_eof(struct transport *transport)
{
    bool owing = transport_output_owes(transport);
    bool ignored = transport->_input != TRANSPORT_INPUT_READ;

    transport->_input = TRANSPORT_INPUT_ENDED;
    if (transport->_stage == TRANSPORT_DRAINING)
        transport_close_stream(transport, false);
    else if (transport->_stage == TRANSPORT_OPENING && transport_context_of(transport)->_server &&
             owing && !transport->_finishing)
        transport_finish(transport); /* it asked, half-closed, and waits for the answer */
    else if (!ignored || (transport->_raw && transport->_stage == TRANSPORT_OPEN))
        transport_abort(transport, UV_EOF);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct transport *transport = container_of(stream, struct transport, stream.tcp);

    if (nread == UV_ENOBUFS)
        return; /* on_alloc gave none: the rest waits in the socket for the next turn */
    if (nread > 0) {
        transport_context_of(transport)->_read += (size_t) nread;
        transport_input(transport, (const uint8_t *) buf->base, (size_t) nread);
        transport_read_taken(transport);
    } else if (nread == UV_EOF) {
        on_eof(transport);
    } else if (nread < 0 && transport->_stage == TRANSPORT_DRAINING) {
        transport_close_stream(transport, false);
    } else if (nread < 0) {
        transport_abort(transport, (int) nread);
    }
}

/* How much one read may bring. What all of them bring in one turn stays near TURN_INPUT, also when
 * many have much to say. */
static size_t read_size(const struct transport_context *context)
{
    unsigned busy = context->_busy > context->_busy_before ? context->_busy : context->_busy_before;
    size_t share = TURN_INPUT / (busy + 1);

    if (context->_read >= TURN_INPUT) /* many have begun to talk at once */
        return MIN_READ;
    if (share > sizeof context->_input)
        return sizeof context->_input;
    return share > MIN_READ ? share : MIN_READ;
}

/* Reading is synchronous in libuv: alloc, read, callback. One buffer serves all. libuv asks again
 * at once (32 times) for a stream whose read has filled the buffer, and is given none: then it
 * leaves that stream until the next turn. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct transport *transport = container_of(handle, struct transport, stream.tcp);
    struct transport_context *context = transport_context_of(transport);
    bool again = context->_reader == transport;

    (void) suggested;
    context->_reader = transport;
    if (again)
        context->_busy++;
    *buf =
        uv_buf_init(context->_input,
                    again || !transport_work_begin(transport) ? 0 : (unsigned) read_size(context));
}

int transport_read_begin(struct transport *transport)
{
    return stream_read_start(&transport->stream, on_alloc, on_read);
}

void transport_read_start(struct transport *transport)
{
    if (transport->_paused == 0 && !transport->_deferred &&
        transport->_input != TRANSPORT_INPUT_ENDED && transport->_connected &&
        transport->_stage != TRANSPORT_CLOSED)
        (void) transport_read_begin(transport);
}

/* ---- back-pressure ---- */

void transport_pause(struct transport *transport, enum transport_pause reason)
{
    if (transport->_stage == TRANSPORT_CLOSED)
        return;
    transport->_paused = (transport->_paused | reason) & TRANSPORT_UNTIL_ALL;
    stream_read_stop(&transport->stream);
}

void transport_resume(struct transport *transport, enum transport_pause reasons)
{
    bool paused = transport->_paused != 0;

    transport->_paused &= (TRANSPORT_UNTIL_ALL ^ reasons) & TRANSPORT_UNTIL_ALL;
    if (transport->_paused != 0)
        return;
    if (paused && transport->_asked && transport_is_open(transport))
        transport_time_start(transport, &transport_context_of(transport)->_asked); /* the answer
                                                                                 may be here */
    if (decoder_is_suspended(&transport->_decoder))
        transport_work_defer(transport); /* it was to go on while it was paused */
    transport_read_start(transport);
}

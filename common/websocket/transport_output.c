#include "common/websocket/transport_output.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/websocket/transport_time.h"

enum {
    MAX_BUFS = TRANSPORT_MAX_BUFS + 3, /* in one write: the owner's, frames, pongs, Close */
    PENDING_SIZE = 1400,               /* bytes left with libuv: about what one segment bears */
};

struct transport_pending_write {
    uv_write_t request;
    struct transport *transport;
    bool last; /* all that was to be written is */
    unsigned len;
    char bytes[PENDING_SIZE];
};

/* ---- having something to say ---- */

struct transport_output *transport_output_need(struct transport *transport)
{
    struct transport_output *output = transport->_output;

    if (!transport_is_writable(transport))
        return NULL;
    if (output == NULL) {
        output = calloc(1, sizeof *output);
        if (output == NULL)
            return NULL;
        list_init(&output->dirty);
        output->transport = transport;
        transport->_output = output;
    }
    if (output->pending == NULL && !list_linked(&output->dirty))
        list_append(&transport_context_of(transport)->_dirty, &output->dirty);
    return output;
}

static void output_free(struct transport *transport)
{
    struct transport_output *output = transport->_output;

    transport->_output = NULL;
    list_remove(&output->dirty);
    outbox_deinit(&output->outbox);
    free(output);
}

void transport_output_drop(struct transport *transport)
{
    struct transport_output *output = transport->_output;

    if (output == NULL)
        return;
    if (output->pending == NULL) {
        output_free(transport);
        return;
    }
    list_remove(&output->dirty);
    outbox_deinit(&output->outbox);
    output->outbox = (struct outbox){0};
}

bool transport_output_owes(const struct transport *transport)
{
    return transport->_output != NULL &&
           (transport->_output->pending != NULL || !outbox_is_empty(&transport->_output->outbox));
}

struct outbox_coder transport_output_coder(const struct transport *transport)
{
    const struct transport_context *context = transport_context_of(transport);

    return (struct outbox_coder){
        .encoder = context->encoder,
        .deflater = context->deflater,
        .agreed = decoder_deflate(&transport->_decoder),
        .server = context->_server,
    };
}

int transport_send(struct transport *transport, enum frame_opcode opcode, const void *data,
                   size_t len)
{
    struct outbox_coder coder = transport_output_coder(transport);
    struct transport_output *output;

    if (!transport_is_open(transport))
        return UV_EPIPE;
    output = transport_output_need(transport);
    return output != NULL ? outbox_add(&output->outbox, &coder, opcode, data, len) : UV_ENOMEM;
}

struct buffer *transport_opening_output(struct transport *transport)
{
    struct transport_output *output = transport_output_need(transport);

    return output != NULL ? &output->outbox.frames : NULL;
}

struct buffer *transport_raw_output(struct transport *transport)
{
    return transport_opening_output(transport);
}

size_t transport_queued(const struct transport *transport)
{
    const struct transport_output *output = transport->_output;

    if (output == NULL)
        return 0;
    return output->outbox.frames.len + (output->pending != NULL ? output->pending->len : 0);
}

size_t transport_held(const struct transport *transport)
{
    const struct transport_output *output = transport->_output;
    size_t held = decoder_held(&transport->_decoder) + stream_held(&transport->stream);

    if (output != NULL)
        held += output->outbox.frames._size + output->outbox.pongs._size;
    return held;
}

/* ---- a full socket ---- */

bool transport_is_stalled(const struct transport *transport)
{
    return transport->_output != NULL && transport->_output->pending != NULL;
}

size_t transport_waiting(const struct transport *transport)
{
    return transport_is_stalled(transport) ? stream_waiting(&transport->stream) : 0;
}

bool transport_reads_on(struct transport *transport)
{
    uint32_t before = transport->_deadline.note;

    transport->_deadline.note = stream_acknowledged(&transport->stream);
    return transport->_deadline.note != before && stream_waiting(&transport->stream) > 0;
}

static void on_pending_written(uv_write_t *request, int status)
{
    struct transport_pending_write *pending =
        container_of(request, struct transport_pending_write, request);
    struct transport *transport = pending->transport;
    bool last = pending->last;

    transport->_output->pending = NULL;
    free(pending);
    if (transport->_stage == TRANSPORT_CLOSED) {
        output_free(transport);
        return; /* cancelled by closing: on_closed follows */
    }
    if (outbox_is_empty(&transport->_output->outbox) && (last || !transport->_finishing))
        output_free(transport);
    else
        list_append(&transport_context_of(transport)->_dirty, &transport->_output->dirty);
    if (status != 0)
        transport_shut_write(transport, status);
    else if (last)
        transport_last_written(transport);
    if (transport->_asked && !transport->_in_message && transport_is_open(transport))
        transport_time_start(transport, &transport_context_of(transport)->_asked); /* only now does
                                                                                  the ping go out */
    if (transport->_stage != TRANSPORT_CLOSED)
        transport_context_of(transport)->ops->on_drained(transport);
}

/* ---- the flush ---- */

/* Where bytes come from. */
enum source {
    OWN,         /* own frames, and pongs */
    OWNERS,      /* the owner's */
    CLOSE_FRAME, /* which comes last */
    SOURCES,
};

/* One write of a transport: its buffers, in order, and what they are. */
struct flush {
    uv_buf_t bufs[MAX_BUFS];
    uint8_t of[MAX_BUFS]; /* their sources */
    unsigned count;
    size_t total;
    size_t bytes[SOURCES];
    bool last; /* nothing is to come behind it */
};

static void add_buf(struct flush *flush, enum source source, void *data, size_t len)
{
    if (len == 0)
        return;
    flush->of[flush->count] = (uint8_t) source;
    flush->bufs[flush->count++] = (uv_buf_t){.base = data, .len = len};
    flush->bytes[source] += len;
    flush->total += len;
}

static void add_own(struct flush *flush, struct outbox *outbox)
{
    add_buf(flush, OWN, outbox->frames.data, outbox->frames.len);
    add_buf(flush, OWN, outbox->pongs.data, outbox->pongs.len);
}

static void add_owners(struct flush *flush, const struct transport_bytes *bytes)
{
    for (unsigned i = 0; i < bytes->count; i++)
        add_buf(flush, OWNERS, bytes->bufs[i].base, bytes->bufs[i].len);
}

static void gather(struct flush *flush, struct transport *transport,
                   const struct transport_bytes *bytes)
{
    struct transport_output *output = transport->_output;
    struct outbox *outbox = output != NULL ? &output->outbox : NULL;

    assert(bytes->count <= TRANSPORT_MAX_BUFS);
    flush->count = 0;
    flush->total = 0;
    memset(flush->bytes, 0, sizeof flush->bytes);
    if (outbox != NULL && !transport->_mid_frame)
        add_own(flush, outbox);
    add_owners(flush, bytes);
    if (outbox != NULL && transport->_mid_frame)
        add_own(flush, outbox);
    flush->last =
        !bytes->more && (transport->_finishing || (outbox != NULL && outbox->close_len > 0));
    if (flush->last && outbox != NULL)
        add_buf(flush, CLOSE_FRAME, outbox->close, outbox->close_len);
}

/* `done` bytes of the flush are written, or left with libuv: whose were they? Returns 0 or
 * UV_ENOMEM. */
static int settle(struct transport *transport, const struct flush *flush, size_t done,
                  size_t *passed)
{
    size_t of[SOURCES] = {0};

    for (unsigned i = 0; i < flush->count && done > 0; i++) {
        size_t len = flush->bufs[i].len < done ? flush->bufs[i].len : done;

        of[flush->of[i]] += len;
        done -= len;
    }
    *passed = of[OWNERS];
    if (*passed > 0) /* else it is own frames that may be cut, and go first again */
        transport->_mid_frame = *passed < flush->bytes[OWNERS];
    return transport->_output != NULL ? outbox_drop(&transport->_output->outbox, of[OWN]) : 0;
}

/* Copies the next bytes of the flush behind the `done` that are written. */
static void fill(struct transport_pending_write *pending, const struct flush *flush, size_t done)
{
    size_t rest = flush->total - done;
    size_t wanted = rest < PENDING_SIZE ? rest : PENDING_SIZE;

    /* The Close is taken as a whole or not at all. */
    if (wanted < rest && wanted > rest - flush->bytes[CLOSE_FRAME])
        wanted = rest - flush->bytes[CLOSE_FRAME];
    pending->last = flush->last && wanted == rest;
    for (unsigned i = 0; i < flush->count && pending->len < wanted; i++) {
        const uv_buf_t *buf = &flush->bufs[i];
        size_t len;

        if (done >= buf->len) {
            done -= buf->len;
            continue;
        }
        len = buf->len - done < wanted - pending->len ? buf->len - done : wanted - pending->len;
        memcpy(pending->bytes + pending->len, buf->base + done, len);
        pending->len += (unsigned) len;
        done = 0;
    }
}

/* The socket is full: a few bytes more are left with libuv. */
static int stall(struct transport *transport, const struct flush *flush, size_t written,
                 size_t *passed)
{
    struct transport_output *output = transport_output_need(transport);
    struct transport_pending_write *pending = output != NULL ? calloc(1, sizeof *pending) : NULL;
    int status = UV_ENOMEM;
    uv_buf_t buf;

    if (pending == NULL)
        goto fail;
    pending->transport = transport;
    fill(pending, flush, written);
    status = settle(transport, flush, written + pending->len, passed);
    buf = uv_buf_init(pending->bytes, pending->len);
    if (status == 0)
        status = stream_write(&transport->stream, &pending->request, &buf, 1, on_pending_written);
    if (status != 0) {
        free(pending);
        goto fail;
    }
    output->pending = pending;
    list_remove(&output->dirty);
    if (pending->last)
        output->outbox.close_len = 0;
    return UV_EAGAIN;

fail:
    transport_abort(transport, status);
    return UV_EPIPE;
}

/* All of the flush is written: nothing is left but a Close that has to wait for more of the owner's
 * bytes. */
static void all_written(struct transport *transport, const struct flush *flush)
{
    struct transport_output *output = transport->_output;

    if (output == NULL)
        return;
    if (!flush->last && output->outbox.close_len > 0)
        (void) outbox_drop(&output->outbox, flush->bytes[OWN]);
    else
        output_free(transport);
}

/* So much of the flush has been written, or it has failed. */
static int conclude(struct transport *transport, const struct flush *flush, ssize_t written,
                    struct transport_bytes *bytes)
{
    if (written < 0) {
        transport_shut_write(transport, (int) written);
        return UV_EPIPE;
    }
    if ((size_t) written < flush->total)
        return stall(transport, flush, (size_t) written, &bytes->passed);
    bytes->passed = flush->bytes[OWNERS];
    if (bytes->passed > 0)
        transport->_mid_frame = false;
    all_written(transport, flush);
    if (flush->last)
        transport_last_written(transport);
    return 0;
}

/* Writes everything there is, with one system call if the socket takes it. */
static int flush_all(struct transport *transport, struct transport_bytes *bytes)
{
    struct flush flush;

    gather(&flush, transport, bytes);
    return conclude(
        transport, &flush,
        flush.total > 0 ? stream_try_write(&transport->stream, flush.bufs, flush.count) : 0, bytes);
}

/* The same for a transport that has nothing of its own to say, as nearly all: the owner's buffers
 * are written as they are. */
static int flush_owners(struct transport *transport, struct transport_bytes *bytes)
{
    struct flush flush;
    size_t total = 0;
    ssize_t written;

    for (unsigned i = 0; i < bytes->count; i++)
        total += bytes->bufs[i].len;
    if (total == 0)
        return 0;
    written = stream_try_write(&transport->stream, bytes->bufs, bytes->count);
    if (written == (ssize_t) total) {
        bytes->passed = total;
        transport->_mid_frame = false;
        return 0;
    }
    gather(&flush, transport, bytes);
    return conclude(transport, &flush, written, bytes);
}

int transport_flush(struct transport *transport, struct transport_bytes *bytes)
{
    struct transport_bytes none = {.count = 0};

    if (bytes == NULL)
        bytes = &none;
    bytes->passed = 0;
    if (!transport_is_writable(transport))
        return UV_EPIPE;
    if (transport->_output == NULL && !transport->_finishing)
        return flush_owners(transport, bytes);
    if (transport_is_stalled(transport))
        return UV_EAGAIN; /* it waits for on_drained, as what is queued already does */
    return flush_all(transport, bytes);
}

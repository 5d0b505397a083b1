#include "common/stream_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/list.h"
#include "common/stream.h"
#include "common/tls.h"

enum { HANDSHAKE = 16 * 1024 }; /* bytes of memory of a handshake, more or less */

enum { BATCH = 2 }; /* records that go out with one system call: so much a slow peer can hold */

/* Ciphertext on its way, either direction:
 *
 *     socket ─► loop's read buffer ─► tls ─► plaintext       held: what came, and nobody reads now
 *     socket ◄─ sending ◄─ tls's output ◄─ tls ◄─ source     sending: what the socket did not take
 *
 * A stream_write is over when its source is empty and nothing is being sent. */
struct stream_tls {
    struct stream *stream;
    struct tls *tls;
    uv_idle_t later; /* active while there is something to do that must not be done at once */
    uv_alloc_cb on_alloc;
    uv_read_cb on_read;
    uv_close_cb on_closed;
    struct buffer held;
    struct buffer sending;
    uv_write_t *request; /* of stream_write, or NULL */
    uv_write_cb on_written;
    uv_buf_t *bufs; /* the source's, copied */
    struct tls_source source;
    int write_status; /* why writing does not work any more */
    bool reading;
    bool ended;      /* the end of input, or an error, has been told */
    bool finishing;  /* FIN follows what is being sent */
    bool last_taken; /* see stream_tls_try_write */
};

static uv_stream_t *uv_of(const struct stream_tls *layer)
{
    return (uv_stream_t *) &layer->stream->tcp;
}

static bool is_closing(const struct stream_tls *layer)
{
    return uv_is_closing((const uv_handle_t *) &layer->stream->tcp) != 0;
}

static bool is_sending(const struct stream_tls *layer)
{
    return layer->sending.len > 0;
}

/* ---- to the peer ---- */

static void advance(struct stream_tls *layer);
static void on_later(uv_idle_t *later);

static void on_sent(uv_write_t *request, int status)
{
    struct stream_tls *layer = request->data;

    free(request);
    buffer_deinit(&layer->sending);
    buffer_init(&layer->sending);
    if (is_closing(layer))
        return; /* what waits is told there */
    if (status != 0)
        layer->write_status = status;
    advance(layer);
}

/* Leaves with libuv what the socket does not take now. The request is there only meanwhile: most
 * connections never need one. Returns 0, or why that does not work. */
static int queue_output(struct stream_tls *layer, struct buffer *output)
{
    uv_buf_t buf = uv_buf_init((char *) output->data, (unsigned) output->len);
    uv_write_t *request = malloc(sizeof *request);
    int status = UV_ENOMEM;

    layer->sending = *output;
    buffer_init(output);
    if (request != NULL) {
        request->data = layer;
        status = uv_write(request, uv_of(layer), &buf, 1, on_sent);
    }
    if (status != 0)
        free(request);
    return status;
}

/* Sends the output: at once what the socket takes; libuv has the rest. Returns 0, or why writing
 * does not work. */
static int send_output(struct stream_tls *layer)
{
    struct buffer *output = tls_output(layer->tls);
    uv_buf_t buf = uv_buf_init((char *) output->data, (unsigned) output->len);
    ssize_t n;

    if (layer->write_status != 0 || is_sending(layer) || output->len == 0)
        return layer->write_status;
    n = stream_send(layer->stream, &buf, 1);
    if (n < 0) {
        layer->write_status = (int) n;
        return (int) n;
    }
    buffer_drop(output, (size_t) n);
    if (output->len == 0) {
        buffer_deinit(output); /* an idle connection holds none */
        buffer_init(output);
        return 0;
    }
    layer->write_status = queue_output(layer, output);
    return layer->write_status;
}

/* Encrypts and sends some of the source. Returns 0, or why writing does not work. */
static int send_source(struct stream_tls *layer, struct tls_source *source)
{
    size_t len = tls_source_left(source);
    int status;

    if (len > (size_t) BATCH * TLS_MAX_RECORD)
        len = (size_t) BATCH * TLS_MAX_RECORD;
    /* All at once: to grow by a second record would be to copy the first. */
    status = buffer_reserve(tls_output(layer->tls), len + (size_t) BATCH * TLS_RECORD_OVERHEAD);
    for (int i = 0; i < BATCH && source->count > 0 && status == 0; i++)
        status = tls_write(layer->tls, source);
    if (status != 0) {
        layer->write_status = status;
        return status;
    }
    return send_output(layer);
}

/* Ends the stream_write that waits, if one does. */
static void complete(struct stream_tls *layer, int status)
{
    uv_write_t *request = layer->request;

    if (request == NULL)
        return;
    layer->request = NULL;
    free(layer->bufs);
    layer->bufs = NULL;
    layer->on_written(request, status);
}

/* Goes on with whatever is to be sent. May call on_written, and all that this leads to. */
static void advance(struct stream_tls *layer)
{
    int status = send_output(layer);

    if (status == 0 && !tls_is_established(layer->tls))
        return;
    while (status == 0 && layer->request != NULL && !is_sending(layer) && layer->source.count > 0)
        status = send_source(layer, &layer->source);
    if (status == 0 && is_sending(layer))
        return;
    complete(layer, status);
    if (layer->finishing && !is_sending(layer) && !is_closing(layer)) {
        layer->finishing = false;
        (void) stream_shut(layer->stream);
    }
}

ssize_t stream_tls_try_write(struct stream_tls *layer, const uv_buf_t *bufs, unsigned count)
{
    struct tls_source source = {.bufs = bufs, .count = count};
    size_t all = tls_source_left(&source), left = all;

    if (layer->write_status != 0)
        return layer->write_status;
    if (!tls_is_established(layer->tls))
        return 0;
    while (left > 0 && !is_sending(layer)) {
        int status = send_source(layer, &source);

        if (status != 0)
            return status;
        left = tls_source_left(&source);
        layer->last_taken = left == 0 && is_sending(layer);
    }
    /* All is encrypted, but not all is sent: the last byte stands for that. It is not taken again
     * by the stream_write that has to follow, and that ends when all is sent. */
    if (layer->last_taken)
        left = 1;
    return (ssize_t) (all - left);
}

int stream_tls_write(struct stream_tls *layer, uv_write_t *request, const uv_buf_t *bufs,
                     unsigned count, uv_write_cb on_written)
{
    if (layer->write_status != 0)
        return layer->write_status;
    layer->bufs = calloc(count, sizeof *bufs);
    if (layer->bufs == NULL)
        return UV_ENOMEM;
    memcpy(layer->bufs, bufs, count * sizeof *bufs);
    layer->source = (struct tls_source){.bufs = layer->bufs, .count = count};
    if (layer->last_taken)
        tls_source_skip(&layer->source, 1);
    layer->last_taken = false;
    layer->request = request;
    layer->on_written = on_written;
    if (!is_sending(layer) && tls_is_established(layer->tls))
        (void) uv_idle_start(&layer->later, on_later);
    return 0;
}

int stream_tls_finish(struct stream_tls *layer)
{
    int status;

    tls_shutdown(layer->tls);
    status = send_output(layer);
    if (status != 0 || !is_sending(layer))
        return stream_shut(layer->stream);
    layer->finishing = true;
    return 0;
}

/* ---- from the peer ---- */

static void deliver(struct stream_tls *layer, uint8_t *data, ssize_t n)
{
    uv_buf_t buf = uv_buf_init((char *) data, n > 0 ? (unsigned) n : 0);

    if (n < 0) {
        layer->ended = true;
        (void) uv_read_stop(uv_of(layer));
    }
    layer->on_read(uv_of(layer), n, &buf);
}

/* Goes on with the handshake; returns as tls_handshake does. */
static int establish(struct stream_tls *layer)
{
    int status;

    if (tls_is_established(layer->tls))
        return 0;
    status = tls_handshake(layer->tls);
    if (status == UV_EPROTO)
        (void) send_output(layer); /* an alert says why */
    else
        advance(layer);
    return status;
}

/* Decrypts what has been fed, as long as somebody reads; the rest is held. */
static void decrypt(struct stream_tls *layer)
{
    uint8_t plain[TLS_MAX_RECORD];
    const uint8_t *rest;
    size_t len;

    while (layer->reading && !layer->ended && !is_closing(layer)) {
        ssize_t n = establish(layer);

        if (n == 0 && is_closing(layer))
            break;
        if (n == 0)
            n = tls_read(layer->tls, plain, sizeof plain);
        if (n == UV_EPROTO)
            (void) send_output(layer);
        if (n == UV_EAGAIN)
            break;
        deliver(layer, plain, n);
    }
    len = tls_take_back(layer->tls, &rest);
    if (is_closing(layer))
        return;
    if (len > 0 && !layer->ended && buffer_append(&layer->held, rest, len) != 0)
        deliver(layer, NULL, UV_ENOMEM);
    else
        advance(layer);
}

static void on_input(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
    struct stream_tls *layer = uv->data;

    if (n > 0) {
        tls_feed(layer->tls, (const uint8_t *) buf->base, (size_t) n);
        decrypt(layer);
    } else if (n < 0 && n != UV_ENOBUFS) { /* no buffer, no reading: a later turn's matter */
        deliver(layer, NULL, tls_cut(layer->tls, (int) n));
    }
}

static void decrypt_held(struct stream_tls *layer)
{
    struct buffer held = layer->held;

    buffer_init(&layer->held);
    tls_feed(layer->tls, held.data, held.len);
    decrypt(layer);
    buffer_deinit(&held);
    if (layer->reading && !layer->ended && !is_closing(layer) && layer->held.len == 0) {
        int status = uv_read_start(uv_of(layer), layer->on_alloc, on_input);

        if (status != 0)
            deliver(layer, NULL, status);
    }
}

/* Out of the way of whoever asked for it. */
static void on_later(uv_idle_t *later)
{
    struct stream_tls *layer = container_of(later, struct stream_tls, later);

    (void) uv_idle_stop(later);
    advance(layer);
    if (layer->reading && layer->held.len > 0 && !layer->ended && !is_closing(layer))
        decrypt_held(layer);
}

int stream_tls_read_start(struct stream_tls *layer, uv_alloc_cb on_alloc, uv_read_cb on_read)
{
    layer->on_alloc = on_alloc;
    layer->on_read = on_read;
    if (layer->ended)
        return 0;
    layer->reading = true;
    if (layer->held.len > 0)
        return uv_idle_start(&layer->later, on_later);
    return uv_read_start(uv_of(layer), on_alloc, on_input);
}

void stream_tls_read_stop(struct stream_tls *layer)
{
    layer->reading = false;
    (void) uv_read_stop(uv_of(layer));
}

/* ---- life ---- */

int stream_tls_new(struct stream_tls **layer, struct stream *stream, struct tls_context *context,
                   const char *host)
{
    struct stream_tls *fresh = calloc(1, sizeof *fresh);
    int status;

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->stream = stream;
    status = tls_new(&fresh->tls, context, host);
    if (status == 0 && host != NULL && tls_handshake(fresh->tls) != UV_EAGAIN)
        status = UV_EPROTO;
    if (status != 0) {
        tls_free(fresh->tls);
        free(fresh);
        return status;
    }
    (void) uv_idle_init(stream->tcp.loop, &fresh->later); /* cannot fail */
    (void) send_output(fresh); /* ClientHello; what fails is found again by reading */
    *layer = fresh;
    return 0;
}

static void on_later_closed(uv_handle_t *handle)
{
    struct stream_tls *layer = container_of((uv_idle_t *) handle, struct stream_tls, later);
    struct stream *stream = layer->stream;
    uv_close_cb on_closed = layer->on_closed;

    complete(layer, UV_ECANCELED);
    tls_free(layer->tls);
    buffer_deinit(&layer->held);
    buffer_deinit(&layer->sending);
    free(layer);
    stream->tcp.data = NULL;
    on_closed((uv_handle_t *) &stream->tcp);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    struct stream_tls *layer = handle->data;

    uv_close((uv_handle_t *) &layer->later, on_later_closed);
}

void stream_tls_close(struct stream_tls *layer, bool reset, uv_close_cb on_closed)
{
    if (!reset && !is_sending(layer)) {
        tls_shutdown(layer->tls);
        (void) send_output(layer);
    }
    if (!tls_is_established(layer->tls))
        reset = false; /* nothing of the owner's is on its way; an alert may be */
    (void) uv_idle_stop(&layer->later);
    layer->on_closed = on_closed;
    if (!reset || uv_tcp_close_reset(&layer->stream->tcp, on_tcp_closed) != 0)
        uv_close((uv_handle_t *) &layer->stream->tcp, on_tcp_closed);
}

size_t stream_tls_waiting(const struct stream_tls *layer)
{
    size_t waiting = tls_output(layer->tls)->len;

    return layer->request != NULL ? waiting + tls_source_left(&layer->source) : waiting;
}

size_t stream_tls_held(const struct stream_tls *layer)
{
    size_t held = layer->held._size + layer->sending._size;

    return tls_is_established(layer->tls) ? held : held + HANDSHAKE;
}

bool stream_tls_is_ready(const struct stream_tls *layer)
{
    return tls_is_established(layer->tls);
}

bool stream_tls_was_cut(const struct stream_tls *layer)
{
    return tls_was_cut(layer->tls);
}

const char *stream_tls_error(const struct stream_tls *layer)
{
    return tls_error(layer->tls);
}

#include <stdlib.h>
#include <string.h>

#include "common/net/socket_io.h"
#include "common/net/stream_tls_layer.h"

enum { BATCH = 2 }; /* records that go out with one system call: so much a slow peer can hold */

static void on_sent(uv_write_t *request, int status)
{
    struct stream_tls *layer = request->data;

    free(request);
    buffer_deinit(&layer->sending);
    buffer_init(&layer->sending);
    if (stream_tls_is_closing(layer))
        return; /* what waits is told there */
    if (status != 0)
        layer->write_status = status;
    stream_tls_output_advance(layer);
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
        status = uv_write(request, stream_tls_uv(layer), &buf, 1, on_sent);
    }
    if (status != 0)
        free(request);
    return status;
}

int stream_tls_output_send(struct stream_tls *layer)
{
    struct buffer *output = tls_output(layer->tls);
    uv_buf_t buf = uv_buf_init((char *) output->data, (unsigned) output->len);
    ssize_t n;

    if (layer->write_status != 0 || stream_tls_is_sending(layer) || output->len == 0)
        return layer->write_status;
    n = socket_io_send(socket_io_descriptor(&layer->stream->tcp), &buf, 1);
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
    return stream_tls_output_send(layer);
}

void stream_tls_output_complete(struct stream_tls *layer, int status)
{
    uv_write_t *request = layer->request;

    if (request == NULL)
        return;
    layer->request = NULL;
    free(layer->bufs);
    layer->bufs = NULL;
    layer->on_written(request, status);
}

void stream_tls_output_advance(struct stream_tls *layer)
{
    bool ready = tls_is_established(layer->tls);
    /* What the handshake has left behind (a client's Finished) goes out with what is written. */
    bool together = ready && layer->request != NULL && layer->source.count > 0;
    int status = together ? layer->write_status : stream_tls_output_send(layer);

    if (status == 0 && !ready)
        return;
    while (status == 0 && layer->request != NULL && !stream_tls_is_sending(layer) &&
           layer->source.count > 0)
        status = send_source(layer, &layer->source);
    if (status == 0 && stream_tls_is_sending(layer))
        return;
    stream_tls_output_complete(layer, status);
    if (layer->finishing && !stream_tls_is_sending(layer) && !stream_tls_is_closing(layer)) {
        layer->finishing = false;
        (void) socket_io_shut(socket_io_descriptor(&layer->stream->tcp));
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
    while (left > 0 && !stream_tls_is_sending(layer)) {
        int status = send_source(layer, &source);

        if (status != 0)
            return status;
        left = tls_source_left(&source);
        layer->last_taken = left == 0 && stream_tls_is_sending(layer);
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
    if (!stream_tls_is_sending(layer) && tls_is_established(layer->tls))
        stream_tls_go_on_later(layer);
    return 0;
}

int stream_tls_finish(struct stream_tls *layer)
{
    int status;

    tls_shutdown(layer->tls);
    status = stream_tls_output_send(layer);
    if (status != 0 || !stream_tls_is_sending(layer))
        return socket_io_shut(socket_io_descriptor(&layer->stream->tcp));
    layer->finishing = true;
    return 0;
}

size_t stream_tls_waiting(const struct stream_tls *layer)
{
    size_t waiting = tls_output(layer->tls)->len;

    return layer->request != NULL ? waiting + tls_source_left(&layer->source) : waiting;
}

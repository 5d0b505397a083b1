#include "common/net/stream_tls.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/http/http_response.h"
#include "common/net/address.h"
#include "common/net/socket_io.h"
#include "common/net/stream_tls_layer.h"

enum { HANDSHAKE = 16 * 1024 }; /* bytes of memory of a handshake, more or less */

/* ---- from the peer ---- */

static void deliver(struct stream_tls *layer, uint8_t *data, ssize_t n)
{
    uv_buf_t buf = uv_buf_init((char *) data, n > 0 ? (unsigned) n : 0);

    if (n < 0) {
        layer->ended = true;
        (void) uv_read_stop(stream_tls_uv(layer));
    }
    layer->on_read(stream_tls_uv(layer), n, &buf);
}

/* The handshake has gone on, or is done. */
static void note_step(struct stream_tls *layer)
{
    struct tls_loop *loop = layer->loop;

    if (loop == NULL)
        return;
    if (tls_took_step(layer->tls))
        tls_loop_count_step(loop, layer->granted);
    layer->granted = false;
    if (tls_is_established(layer->tls)) {
        loop->handshakes++;
        loop->resumed += tls_is_resumed(layer->tls) ? 1 : 0;
    }
    if (tls_is_established(layer->tls) && tls_context_verifies(loop->context))
        tls_loop_list(loop, &layer->entry, tls_is_current(layer->tls));
}

/* The name is for the log, which is written when the connection has ended. */
static void keep_name(struct stream_tls *layer)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    char name[ADDRESS_NAME_SIZE];
    int len = (int) sizeof address;

    if (layer->peer != NULL)
        return; /* it is known as long as the layer lives */
    if (layer->client != NULL ||
        uv_tcp_getpeername(&layer->stream->tcp, (struct sockaddr *) &address, &len) != 0)
        return;
    layer->client =
        strdup(address_client_name((const struct sockaddr *) &address, name, sizeof name));
}

/* A client that sent plain HTTP gets a response that it can read. The client ends the connection:
 * closing it while input arrives would send RST and discard the response. */
static void answer_http(struct stream_tls *layer)
{
    static const char body[] = "this port speaks TLS, and the request came as plain HTTP: "
                               "use wss:// in place of ws://, and https:// in place of http://\n";
    const struct http_response answer = {
        .status = 400,
        .connection = "close",
        .type = HTTP_RESPONSE_TEXT,
        .body = body,
        .len = sizeof body - 1,
    };
    struct buffer *output = tls_output(layer->tls);

    keep_name(layer);
    buffer_drop(output, output->len);
    layer->met_http = http_response_write(output, &answer) == 0 &&
                      stream_tls_output_send(layer) == 0 && !stream_tls_is_sending(layer) &&
                      socket_io_shut(socket_io_descriptor(&layer->stream->tcp)) == 0;
}

/* Goes on with the handshake; returns as tls_handshake does. */
static int establish(struct stream_tls *layer)
{
    int status;

    if (tls_is_established(layer->tls))
        return 0;
    status = tls_handshake(layer->tls);
    note_step(layer);
    if (status == UV_EPROTO && layer->loop != NULL && tls_met_text(layer->tls))
        answer_http(layer);
    else if (status == UV_EPROTO)
        (void) stream_tls_output_send(layer); /* an alert says why */
    else
        stream_tls_output_advance(layer);
    return status;
}

/* Decrypts what has been fed while reading is started; the rest is buffered. */
static void decrypt(struct stream_tls *layer)
{
    uint8_t plain[TLS_MAX_RECORD];
    const uint8_t *rest;
    size_t len;

    while (layer->reading && !layer->ended && !stream_tls_is_closing(layer)) {
        ssize_t n = establish(layer);

        if (n == 0 && stream_tls_is_closing(layer))
            break;
        if (n == 0)
            n = tls_read(layer->tls, plain, sizeof plain);
        if (n == UV_EPROTO)
            (void) stream_tls_output_send(layer);
        if (n == UV_EAGAIN || layer->met_http)
            break;
        deliver(layer, plain, n);
    }
    len = tls_take_back(layer->tls, &rest);
    if (stream_tls_is_closing(layer) || layer->met_http)
        return;
    if (len > 0 && !layer->ended && buffer_append(&layer->buffered, rest, len) != 0)
        deliver(layer, NULL, UV_ENOMEM);
    else
        stream_tls_output_advance(layer);
}

static bool is_waiting(const struct stream_tls *layer)
{
    return layer->waits && list_linked(&layer->entry.node);
}

/* What has come is read only if the handshake may take a step now. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream_tls *layer = handle->data;

    layer->waits = layer->loop != NULL && !layer->granted && !tls_is_established(layer->tls) &&
                   !tls_loop_has_room(layer->loop);
    if (layer->waits)
        *buf = uv_buf_init(NULL, 0);
    else
        layer->on_alloc(handle, suggested, buf);
}

/* The socket is not watched meanwhile: it would be found readable in each turn. */
static void wait(struct stream_tls *layer)
{
    layer->has_waited = true;
    (void) uv_read_stop(stream_tls_uv(layer));
    tls_loop_wait(layer->loop, &layer->entry);
}

static void on_input(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
    struct stream_tls *layer = uv->data;

    if (layer->waits) {
        wait(layer);
    } else if (layer->met_http) {
        if (n < 0 && n != UV_ENOBUFS)
            deliver(layer, NULL, UV_EPROTO);
    } else if (n > 0) {
        tls_feed(layer->tls, (const uint8_t *) buf->base, (size_t) n);
        decrypt(layer);
    } else if (n < 0 && n != UV_ENOBUFS) { /* no buffer, no reading: a later turn's matter */
        deliver(layer, NULL, tls_cut(layer->tls, (int) n));
    }
}

static void start_reading(struct stream_tls *layer)
{
    int status = uv_read_start(stream_tls_uv(layer), on_alloc, on_input);

    if (status != 0 && status != UV_EALREADY) /* the owner may have done so itself */
        deliver(layer, NULL, status);
}

static void take_turn(struct tls_loop_node *entry)
{
    struct stream_tls *layer = container_of(entry, struct stream_tls, entry);

    layer->waits = false;
    layer->granted = true;
    if (layer->reading)
        start_reading(layer);
}

static void decrypt_buffered(struct stream_tls *layer)
{
    struct buffer buffered = layer->buffered;

    buffer_init(&layer->buffered);
    tls_feed(layer->tls, buffered.data, buffered.len);
    decrypt(layer);
    buffer_deinit(&buffered);
    if (layer->reading && !layer->ended && !stream_tls_is_closing(layer) &&
        layer->buffered.len == 0)
        start_reading(layer);
}

/* Not within the call that asked for it. */
static void on_later(uv_idle_t *later)
{
    struct stream_tls *layer = container_of(later, struct stream_tls, later);

    (void) uv_idle_stop(later);
    stream_tls_output_advance(layer);
    if (layer->reading && layer->buffered.len > 0 && !layer->ended && !stream_tls_is_closing(layer))
        decrypt_buffered(layer);
}

void stream_tls_go_on_later(struct stream_tls *layer)
{
    (void) uv_idle_start(&layer->later, on_later); /* cannot fail */
}

int stream_tls_read_start(struct stream_tls *layer, uv_alloc_cb owners_alloc, uv_read_cb on_read)
{
    layer->on_alloc = owners_alloc;
    layer->on_read = on_read;
    if (layer->ended)
        return 0;
    layer->reading = true;
    if (is_waiting(layer))
        return 0;
    if (layer->buffered.len > 0)
        return uv_idle_start(&layer->later, on_later);
    return uv_read_start(stream_tls_uv(layer), on_alloc, on_input);
}

void stream_tls_read_stop(struct stream_tls *layer)
{
    layer->reading = false;
    (void) uv_read_stop(stream_tls_uv(layer));
}

/* ---- for tls_loop ---- */

static bool is_admitted(struct tls_loop_node *entry)
{
    return tls_is_admitted(container_of(entry, struct stream_tls, entry)->tls);
}

static struct stream *stream_of(struct tls_loop_node *entry)
{
    return container_of(entry, struct stream_tls, entry)->stream;
}

static const struct tls_loop_ops loop_ops = {
    .take_turn = take_turn,
    .is_admitted = is_admitted,
    .stream_of = stream_of,
};

/* ---- life ---- */

static int make(struct stream_tls **layer, struct stream *stream, struct tls_context *context,
                const char *host)
{
    struct stream_tls *fresh = calloc(1, sizeof *fresh);
    int status;

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->stream = stream;
    tls_loop_node_init(&fresh->entry, &loop_ops);
    status = tls_new(&fresh->tls, context, host);
    if (status != 0) {
        free(fresh);
        return status;
    }
    *layer = fresh;
    return 0;
}

int stream_tls_new(struct stream_tls **layer, struct stream *stream, struct tls_context *context,
                   const char *host)
{
    int status = make(layer, stream, context, host);

    if (status != 0)
        return status;
    if (tls_handshake((*layer)->tls) != UV_EAGAIN) {
        tls_free((*layer)->tls);
        free(*layer);
        return UV_EPROTO;
    }
    (void) uv_idle_init(stream->tcp.loop, &(*layer)->later); /* cannot fail */
    (void) stream_tls_output_send(*layer); /* ClientHello; what fails is found again by reading */
    return 0;
}

int stream_tls_new_accepted(struct stream_tls **layer, struct stream *stream, struct tls_loop *loop)
{
    int status = make(layer, stream, loop->context, NULL);

    if (status != 0)
        return status;
    (*layer)->loop = loop;
    return uv_idle_init(stream->tcp.loop, &(*layer)->later);
}

static void on_later_closed(uv_handle_t *handle)
{
    struct stream_tls *layer = container_of((uv_idle_t *) handle, struct stream_tls, later);
    struct stream *stream = layer->stream;
    uv_close_cb on_closed = layer->on_closed;

    stream_tls_output_complete(layer, UV_ECANCELED);
    tls_free(layer->tls);
    buffer_deinit(&layer->buffered);
    buffer_deinit(&layer->sending);
    free(layer->client);
    free(layer->peer);
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
    if (!reset && !stream_tls_is_sending(layer)) {
        tls_shutdown(layer->tls);
        (void) stream_tls_output_send(layer);
    }
    if (!tls_is_established(layer->tls))
        reset = false; /* nothing of the owner's is on its way; an alert may be */
    (void) uv_idle_stop(&layer->later);
    tls_loop_leave(&layer->entry);
    layer->on_closed = on_closed;
    if (!reset || uv_tcp_close_reset(&layer->stream->tcp, on_tcp_closed) != 0)
        uv_close((uv_handle_t *) &layer->stream->tcp, on_tcp_closed);
}

size_t stream_tls_held(const struct stream_tls *layer)
{
    size_t held = layer->buffered._size + layer->sending._size;

    return tls_is_in_handshake(layer->tls) ? held + HANDSHAKE : held;
}

bool stream_tls_is_ready(const struct stream_tls *layer)
{
    return tls_is_established(layer->tls);
}

bool stream_tls_met_http(const struct stream_tls *layer)
{
    return layer->met_http;
}

int stream_tls_set_peer_address(struct stream_tls *layer, const struct sockaddr_storage *address)
{
    if (layer->peer == NULL)
        layer->peer = malloc(sizeof *layer->peer);
    if (layer->peer == NULL)
        return UV_ENOMEM;
    *layer->peer = *address;
    return 0;
}

const struct sockaddr_storage *stream_tls_peer_address(const struct stream_tls *layer)
{
    return layer->peer;
}

const char *stream_tls_client(const struct stream_tls *layer)
{
    return layer->client;
}

bool stream_tls_has_waited(const struct stream_tls *layer)
{
    return layer->has_waited;
}

bool stream_tls_was_cut(const struct stream_tls *layer)
{
    return tls_was_cut(layer->tls);
}

const char *stream_tls_error(const struct stream_tls *layer)
{
    return tls_error(layer->tls);
}

/* What the two halves of the TLS layer share: stream_tls (reading, the handshake, its life) and
 * stream_tls_output (writing). For them alone. */
#ifndef WS_COMMON_NET_STREAM_TLS_LAYER_H
#define WS_COMMON_NET_STREAM_TLS_LAYER_H

#include <stdbool.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/net/stream.h"
#include "common/net/stream_tls.h"
#include "common/tls/tls.h"
#include "common/tls/tls_loop.h"

/* Ciphertext on its way, either direction:
 *
 *     socket ─► loop's read buffer ─► tls ─► plaintext       held: input while reading is stopped
 *     socket ◄─ sending ◄─ tls's output ◄─ tls ◄─ source     sending: what the socket did not take
 *
 * A stream_write is over when its source is empty and nothing is being sent. */
struct stream_tls {
    struct stream *stream;
    struct tls *tls;
    struct tls_loop *loop; /* NULL: a client's */
    struct tls_loop_node entry;
    uv_idle_t later; /* active while there is something to do that must not be done at once */
    uv_alloc_cb on_alloc;
    uv_read_cb on_read;
    uv_close_cb on_closed;
    struct buffer buffered;
    struct buffer sending;
    uv_write_t *request; /* of stream_write, or NULL */
    uv_write_cb on_written;
    uv_buf_t *bufs; /* the source's, copied */
    struct tls_source source;
    int write_status;              /* why writing does not work any more */
    struct sockaddr_storage *peer; /* stream_set_peer_address; NULL: not called */
    char *client; /* that sent plain HTTP: its name, for when the socket has lost it; or NULL */
    bool reading;
    bool ended;      /* the end of input, or an error, has been told */
    bool finishing;  /* FIN follows what is being sent */
    bool last_taken; /* see stream_tls_try_write */
    bool waits;      /* not read from: the handshake has to wait for its turn */
    bool granted;    /* it has got its turn, and may take one step */
    bool has_waited;
    bool met_http; /* and has answered: what comes now is thrown away, to its end */
};

static inline uv_stream_t *stream_tls_uv(const struct stream_tls *layer)
{
    return (uv_stream_t *) &layer->stream->tcp;
}

static inline bool stream_tls_is_closing(const struct stream_tls *layer)
{
    return uv_is_closing((const uv_handle_t *) &layer->stream->tcp) != 0;
}

static inline bool stream_tls_is_sending(const struct stream_tls *layer)
{
    return layer->sending.len > 0;
}

/* ---- stream_tls ---- */

/* In the next turn: goes on with what is to be written, and with input that is held. */
void stream_tls_go_on_later(struct stream_tls *layer);

/* ---- stream_tls_output ---- */

/* Sends the output: at once what the socket takes; libuv has the rest. Returns 0, or why writing
 * does not work. */
int stream_tls_output_send(struct stream_tls *layer);

/* Goes on with whatever is to be sent. May call on_written, and all that this leads to. */
void stream_tls_output_advance(struct stream_tls *layer);

/* Ends the stream_write that waits, if one does. */
void stream_tls_output_complete(struct stream_tls *layer, int status);

#endif

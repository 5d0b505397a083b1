/* The TLS layer of a stream: what stream does when it has one. It moves ciphertext between the
 * socket and `tls`, and keeps stream's contracts while records do not end where writes do. */
#ifndef WS_COMMON_NET_STREAM_TLS_H
#define WS_COMMON_NET_STREAM_TLS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

struct stream;
struct stream_tls;
struct tls_context;
struct tls_loop;

/* See stream_start_tls. The layer frees itself when the stream is closed. */
int stream_tls_new(struct stream_tls **layer, struct stream *stream, struct tls_context *context,
                   const char *host);

/* See stream_accept_tls. */
int stream_tls_new_accepted(struct stream_tls **layer, struct stream *stream,
                            struct tls_loop *loop);

/* What the functions of stream without `_tls` do; see there. */
int stream_tls_read_start(struct stream_tls *layer, uv_alloc_cb owners_alloc, uv_read_cb on_read);
void stream_tls_read_stop(struct stream_tls *layer);
ssize_t stream_tls_try_write(struct stream_tls *layer, const uv_buf_t *bufs, unsigned count);
int stream_tls_write(struct stream_tls *layer, uv_write_t *request, const uv_buf_t *bufs,
                     unsigned count, uv_write_cb on_written);
int stream_tls_finish(struct stream_tls *layer);
void stream_tls_close(struct stream_tls *layer, bool reset, uv_close_cb on_closed);
/* Bytes of a stream_write that are not encrypted yet, and of ciphertext that is not sent. */
size_t stream_tls_waiting(const struct stream_tls *layer);

size_t stream_tls_held(const struct stream_tls *layer);
bool stream_tls_is_ready(const struct stream_tls *layer);
bool stream_tls_was_cut(const struct stream_tls *layer);
const char *stream_tls_error(const struct stream_tls *layer);

/* True if an accepted stream got plain HTTP, and was answered with 400. */
bool stream_tls_met_http(const struct stream_tls *layer);

/* The name of such a client, as it was then: a socket whose connection has ended has none. Else
 * NULL. */
const char *stream_tls_client(const struct stream_tls *layer);

/* See stream_set_peer_address; and the address that was set, or NULL. */
int stream_tls_set_peer_address(struct stream_tls *layer, const struct sockaddr_storage *address);
const struct sockaddr_storage *stream_tls_peer_address(const struct stream_tls *layer);

/* True if the handshake of an accepted stream has had to wait for its turn. */
bool stream_tls_has_waited(const struct stream_tls *layer);

#endif

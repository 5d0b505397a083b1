/* A connected byte stream on a libuv loop: the one place that knows what is beneath (TCP or a
 * Unix socket, with or without TLS). What is written goes to the socket at once, with one
 * system call and no queue; only the rest of a short write is left with libuv. */
#ifndef WS_COMMON_NET_STREAM_H
#define WS_COMMON_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/tls/tls_context.h"

struct stream_tls;
struct tls_loop;

/* Embedded in a connection; it must stay in place until the callback of stream_close. libuv's own
 * `data` is the TLS layer, or NULL. */
struct stream {
    uv_tcp_t tcp; /* holds a Unix socket just as well */
};

int stream_init(struct stream *stream, uv_loop_t *loop);

/* Takes `fd`, a connected socket (TCP, or a Unix socket). Returns 0, or a negative UV_E* code and
 * then `fd` is still the caller's. */
int stream_open(struct stream *stream, int fd);

/* Small writes leave at once (TCP_NODELAY). For a client: what a server accepts has it from the
 * listening socket. */
void stream_configure(struct stream *stream);

/* Connected, and before anything is read or written: from here on TLS is spoken, as a client.
 * `context` must outlive the stream; `host` is what the server's certificate must be for. What is
 * written waits for the handshake. Returns 0, UV_ENOMEM, or UV_EPROTO when OpenSSL's own
 * configuration allows no handshake. */
int stream_start_tls(struct stream *stream, struct tls_context *context, const char *host);

/* The same as a server, on a loop that shares `loop`, which must outlive the stream. Returns 0 or
 * UV_ENOMEM. */
int stream_accept_tls(struct stream *stream, struct tls_loop *loop);

/* False while a TLS handshake is not done: nothing that is written gets out yet. */
bool stream_is_ready(const struct stream *stream);

/* What went wrong with TLS, in words, or NULL when nothing did; borrowed until the stream closes.
 * With UV_EPROTO from reading it is the reason; with UV_EOF, that the end was not announced
 * (close_notify is missing): bytes may have been cut off. */
const char *stream_error(const struct stream *stream);

/* True if plain HTTP came where TLS is spoken, and was answered with 400. */
bool stream_met_http(const struct stream *stream);

/* True once TLS is spoken. */
bool stream_is_tls(const struct stream *stream);

/* True if the TLS handshake of an accepted stream has had to wait for its turn (see tls_loop): that
 * time is not the peer's. */
bool stream_has_waited(const struct stream *stream);

/* True when the connection ended in the middle of the TLS handshake, without an alert. */
bool stream_was_cut(const struct stream *stream);

/* Starts reading: `on_alloc` and `on_read` as in libuv. With TLS, `on_read` is given plaintext in a
 * buffer that is not `on_alloc`'s. */
int stream_read_start(struct stream *stream, uv_alloc_cb on_alloc, uv_read_cb on_read);
void stream_read_stop(struct stream *stream);

/* True when the socket has bytes that are not read yet, or its end; by a system call. */
bool stream_has_input(const struct stream *stream);

/* Writes what the socket takes at once, in one system call (with TLS, one for each 32 KiB). Nothing
 * may be queued with stream_write at the time, and when not all is written, stream_write must
 * follow with the next of those bytes. Returns the number of bytes written, 0 when the socket is
 * full, or a negative UV_E* code. */
ssize_t stream_try_write(struct stream *stream, const uv_buf_t *bufs, unsigned count);

/* Queues all the buffers; their bytes must stay in place until `on_written` has run. Returns 0 or
 * a negative UV_E* code. */
int stream_write(struct stream *stream, uv_write_t *request, const uv_buf_t *bufs, unsigned count,
                 uv_write_cb on_written);

/* Bytes written, or queued with stream_write, that the peer has not acknowledged. */
size_t stream_waiting(const struct stream *stream);

/* Bytes of memory that are held for the peer beneath the stream: with TLS, what has come and waits
 * to be decrypted, what is encrypted and waits to be sent, and a handshake that is not done. */
size_t stream_held(const struct stream *stream);

/* From now on the connection is lost (reading fails with UV_ETIMEDOUT) when the peer has
 * acknowledged nothing of what was written for so many milliseconds. */
void stream_limit_silence(struct stream *stream, unsigned milliseconds);

/* A number that changes whenever the peer acknowledges bytes, modulo 2^32. */
uint32_t stream_acknowledged(const struct stream *stream);

/* Tells the peer that no more will come (TLS's close_notify, and the FIN of TCP). Nothing may be
 * queued. Returns 0 or a negative UV_E* code. */
int stream_finish(struct stream *stream);

/* Closes; pending callbacks run before `on_closed`, which may free the stream's memory. With
 * `reset`, what the peer has not taken is dropped and the peer hears of it (RST). */
void stream_close(struct stream *stream, bool reset, uv_close_cb on_closed);

/* From here on the peer's address is this one: a proxy has said for whom the connection is. Not
 * before stream_accept_tls, if that follows at all. Returns 0 or UV_ENOMEM. */
int stream_set_peer_address(struct stream *stream, const struct sockaddr *address);

/* Copies the peer's address; of family AF_UNSPEC when it is not known. */
void stream_peer_address(const struct stream *stream, struct sockaddr_storage *address);

/* Writes the peer's address, as "ADDRESS port PORT", "a Unix socket" or "unknown". Returns
 * `out`. */
const char *stream_peer_name(const struct stream *stream, char *out, size_t size);

#endif

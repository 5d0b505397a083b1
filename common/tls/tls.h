/* TLS of one connection, without its socket: ciphertext goes in, plaintext comes out, and the other
 * way round.
 *
 *     tls_feed  ──► [ OpenSSL ] ──► tls_read           from the peer
 *     tls_output ◄── [ OpenSSL ] ◄── tls_write         to the peer
 *
 * Any call may leave something in tls_output: handshake messages, tickets, alerts. */
#ifndef WS_COMMON_TLS_TLS_H
#define WS_COMMON_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/tls/tls_context.h"

struct tls;

enum {
    TLS_MAX_RECORD = 16 * 1024, /* bytes of plaintext in a record (RFC 8446, 5.1) */
    TLS_RECORD_OVERHEAD = 29,   /* and around them, at most: header 5, explicit nonce 8, tag 16 */
};

/* Buffers of which the first `at` bytes are taken already. */
struct tls_source {
    const uv_buf_t *bufs;
    unsigned count;
    size_t at;
};

/* `context` must outlive the connection; a server's takes what the files of the context say when
 * its handshake begins. `host` is for a client, NULL for a server: the name or
 * address that the server's certificate must be for; a name is also told to the server (SNI).
 * Returns 0 or UV_ENOMEM. */
int tls_new(struct tls **tls, struct tls_context *context, const char *host);
void tls_free(struct tls *tls);

/* Lends ciphertext from the peer, all of the earlier having been read or taken back. */
void tls_feed(struct tls *tls, const uint8_t *data, size_t len);

/* Takes back what was not read: returns its length, and where it is in `*rest`. */
size_t tls_take_back(struct tls *tls, const uint8_t **rest);

/* Goes on with the handshake. Returns 0 when it is done, UV_EAGAIN when more must be fed, or
 * UV_EPROTO when it has failed: tls_error says why. */
int tls_handshake(struct tls *tls);
bool tls_is_established(const struct tls *tls);

/* When established: true if the handshake resumed an earlier session. */
bool tls_is_resumed(const struct tls *tls);

/* True from when it has begun until it is done; one that has failed remains so. */
bool tls_is_in_handshake(const struct tls *tls);

/* True if the last tls_handshake took a step: it cost more than looking at what had come. */
bool tls_took_step(const struct tls *tls);

/* A server's, when established: true if the context was not reloaded since the handshake began. */
bool tls_is_current(const struct tls *tls);

/* The same, where clients must show certificates: true if this client's would be admitted now. */
bool tls_is_admitted(const struct tls *tls);

/* Decrypts at most a record. Returns the number of bytes, UV_EAGAIN when more must be fed, UV_EOF
 * when the peer has said that no more will come (close_notify), or UV_EPROTO: see tls_error. */
ssize_t tls_read(struct tls *tls, void *out, size_t size);

/* Encrypts one record of what is next in the source, across the borders of its buffers. Returns 0;
 * or UV_EPROTO, also when the handshake is not done. */
int tls_write(struct tls *tls, struct tls_source *source);

/* Skips `len` bytes (at most those that are left). */
void tls_source_skip(struct tls_source *source, size_t len);
size_t tls_source_left(const struct tls_source *source);

/* Says that no more will be written (close_notify), if that can be said and has not been. */
void tls_shutdown(struct tls *tls);

/* The socket has ended with `status` (UV_EOF or another). Returns what that means: UV_EPROTO when
 * it broke the handshake, else `status`; tls_error says so, also when close_notify is missing. */
int tls_cut(struct tls *tls, int status);

/* Ciphertext to be sent; the caller drops what it has sent. */
struct buffer *tls_output(struct tls *tls);

/* True when the peer's end of the connection was what broke the handshake: nothing was refused. */
bool tls_was_cut(const struct tls *tls);

/* A server's, when its handshake has failed: true if the client spoke no TLS but text, as of an
 * HTTP request. */
bool tls_met_text(const struct tls *tls);

/* What went wrong, in words, or NULL. Borrowed for the life of the connection. */
const char *tls_error(const struct tls *tls);

#endif

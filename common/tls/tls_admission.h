/* Whether a client's certificate is admitted now. The handshake has judged it once; but sessions
 * that are resumed show no certificate, and a connection may outlive the certificate, or the
 * authority that signed it. */
#ifndef WS_COMMON_TLS_TLS_ADMISSION_H
#define WS_COMMON_TLS_TLS_ADMISSION_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Verifies `cert` as the handshake would, against the authorities and the other rules of `rules`,
 * at the present time; `chain` may hold certificates between it and the authority, or be NULL.
 * False also when out of memory, or when `cert` is NULL. */
bool tls_admission_holds(SSL_CTX *rules, X509 *cert, STACK_OF(X509) * chain);

/* From now on a session of this server's context is resumed only while the certificate that it
 * began with is admitted. Otherwise the handshake is a full one, in which the client shows a
 * certificate anew. */
void tls_admission_guard_sessions(SSL_CTX *server);

#endif

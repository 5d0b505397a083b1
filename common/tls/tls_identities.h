/* The certificates that one side shows: each with its key and the certificates between it and the
 * root, read from PEM files. They belong to an SSL_CTX and live as long as it does. */
#ifndef WS_COMMON_TLS_TLS_IDENTITIES_H
#define WS_COMMON_TLS_TLS_IDENTITIES_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/tls/tls_context.h"

/* Reads the pairs, up to the first without `cert`, for a fresh SSL_CTX. A server picks among
 * several by name (SNI, RFC 6066, 3) and by what the client can verify; without a name that any
 * certificate is for, the first of each type of key is shown. Returns 0, or UV_EINVAL or UV_ENOMEM
 * with a text. */
int tls_identities_load(SSL_CTX *ssl, const struct tls_pair *pairs, bool server,
                        struct error *error);

/* See tls_context_warning. */
bool tls_identities_warning(const SSL_CTX *ssl, size_t pair, struct error *warning);

#endif

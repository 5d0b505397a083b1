/* Why TLS failed, in words for the one who has to do something about it. */
#ifndef WS_TLS_ERROR_H
#define WS_TLS_ERROR_H

#include <openssl/types.h>
#include <stdbool.h>

#include "common/error.h"

/* The server's certificate `cert` (or NULL), expected to be `host`'s, was not accepted: `code` is
 * one of X509_V_ERR_*. */
void tls_error_certificate(struct error *error, int code, X509 *cert, const char *host);

/* What OpenSSL's queue of errors says, seen from one side; the queue is empty afterwards. */
void tls_error_of_queue(struct error *error, bool server);

#endif

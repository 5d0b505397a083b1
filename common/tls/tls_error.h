/* Why TLS failed, in words for the person who has to mend it. */
#ifndef WS_COMMON_TLS_TLS_ERROR_H
#define WS_COMMON_TLS_TLS_ERROR_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

/* The server's certificate `cert` (or NULL), expected to be `host`'s, was not accepted: `code` is
 * one of X509_V_ERR_*. */
void tls_error_certificate(struct error *error, int code, X509 *cert, const char *host);

/* `what` in a PEM file cannot be used, as OpenSSL's queue of errors says, which is empty
 * afterwards. Returns UV_EINVAL. */
int tls_error_file(struct error *error, const char *what, const char *file);

/* What a code of OpenSSL's queue means, in words, when it is about a file. */
const char *tls_error_reason(unsigned long code);

/* Writes a date, as "2026-11-22", or nothing when there is none. Returns `out`. */
const char *tls_error_date(const ASN1_TIME *time, char *out, size_t size);

/* What OpenSSL's queue of errors says, seen from one side; the queue is empty afterwards. */
void tls_error_of_queue(struct error *error, bool server);

#endif

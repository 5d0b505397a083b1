/* Masks credentials in texts that are displayed: the query of a URL, a list of subprotocols. What
 * looks like a secret becomes "***". */
#ifndef WS_COMMON_HTTP_SECRET_H
#define WS_COMMON_HTTP_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* True for the name of a query parameter whose value is a credential: its last word, in any case,
 * is token, key, apikey, sig, signature, auth, authorization, jwt, password, passwd, pwd, pass,
 * secret or credential, as in access_token, apiKey and X-Amz-Signature. */
bool secret_is_parameter(const char *name, size_t len);

/* True for a subprotocol that carries a credential, as browsers have no other field for one: it
 * begins with "auth", has "bearer" in it, or is longer than 40 characters, which no registered name
 * is. */
bool secret_is_subprotocol(const char *name, size_t len);

/* The most bytes that secret_mask makes of `len`, with the NUL. */
#define SECRET_MASKED_SIZE(len) (2 * (len) + 1)

/* Writes `text` into `out`, NUL-terminated, with "***" for the values of such parameters wherever
 * they stand: behind '?' or '&', up to '&', '#', white space or a quote. What does not fit in
 * `size` bytes is cut. Returns `out`. */
const char *secret_mask(char *out, size_t size, const char *text, size_t len);

#endif

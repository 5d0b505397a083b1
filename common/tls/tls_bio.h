/* Where OpenSSL's record layer meets our buffers: it reads ciphertext that lies in the loop's read
 * buffer, and writes ciphertext into a buffer that is there only while something is in it. */
#ifndef WS_COMMON_TLS_TLS_BIO_H
#define WS_COMMON_TLS_TLS_BIO_H

#include <openssl/bio.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum { TLS_BIO_MAX_OUT = 256 * 1024 }; /* bytes that may wait: more is an attack, and fails */

/* Embedded in a connection; must stay in place while the BIO exists. */
struct tls_bio {
    const uint8_t *in; /* borrowed: not yet read by OpenSSL */
    size_t in_len;
    struct buffer out; /* not yet sent */
};

/* The kind of BIO, which must outlive all BIOs of it. NULL when out of memory. */
BIO_METHOD *tls_bio_method_new(void);
void tls_bio_method_free(BIO_METHOD *method);

/* A BIO over `bio`, or NULL when out of memory. */
BIO *tls_bio_new(const BIO_METHOD *method, struct tls_bio *bio);

#endif

/* The keys by which signed tokens (JWT, RFC 7519) are verified. A key decides which algorithms it
 * is good for, never the token (RFC 8725, 3.1): a secret for HMAC of up to its own length, an RSA
 * key for RS* and PS*, an EC key for the one ES* of its curve, an Ed25519 key for EdDSA.
 *
 * A set is immutable once made and may be read from any thread. */
#ifndef WS_SERVER_AUTH_JWT_KEY_H
#define WS_SERVER_AUTH_JWT_KEY_H

#include <cjose/cjose.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

enum {
    JWT_KEY_MAX_FILE = 1024 * 1024, /* bytes of a file */
    JWT_KEY_MAX = 1024,             /* keys in all */
    JWT_KEY_MIN_SECRET = 32,        /* bytes: as many as the hash of HS256 has (RFC 7518, 3.2) */
    JWT_KEY_MIN_RSA = 2048,         /* bits (RFC 7518, 3.3) */
};

enum jwt_key_kind {
    JWT_KEY_SECRET,
    JWT_KEY_RSA,
    JWT_KEY_P256,
    JWT_KEY_P384,
    JWT_KEY_P521,
    JWT_KEY_ED25519,
};

struct jwt_key {
    enum jwt_key_kind kind;
    size_t secret_len;        /* of a secret, in bytes */
    char *kid;                /* NULL: it has none */
    char *alg;                /* the one algorithm it is for, by its JWK; NULL: any of its kind */
    cjose_jwk_t *jwk;         /* all but Ed25519, which cjose does not know: */
    EVP_PKEY *ed25519;        /* NULL for the others */
    unsigned char digest[32]; /* of the key itself: tells whether it is still there after a
                                 reload, whatever else its file has */
};

struct jwt_keys {
    struct jwt_key *keys;
    size_t count;
};

/* Reads a file into the set, which begins as {0}: a PEM public key or certificate, a JWK or a set
 * of them (RFC 7517), or else a secret as it is, but for one newline at its end. Keys of a JWK set
 * that are for something else (encryption, an unknown type) are left out. Returns 0, or a negative
 * UV_E* code with a text; the set is to be deinitialized in any case. */
int jwt_keys_read(struct jwt_keys *keys, const char *path, struct error *error);

void jwt_keys_deinit(struct jwt_keys *keys);

/* True if tokens with this algorithm ("RS256") may be verified by the key. */
bool jwt_key_allows(const struct jwt_key *key, const char *alg);

#endif

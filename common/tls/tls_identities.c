#include "common/tls/tls_identities.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <uv.h>

#include "common/tls/tls_error.h"

struct identity {
    const char *file;
    X509 *cert;
    STACK_OF(X509) * chain; /* without `cert` */
    EVP_PKEY *key;
};

struct identities {
    size_t count;
    struct identity list[TLS_MAX_PAIRS];
};

/* ---- where they are kept: with the SSL_CTX, which its connections keep across a reload ---- */

static void on_free(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long number,
                    void *pointer)
{
    struct identities *identities = data;

    (void) parent;
    (void) all;
    (void) index;
    (void) number;
    (void) pointer;
    if (identities == NULL)
        return;
    for (size_t i = 0; i < identities->count; i++) {
        X509_free(identities->list[i].cert);
        sk_X509_pop_free(identities->list[i].chain, X509_free);
        EVP_PKEY_free(identities->list[i].key);
    }
    free(identities);
}

/* OpenSSL gives out such numbers once in a process. */
static int kept_at = -1;

static void get_index(void)
{
    kept_at = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_free);
}

static int index_of_identities(void)
{
    static uv_once_t once = UV_ONCE_INIT;

    uv_once(&once, get_index);
    return kept_at;
}

/* ---- reading files ---- */

/* A passphrase cannot be asked for at a reload or in a script. */
static int no_passphrase(char *out, int size, int writing, void *data)
{
    (void) out;
    (void) size;
    (void) writing;
    (void) data;
    return -1;
}

/* Those behind the first. Returns 0 or UV_EINVAL. */
static int read_chain(BIO *file, struct identity *identity)
{
    X509 *cert;

    identity->chain = sk_X509_new_null();
    if (identity->chain == NULL)
        return UV_EINVAL;
    while ((cert = PEM_read_bio_X509(file, NULL, no_passphrase, NULL)) != NULL) {
        if (sk_X509_push(identity->chain, cert) == 0) {
            X509_free(cert);
            return UV_EINVAL;
        }
    }
    if (ERR_GET_LIB(ERR_peek_last_error()) != ERR_LIB_PEM ||
        ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return UV_EINVAL;
    ERR_clear_error(); /* the end of the file */
    return 0;
}

static int read_certificates(struct identity *identity, struct error *error)
{
    BIO *file = BIO_new_file(identity->file, "r");
    int status = UV_EINVAL;

    if (file != NULL)
        identity->cert = PEM_read_bio_X509_AUX(file, NULL, no_passphrase, NULL);
    if (identity->cert != NULL)
        status = read_chain(file, identity);
    BIO_free(file);
    return status == 0 ? 0 : tls_error_file(error, "certificate", identity->file);
}

static int read_key(struct identity *identity, const char *name, struct error *error)
{
    BIO *file = BIO_new_file(name, "r");
    const EVP_PKEY *wanted = X509_get0_pubkey(identity->cert);
    const char *type, *wanted_type;

    if (file != NULL)
        identity->key = PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL);
    BIO_free(file);
    if (identity->key == NULL)
        return tls_error_file(error, "key", name);
    if (X509_check_private_key(identity->cert, identity->key) == 1)
        return 0;
    ERR_clear_error();
    type = EVP_PKEY_get0_type_name(identity->key);
    wanted_type = wanted != NULL ? EVP_PKEY_get0_type_name(wanted) : NULL;
    if (type != NULL && wanted_type != NULL && !EVP_PKEY_is_a(identity->key, wanted_type))
        return error_set(error, UV_EINVAL,
                         "the key in %s is of type %s, but the certificate in %s is for a key of "
                         "type %s: name the key that the certificate was made for",
                         name, type, identity->file, wanted_type);
    return error_set(error, UV_EINVAL, "the key in %s is not that of the certificate in %s", name,
                     identity->file);
}

/* ---- which of them is shown ---- */

static bool is_for(const struct identity *identity, const char *name)
{
    return X509_check_host(identity->cert, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
           1;
}

/* The client has said what it wants; OpenSSL chooses by type of key from what is set now: the first
 * for each type that is for this name. */
static int on_choice(SSL *ssl, void *data)
{
    const struct identities *identities = data;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    bool found = false;

    for (size_t i = 0; i < identities->count && name != NULL; i++) {
        const struct identity *one = &identities->list[i];

        if (!is_for(one, name))
            continue;
        if (!found)
            SSL_certs_clear(ssl);
        found = true;
        /* Fails where there is one of this type already. */
        (void) SSL_use_cert_and_key(ssl, one->cert, one->key, one->chain, 0);
    }
    ERR_clear_error();
    return 1;
}

static bool is_taken(const struct identities *identities, const EVP_PKEY *key)
{
    for (size_t i = 0; i + 1 < identities->count; i++) {
        if (EVP_PKEY_get_base_id(identities->list[i].key) == EVP_PKEY_get_base_id(key))
            return true;
    }
    return false;
}

/* Reads one more pair, and makes it that of its type if it is the first. */
static int add(SSL_CTX *ssl, struct identities *identities, const struct tls_pair *pair,
               struct error *error)
{
    struct identity *one = &identities->list[identities->count++];
    int status;

    one->file = pair->cert;
    status = read_certificates(one, error);
    if (status == 0)
        status = read_key(one, pair->key != NULL ? pair->key : pair->cert, error);
    if (status == 0 && !is_taken(identities, one->key) &&
        SSL_CTX_use_cert_and_key(ssl, one->cert, one->key, one->chain, 0) != 1)
        status = tls_error_file(error, "certificate", one->file);
    return status;
}

int tls_identities_load(SSL_CTX *ssl, const struct tls_pair *pairs, bool server,
                        struct error *error)
{
    struct identities *identities = calloc(1, sizeof *identities);
    int status = 0;

    if (identities == NULL || SSL_CTX_set_ex_data(ssl, index_of_identities(), identities) != 1) {
        free(identities);
        return error_set(error, UV_ENOMEM, "out of memory");
    }
    for (size_t i = 0; pairs[i].cert != NULL && status == 0; i++)
        status = add(ssl, identities, &pairs[i], error);
    if (server && identities->count > 1)
        SSL_CTX_set_cert_cb(ssl, on_choice, identities);
    return status;
}

/* ---- dates ---- */

bool tls_identities_warning(const SSL_CTX *ssl, size_t pair, struct error *warning)
{
    const struct identities *identities = SSL_CTX_get_ex_data(ssl, index_of_identities());
    const struct identity *one;
    char date[24];

    if (identities == NULL || pair >= identities->count)
        return false;
    one = &identities->list[pair];
    if (X509_cmp_current_time(X509_get0_notAfter(one->cert)) < 0) {
        error_set(warning, UV_EINVAL,
                  "the certificate in %s has expired (%s), and clients will not accept it; renew "
                  "it, then send SIGHUP",
                  one->file, tls_error_date(X509_get0_notAfter(one->cert), date, sizeof date));
        return true;
    }
    if (X509_cmp_current_time(X509_get0_notBefore(one->cert)) > 0) {
        error_set(warning, UV_EINVAL,
                  "the certificate in %s is valid only from %s, and clients will not accept it "
                  "before; is this machine's clock right?",
                  one->file, tls_error_date(X509_get0_notBefore(one->cert), date, sizeof date));
        return true;
    }
    return false;
}

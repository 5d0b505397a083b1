#include "common/tls/tls_identities.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/proverr.h>
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

/* Without a pair there is none. */
static int on_passphrase(char *out, int size, int writing, void *data)
{
    const struct tls_pair *pair = data;

    (void) writing;
    if (pair == NULL || pair->passphrase == NULL)
        return -1;
    return pair->passphrase(pair->owner, pair->key != NULL ? pair->key : pair->cert, out, size);
}

/* A key, or what has one, cannot be read. */
static int cannot_use(struct error *error, const struct tls_pair *pair, const char *what,
                      const char *file)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    bool wrong = reason == EVP_R_BAD_DECRYPT || reason == PROV_R_BAD_DECRYPT ||
                 reason == PKCS12_R_MAC_VERIFY_FAILURE;

    if (pair->passphrase == NULL ||
        (!wrong && reason != PEM_R_BAD_PASSWORD_READ && reason != ERR_R_INTERRUPTED_OR_CANCELLED))
        return tls_error_file(error, what, file);
    ERR_clear_error();
    return error_set(error, UV_EINVAL,
                     wrong ? "cannot use the %s in %s: the passphrase is not the right one"
                           : "cannot use the %s in %s: it is protected by a passphrase, which is "
                             "for a file: --key-pass-file FILE",
                     what, file);
}

/* Those behind the first. Returns 0 or UV_EINVAL. */
static int read_chain(BIO *file, struct identity *identity)
{
    X509 *cert;

    identity->chain = sk_X509_new_null();
    if (identity->chain == NULL)
        return UV_EINVAL;
    while ((cert = PEM_read_bio_X509(file, NULL, on_passphrase, NULL)) != NULL) {
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
        identity->cert = PEM_read_bio_X509_AUX(file, NULL, on_passphrase, NULL);
    if (identity->cert != NULL)
        status = read_chain(file, identity);
    BIO_free(file);
    return status == 0 ? 0 : tls_error_file(error, "certificate", identity->file);
}

/* The key is that of the certificate. */
static int check_key(struct identity *identity, const char *name, struct error *error)
{
    const EVP_PKEY *wanted = X509_get0_pubkey(identity->cert);
    const char *type, *wanted_type;

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

static int read_key(struct identity *identity, const struct tls_pair *pair, struct error *error)
{
    const char *name = pair->key != NULL ? pair->key : pair->cert;
    BIO *file = BIO_new_file(name, "r");

    if (file != NULL)
        identity->key =
            PEM_read_bio_PrivateKey(file, NULL, on_passphrase, (void *) (uintptr_t) pair);
    BIO_free(file);
    if (identity->key == NULL)
        return cannot_use(error, pair, "key", name);
    return check_key(identity, name, error);
}

/* ---- PKCS#12 ---- */

/* DER begins with a SEQUENCE, and no text does. */
static bool is_der(const char *name)
{
    BIO *file = BIO_new_file(name, "r");
    unsigned char first = 0;
    bool der = file != NULL && BIO_read(file, &first, 1) == 1 && first == 0x30;

    BIO_free(file);
    ERR_clear_error();
    return der;
}

/* Many have no passphrase, or an empty one, which is not the same. Returns 1, or what PKCS12_parse
 * does when it fails. */
static int parse(PKCS12 *bag, const struct tls_pair *pair, struct identity *identity)
{
    char out[PEM_BUFSIZE];
    const char *passphrase = out;
    int len = 0;
    int parsed = 0;

    if (PKCS12_mac_present(bag) == 0 || PKCS12_verify_mac(bag, NULL, 0) == 1)
        passphrase = NULL;
    else if (PKCS12_verify_mac(bag, "", 0) == 1)
        passphrase = "";
    else
        len = pair->passphrase != NULL
                  ? pair->passphrase(pair->owner, pair->cert, out, sizeof out - 1)
                  : -1;
    ERR_clear_error();
    out[len > 0 ? len : 0] = '\0';
    if (len >= 0)
        parsed = PKCS12_parse(bag, passphrase, &identity->key, &identity->cert, &identity->chain);
    else
        ERR_raise(ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ);
    OPENSSL_cleanse(out, sizeof out);
    return parsed;
}

static int read_pkcs12(struct identity *identity, const struct tls_pair *pair, struct error *error)
{
    BIO *file = BIO_new_file(pair->cert, "r");
    PKCS12 *bag = file != NULL ? d2i_PKCS12_bio(file, NULL) : NULL;
    int parsed = bag != NULL ? parse(bag, pair, identity) : 0;

    BIO_free(file);
    PKCS12_free(bag);
    if (parsed != 1)
        return cannot_use(error, pair, "certificate and key", pair->cert);
    if (identity->key == NULL || identity->cert == NULL)
        return error_set(error, UV_EINVAL, "'%s' needs a certificate and its key", pair->cert);
    return check_key(identity, pair->cert, error);
}

static int read_pair(struct identity *identity, const struct tls_pair *pair, struct error *error)
{
    int status;

    if (pair->type == TLS_CERT_P12 ||
        (pair->type == TLS_CERT_ANY && pair->key == NULL && is_der(pair->cert)))
        return read_pkcs12(identity, pair, error);
    status = read_certificates(identity, error);
    return status == 0 ? read_key(identity, pair, error) : status;
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
    status = read_pair(one, pair, error);
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

#include "common/tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/tls/tls_admission.h"
#include "common/tls/tls_error.h"
#include "common/tls/tls_identities.h"

struct tls_context {
    _Atomic bool verifies; /* the peer must show a certificate that is admitted */
    bool server;
    BIO_METHOD *bio_method;
    uv_mutex_t lock; /* guards `current` */
    SSL_CTX *current;
};

/* The server's order: AES-128 first. It is as safe for all we know, and goes with SHA-256,
 * whose states OpenSSL keeps for as long as the connection lasts. With TLS 1.2 only what TLS 1.3
 * would allow too: forward secrecy and authenticated encryption. */
static const char server_suites_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char server_ciphers[] = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20";

/* What is spoken inside, as a protocol name of ALPN (RFC 7301). */
static const unsigned char http_1_1[] = "\x08http/1.1";

enum { HTTP_1_1_LEN = sizeof http_1_1 - 1 };

/* ---- the two sides ---- */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *data)
{
    unsigned char *chosen;

    (void) ssl;
    (void) data;
    if (SSL_select_next_proto(&chosen, out_len, http_1_1, HTTP_1_1_LEN, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL reads the extensions of an authority when it first checks a certificate with it, and
 * keeps what it read: here, before the workers share it. */
static void read_authorities(SSL_CTX *ssl)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (authority != NULL)
            (void) X509_check_purpose(authority, -1, 0);
    }
}

static int set_up_server(SSL_CTX *ssl, const struct tls_files *files, struct error *error)
{
    static const unsigned char session_context[] = "wsbroadcastd";
    STACK_OF(X509_NAME) * names;

    (void) SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void) SSL_CTX_set_session_cache_mode(ssl,
                                          SSL_SESS_CACHE_OFF); /* tickets hold no memory here */
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
    if (SSL_CTX_set_ciphersuites(ssl, server_suites_1_3) != 1 ||
        SSL_CTX_set_cipher_list(ssl, server_ciphers) != 1 ||
        SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1) != 1)
        return error_set(error, UV_ENOMEM, "cannot set up TLS: %s",
                         tls_error_reason(ERR_get_error()));
    if (files->ca == NULL)
        return 0;
    names = SSL_load_client_CA_file(files->ca);
    if (names == NULL || SSL_CTX_load_verify_file(ssl, files->ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_error_file(error, "certificates", files->ca);
    }
    SSL_CTX_set_client_CA_list(ssl, names); /* takes them */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    tls_admission_guard_sessions(ssl);
    read_authorities(ssl);
    return 0;
}

/* OpenSSL passes over a file of the environment that it cannot use. */
static int check_environment(SSL_CTX *ssl, struct error *error)
{
    const char *name = X509_get_default_cert_file_env();
    const char *file = getenv(name);
    char what[64];

    if (file == NULL || SSL_CTX_load_verify_file(ssl, file) == 1)
        return 0;
    (void) snprintf(what, sizeof what, "certificates of %s,", name);
    return tls_error_file(error, what, file);
}

static int set_up_client(SSL_CTX *ssl, const struct tls_files *files, struct error *error)
{
    if (SSL_CTX_set_alpn_protos(ssl, http_1_1, HTTP_1_1_LEN) != 0) /* 0 is its success */
        return error_set(error, UV_ENOMEM, "out of memory");
    if (files->insecure)
        return 0;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (files->ca == NULL && files->ca_directory == NULL) {
        if (SSL_CTX_set_default_verify_paths(ssl) == 1)
            return check_environment(ssl, error);
        return tls_error_file(error, "authorities", "the system's store");
    }
    if (files->ca != NULL && SSL_CTX_load_verify_file(ssl, files->ca) != 1)
        return tls_error_file(error, "certificates", files->ca);
    if (files->ca_directory != NULL && (access(files->ca_directory, R_OK | X_OK) != 0 ||
                                        SSL_CTX_load_verify_dir(ssl, files->ca_directory) != 1))
        return error_set(error, UV_EINVAL, "cannot read certificates in the directory '%s'",
                         files->ca_directory);
    /* A certificate given by name is trusted, even if it is the server's own and not that of a CA.
     */
    (void) X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return 0;
}

/* Everything that the files say, made anew. */
static int build(SSL_CTX **ssl, bool server, const struct tls_files *files, struct error *error)
{
    SSL_CTX *fresh;
    int status = 0;

    ERR_clear_error();
    fresh = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (fresh == NULL || SSL_CTX_set_min_proto_version(fresh, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(fresh);
        return error_set(error, UV_ENOMEM, "cannot set up TLS: %s",
                         tls_error_reason(ERR_get_error()));
    }
    (void) SSL_CTX_set_options(fresh, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void) SSL_CTX_set_mode(fresh, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (files->pairs[0].cert != NULL)
        status = tls_identities_load(fresh, files->pairs, server, error);
    if (status == 0)
        status = server ? set_up_server(fresh, files, error) : set_up_client(fresh, files, error);
    ERR_clear_error();
    if (status != 0)
        SSL_CTX_free(fresh);
    else
        *ssl = fresh;
    return status;
}

/* ---- life ---- */

static bool verifies(bool server, const struct tls_files *files)
{
    return server ? files->ca != NULL : !files->insecure;
}

static int make(struct tls_context **context, bool server, const struct tls_files *files,
                struct error *error)
{
    struct tls_context *fresh = calloc(1, sizeof *fresh);
    int status = UV_ENOMEM;

    if (fresh == NULL)
        return error_set(error, status, "out of memory");
    fresh->verifies = verifies(server, files);
    fresh->server = server;
    fresh->bio_method = tls_bio_method_new();
    if (fresh->bio_method == NULL || uv_mutex_init(&fresh->lock) != 0) {
        error_set(error, status, "out of memory");
        goto fail_lock;
    }
    status = build(&fresh->current, server, files, error);
    if (status != 0)
        goto fail_build;
    *context = fresh;
    return 0;

fail_build:
    uv_mutex_destroy(&fresh->lock);
fail_lock:
    tls_bio_method_free(fresh->bio_method);
    free(fresh);
    return status;
}

int tls_context_new_server(struct tls_context **context, const struct tls_files *files,
                           struct error *error)
{
    return make(context, true, files, error);
}

int tls_context_new_client(struct tls_context **context, const struct tls_files *files,
                           struct error *error)
{
    return make(context, false, files, error);
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->current);
    uv_mutex_destroy(&context->lock);
    tls_bio_method_free(context->bio_method);
    free(context);
}

int tls_context_reload(struct tls_context *context, const struct tls_files *files,
                       struct error *error)
{
    SSL_CTX *fresh = NULL, *old;
    int status = build(&fresh, context->server, files, error);

    if (status != 0)
        return status;
    uv_mutex_lock(&context->lock);
    old = context->current;
    context->current = fresh;
    context->verifies = verifies(context->server, files);
    uv_mutex_unlock(&context->lock);
    SSL_CTX_free(old); /* connections hold references of their own */
    return 0;
}

/* ---- for tls ---- */

SSL *tls_context_connection(struct tls_context *context, struct tls_bio *bio)
{
    BIO *handle = tls_bio_new(context->bio_method, bio);
    SSL *ssl;

    if (handle == NULL)
        return NULL;
    uv_mutex_lock(&context->lock);
    ssl = SSL_new(context->current);
    uv_mutex_unlock(&context->lock);
    if (ssl == NULL) {
        BIO_free(handle);
        return NULL;
    }
    SSL_set_bio(ssl, handle, handle); /* takes it */
    if (context->server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

/* A reference of its own to what the files say now. */
static SSL_CTX *ref_current(struct tls_context *context)
{
    SSL_CTX *current;

    uv_mutex_lock(&context->lock);
    current = context->current;
    (void) SSL_CTX_up_ref(current);
    uv_mutex_unlock(&context->lock);
    return current;
}

bool tls_context_warning(struct tls_context *context, size_t pair, struct error *warning)
{
    SSL_CTX *current = ref_current(context);
    bool warns = tls_identities_warning(current, pair, warning);

    SSL_CTX_free(current);
    return warns;
}

bool tls_context_is_current(struct tls_context *context, const SSL *ssl)
{
    bool current;

    uv_mutex_lock(&context->lock);
    current = SSL_get_SSL_CTX(ssl) == context->current;
    uv_mutex_unlock(&context->lock);
    return current;
}

bool tls_context_admits(struct tls_context *context, SSL *ssl)
{
    SSL_CTX *rules = ref_current(context);
    bool admits =
        tls_admission_holds(rules, SSL_get0_peer_certificate(ssl), SSL_get_peer_cert_chain(ssl));

    SSL_CTX_free(rules);
    return admits;
}

bool tls_context_verifies(const struct tls_context *context)
{
    return context->verifies;
}

#include "common/tls/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/tls/tls_error.h"

struct tls {
    struct tls_context *context;
    SSL *ssl; /* NULL until a server's handshake begins: a silent client costs little */
    struct tls_bio bio;
    char *host;  /* of a client's URL, without a dot at the end; else NULL */
    char *error; /* or NULL */
    bool established;
    uint8_t first; /* byte that came, or 0: TLS begins with 22 (RFC 8446, 5.1) */
    bool stepped;  /* by the last call of tls_handshake */
    bool cut;      /* the connection ended in the handshake */
    bool failed;   /* OpenSSL must not be asked for anything more */
};

/* ---- errors ---- */

/* The first thing that goes wrong is the reason for whatever comes then. */
static void remember(struct tls *tls, const struct error *error)
{
    if (tls->error == NULL)
        tls->error = strdup(error->text);
}

/* Why an operation of OpenSSL's did not succeed: a UV_E* code. */
static int explain(struct tls *tls, int result)
{
    struct error error;

    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return UV_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return UV_EOF;
    default:
        tls->failed = true;
        tls_error_of_queue(&error, SSL_is_server(tls->ssl) != 0);
        remember(tls, &error);
        return UV_EPROTO;
    }
}

static int on_verify(int accepted, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = SSL_get_app_data(ssl);
    struct error error;

    if (accepted == 0) {
        tls_error_certificate(&error, X509_STORE_CTX_get_error(store),
                              X509_STORE_CTX_get_current_cert(store), tls->host);
        remember(tls, &error);
    }
    return accepted;
}

/* ---- life ---- */

/* Whom a client expects to meet (RFC 6066, 3; RFC 9525: by the DNS names and addresses of the
 * certificate, never by its common name). */
static int expect(struct tls *tls, struct tls_context *context, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    size_t len = strlen(host);

    if (len > 1 && host[len - 1] == '.')
        len--;
    tls->host = strndup(host, len);
    if (tls->host == NULL)
        return UV_ENOMEM;
    if (tls_context_verifies(context)) {
        if (SSL_set_app_data(tls->ssl, tls) != 1)
            return UV_ENOMEM;
        SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, on_verify);
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, tls->host) == 1)
        return 0;
    if (X509_VERIFY_PARAM_set1_host(param, tls->host, 0) != 1 ||
        SSL_set_tlsext_host_name(tls->ssl, tls->host) != 1)
        return UV_ENOMEM;
    return 0;
}

int tls_new(struct tls **tls, struct tls_context *context, const char *host)
{
    struct tls *fresh = calloc(1, sizeof *fresh);
    int status = UV_ENOMEM;

    if (fresh == NULL)
        return status;
    fresh->context = context;
    if (host == NULL) {
        *tls = fresh;
        return 0;
    }
    fresh->ssl = tls_context_connection(context, &fresh->bio);
    if (fresh->ssl != NULL)
        status = expect(fresh, context, host);
    ERR_clear_error();
    if (status != 0)
        tls_free(fresh);
    else
        *tls = fresh;
    return status;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    buffer_deinit(&tls->bio.out);
    free(tls->host);
    free(tls->error);
    free(tls);
}

/* ---- from the peer ---- */

void tls_feed(struct tls *tls, const uint8_t *data, size_t len)
{
    tls->bio.in = data;
    tls->bio.in_len = len;
}

size_t tls_take_back(struct tls *tls, const uint8_t **rest)
{
    size_t len = tls->bio.in_len;

    *rest = tls->bio.in;
    tls_feed(tls, NULL, 0);
    return len;
}

/* A server's handshake begins. False when out of memory. */
static bool begin(struct tls *tls)
{
    static const struct error out_of_memory = {"out of memory"};

    if (tls->ssl == NULL)
        tls->ssl = tls_context_connection(tls->context, &tls->bio);
    if (tls->ssl != NULL)
        return true;
    ERR_clear_error();
    tls->failed = true;
    remember(tls, &out_of_memory);
    return false;
}

int tls_handshake(struct tls *tls)
{
    OSSL_HANDSHAKE_STATE before;
    int result;

    tls->stepped = false;
    if (tls->established)
        return 0;
    if (tls->failed || !begin(tls))
        return UV_EPROTO;
    if (tls->first == 0 && tls->bio.in_len > 0)
        tls->first = *tls->bio.in;
    before = SSL_get_state(tls->ssl);
    ERR_clear_error();
    result = SSL_do_handshake(tls->ssl);
    tls->stepped = SSL_get_state(tls->ssl) != before;
    if (result == 1) {
        tls->established = true;
        return 0;
    }
    if (explain(tls, result) == UV_EAGAIN)
        return UV_EAGAIN;
    tls->stepped = true; /* how far it had come is not known */
    return UV_EPROTO;
}

bool tls_is_in_handshake(const struct tls *tls)
{
    return tls->ssl != NULL && !tls->established;
}

bool tls_took_step(const struct tls *tls)
{
    return tls->stepped;
}

bool tls_is_current(const struct tls *tls)
{
    return tls_context_is_current(tls->context, tls->ssl);
}

bool tls_is_admitted(const struct tls *tls)
{
    return tls_context_admits(tls->context, tls->ssl);
}

bool tls_is_resumed(const struct tls *tls)
{
    return SSL_session_reused(tls->ssl) == 1;
}

bool tls_is_established(const struct tls *tls)
{
    return tls->established;
}

ssize_t tls_read(struct tls *tls, void *out, size_t size)
{
    size_t n;
    int result;

    if (tls->failed)
        return UV_EPROTO;
    ERR_clear_error();
    result = SSL_read_ex(tls->ssl, out, size, &n);
    return result == 1 ? (ssize_t) n : explain(tls, result);
}

int tls_cut(struct tls *tls, int status)
{
    static const struct error in_handshake = {
        "the peer ended the connection during the TLS handshake; does it speak TLS on this port?"};
    static const struct error truncated = {
        "the connection was cut off: it ended without TLS's close_notify"};

    if (!tls->established) {
        tls->cut = tls->error == NULL;
        tls->failed = true;
        remember(tls, &in_handshake);
        return UV_EPROTO;
    }
    if (status == UV_EOF)
        remember(tls, &truncated);
    return status;
}

bool tls_was_cut(const struct tls *tls)
{
    return tls->cut;
}

/* ---- to the peer ---- */

void tls_source_skip(struct tls_source *source, size_t len)
{
    while (source->count > 0 && len >= source->bufs->len - source->at) {
        len -= source->bufs->len - source->at;
        source->bufs++;
        source->count--;
        source->at = 0;
    }
    if (source->count > 0)
        source->at += len;
}

size_t tls_source_left(const struct tls_source *source)
{
    size_t left = 0;

    for (unsigned i = 0; i < source->count; i++)
        left += source->bufs[i].len;
    return left - source->at;
}

/* What is next, in one piece: where it lies, if that is a record's worth or all there is; else
 * copied together. Returns its length. */
static size_t gather(const struct tls_source *source, uint8_t *copy, const void **data)
{
    struct tls_source rest = *source;
    size_t len = rest.bufs->len - rest.at;

    *data = rest.bufs->base + rest.at;
    if (rest.count == 1 || len >= TLS_MAX_RECORD)
        return len < TLS_MAX_RECORD ? len : TLS_MAX_RECORD;
    *data = copy;
    len = 0;
    while (rest.count > 0 && len < TLS_MAX_RECORD) {
        size_t n = rest.bufs->len - rest.at;

        if (n > TLS_MAX_RECORD - len)
            n = TLS_MAX_RECORD - len;
        memcpy(copy + len, rest.bufs->base + rest.at, n);
        len += n;
        tls_source_skip(&rest, n);
    }
    return len;
}

int tls_write(struct tls *tls, struct tls_source *source)
{
    uint8_t copy[TLS_MAX_RECORD];
    const void *data;
    size_t len, written;
    int result;

    if (!tls->established || tls->failed)
        return UV_EPROTO;
    tls_source_skip(source, 0); /* a buffer may be empty */
    if (source->count == 0)
        return 0;
    len = gather(source, copy, &data);
    ERR_clear_error();
    result = SSL_write_ex(tls->ssl, data, len, &written);
    if (result != 1) {
        (void) explain(tls, result);
        return UV_EPROTO;
    }
    tls_source_skip(source, written);
    return 0;
}

void tls_shutdown(struct tls *tls)
{
    if (!tls->established || tls->failed || (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    ERR_clear_error();
    (void) SSL_shutdown(tls->ssl); /* 0: said, and the peer's is still to come */
    ERR_clear_error();
}

struct buffer *tls_output(struct tls *tls)
{
    return &tls->bio.out;
}

bool tls_met_text(const struct tls *tls)
{
    return tls->failed && tls->first >= 'A' && tls->first <= 'Z';
}

const char *tls_error(const struct tls *tls)
{
    return tls->error;
}

#include "common/tls/tls_admission.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

bool tls_admission_holds(SSL_CTX *rules, X509 *cert, STACK_OF(X509) * chain)
{
    X509_STORE_CTX *check = cert != NULL ? X509_STORE_CTX_new() : NULL;
    X509_VERIFY_PARAM *param;
    bool holds = false;

    if (check == NULL ||
        X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(rules), cert, chain) != 1 ||
        X509_STORE_CTX_set_default(check, "ssl_client") != 1)
        goto end;
    param = X509_STORE_CTX_get0_param(check);
    X509_VERIFY_PARAM_set_auth_level(param, SSL_CTX_get_security_level(rules));
    holds = X509_VERIFY_PARAM_set1(param, SSL_CTX_get0_param(rules)) == 1 &&
            X509_verify_cert(check) == 1;
end:
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    return holds;
}

/* A ticket has been decrypted, or could not be. It holds the client's certificate, but not those
 * between it and the authority: where they are needed, the handshake is a full one. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                   size_t key_name_len, SSL_TICKET_STATUS status, void *data)
{
    (void) key_name;
    (void) key_name_len;
    (void) data;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!tls_admission_holds(SSL_get_SSL_CTX(ssl), SSL_SESSION_get0_peer(session), NULL))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void tls_admission_guard_sessions(SSL_CTX *server)
{
    (void) SSL_CTX_set_session_ticket_cb(server, NULL, on_ticket, NULL); /* cannot fail */
}

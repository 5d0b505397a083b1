#include "common/tls/tls_error.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/base/escape.h"

static void add_name(char *out, size_t size, const char *name, size_t len)
{
    char escaped[128];
    size_t used = strlen(out);

    escape_text(escaped, sizeof escaped, (const uint8_t *) name, len);
    (void) snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", escaped);
}

/* The DNS names and addresses that a certificate is for, as far as there is room. */
static const char *names_of(X509 *cert, char *out, size_t size)
{
    GENERAL_NAMES *names =
        cert != NULL ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[64];

        if (name->type == GEN_DNS) {
            add_name(out, size, (const char *) ASN1_STRING_get0_data(name->d.dNSName),
                     (size_t) ASN1_STRING_length(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            int len = ASN1_STRING_length(name->d.iPAddress);

            if ((len == 4 || len == 16) &&
                uv_inet_ntop(len == 4 ? AF_INET : AF_INET6,
                             ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text) == 0)
                add_name(out, size, text, strlen(text));
        }
    }
    GENERAL_NAMES_free(names);
    return out[0] != '\0' ? out : "no name at all";
}

const char *tls_error_date(const ASN1_TIME *time, char *out, size_t size)
{
    struct tm tm;

    if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1 || strftime(out, size, "%F", &tm) == 0)
        out[0] = '\0';
    return out;
}

void tls_error_certificate(struct error *error, int code, X509 *cert, const char *host)
{
    char names[200], date[24];

    switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        error_set(error, 0,
                  "the server's certificate is not for '%s' but for: %s; use that name in the URL, "
                  "or -k to accept any certificate",
                  host, names_of(cert, names, sizeof names));
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        error_set(error, 0,
                  "the server's certificate is self-signed, or signed by an authority that is not "
                  "known here; name it with --cacert FILE if you trust it, or -k to accept any");
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        error_set(error, 0,
                  "the server's certificate is signed by an authority that is not known here; name "
                  "it with --cacert FILE if you trust it, or -k to accept any");
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        error_set(
            error, 0,
            "the server's certificate has expired (%s); it must be renewed there, or -k to "
            "accept any",
            tls_error_date(cert != NULL ? X509_get0_notAfter(cert) : NULL, date, sizeof date));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        error_set(
            error, 0,
            "the server's certificate is valid only from %s; is this machine's clock right?",
            tls_error_date(cert != NULL ? X509_get0_notBefore(cert) : NULL, date, sizeof date));
        break;
    default:
        error_set(error, 0, "the server's certificate is not accepted: %s; -k would accept any",
                  X509_verify_cert_error_string(code));
    }
}

/* What a server's alert, or its strange behaviour, means to the user of a client; or NULL. */
static const char *advice_of(int reason)
{
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return "the server does not speak TLS on this port; is it a ws:// URL?";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the server wants a certificate; name one with --cert FILE --key FILE";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
        return "the server does not accept the certificate of --cert";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "the server does not accept the certificate of --cert: it has expired";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the server refused the TLS handshake: it may want a certificate (--cert FILE), or "
               "speak no cipher that is accepted here";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
        return "the server has no certificate for the host name in the URL";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "the server speaks no TLS version from 1.2 on";
    default:
        return NULL;
    }
}

void tls_error_of_queue(struct error *error, bool server)
{
    unsigned long code = ERR_peek_error();
    const char *advice =
        !server && ERR_GET_LIB(code) == ERR_LIB_SSL ? advice_of(ERR_GET_REASON(code)) : NULL;
    const char *reason = ERR_reason_error_string(code);

    if (advice != NULL)
        error_set(error, 0, "%s", advice);
    else
        error_set(error, 0, "TLS failed: %s", reason != NULL ? reason : "unknown error");
    ERR_clear_error();
}

/* ---- files ---- */

const char *tls_error_reason(unsigned long code)
{
    const char *text;

    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    if ((ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) ||
        (ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER && ERR_GET_REASON(code) == ERR_R_UNSUPPORTED))
        return "there is none in it; it must be in PEM form (-----BEGIN ...)";
    if (ERR_GET_REASON(code) == PEM_R_BAD_PASSWORD_READ ||
        ERR_GET_REASON(code) == ERR_R_INTERRUPTED_OR_CANCELLED)
        return "it is protected by a passphrase; remove that with 'openssl pkey'";
    text = ERR_reason_error_string(code);
    return text != NULL ? text : "it cannot be understood";
}

int tls_error_file(struct error *error, const char *what, const char *file)
{
    unsigned long code = ERR_peek_error();

    error_set(error, UV_EINVAL, "cannot use the %s in %s: %s", what, file, tls_error_reason(code));
    ERR_clear_error();
    return UV_EINVAL;
}

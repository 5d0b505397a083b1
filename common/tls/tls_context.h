/* What the TLS connections of one side share: certificates, keys, and the rules of the house (TLS
 * 1.2 and later, forward secrecy, no renegotiation). Threads may share a context: what changes in
 * it (by tls_context_reload) is behind a lock that is held for no I/O. */
#ifndef WS_COMMON_TLS_TLS_CONTEXT_H
#define WS_COMMON_TLS_TLS_CONTEXT_H

#include <openssl/types.h>
#include <stdbool.h>

#include "common/base/error.h"
#include "common/tls/tls_bio.h"

struct tls_context;

enum { TLS_MAX_PAIRS = 16 };

/* Writes the passphrase that is needed for `file` into `out`, and returns its length; negative when
 * there is none. */
typedef int (*tls_passphrase_cb)(void *owner, const char *file, char *out, int size);

enum tls_cert_type {
    TLS_CERT_ANY, /* as its first byte has it */
    TLS_CERT_PEM,
    TLS_CERT_P12,
};

/* Names of PEM files, or of one in PKCS#12. */
struct tls_pair {
    const char *cert;             /* an own certificate, and those between it and the root */
    const char *key;              /* its key; NULL: it is in `cert` too */
    enum tls_cert_type type;      /* of `cert`; that of PKCS#12 has its key, too */
    tls_passphrase_cb passphrase; /* NULL: encrypted keys are refused */
    void *owner;                  /* of `passphrase` */
};

struct tls_files {
    /* As many as have a `cert`. A server shows the first that is for the name that the client asks
     * for, of each type of key that the client can use, or else the first of all. */
    struct tls_pair pairs[TLS_MAX_PAIRS + 1];
    const char *ca; /* CAs that sign the peer's certificates; NULL: for a client the system's
                         authorities, for a server: clients need no certificate */
    const char *ca_directory; /* client: the same in a directory, by hash; or NULL */
    bool insecure;            /* client: the server is not authenticated */
};

/* Reads all the files. Returns 0, or a negative UV_E* code with a text that names the file. A
 * server needs a certificate. */
int tls_context_new_server(struct tls_context **context, const struct tls_files *files,
                           struct error *error);
int tls_context_new_client(struct tls_context **context, const struct tls_files *files,
                           struct error *error);

/* No connection of it may be left. */
void tls_context_free(struct tls_context *context);

/* Reads these files in place of the last ones. New connections use what they say now; those that
 * exist go on as they are (but see tls_loop_verify_all), and sessions from before are not resumed.
 * Errors as above, and then nothing changes. */
int tls_context_reload(struct tls_context *context, const struct tls_files *files,
                       struct error *error);

/* True, with a text, if the certificate of that pair (from 0) is not valid now: it is served, but
 * clients will not accept it. False also when there is no such pair. */
bool tls_context_warning(struct tls_context *context, size_t pair, struct error *warning);

/* ---- for tls ---- */

/* A connection's state, in the context's role, over `bio`; NULL when out of memory. */
SSL *tls_context_connection(struct tls_context *context, struct tls_bio *bio);

/* True if the peer must show a certificate that is admitted. */
bool tls_context_verifies(const struct tls_context *context);

/* A server's: true if the connection was begun with what the files say now. */
bool tls_context_is_current(struct tls_context *context, const SSL *ssl);

/* A server's that verifies: true if the certificate that the client has shown, now or when the
 * session began, would be admitted now. */
bool tls_context_admits(struct tls_context *context, SSL *ssl);

#endif

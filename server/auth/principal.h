/* A principal: as whom a connection or a request comes, and what it may do. Anonymous is NULL; a
 * user has an ID and rights. Immutable once made, counted, and shared by all threads: connections
 * that came in by the same credential, with the same rights, refer to the same principal. How long
 * it is valid is each connection's own: see struct identity. */
#ifndef WS_SERVER_AUTH_PRINCIPAL_H
#define WS_SERVER_AUTH_PRINCIPAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PRINCIPAL_MAX_USER = 255,    /* bytes of a user's ID */
    PRINCIPAL_MAX_PATTERNS = 64, /* of one list of rights */
    PRINCIPAL_CREDENTIAL = 32,   /* bytes that name a key or a line of a file: SHA-256 */
};

#define PRINCIPAL_NEVER INT64_MAX /* it is valid for ever */

/* What a principal has come in by. */
enum principal_origin {
    PRINCIPAL_BY_TOKEN,       /* a line of the token file */
    PRINCIPAL_BY_JWT,         /* a signed token */
    PRINCIPAL_BY_CERTIFICATE, /* of TLS, for which a reload is TLS's own matter */
};

enum principal_right { PRINCIPAL_SUBSCRIBE, PRINCIPAL_PUBLISH, PRINCIPAL_RIGHTS };

struct principal {
    _Atomic unsigned _refs;
    enum principal_origin origin;
    bool rights_given; /* the credential itself says what it is good for; else the configuration's
                          [user NAME] says it */
    unsigned char credential[PRINCIPAL_CREDENTIAL]; /* what let it in: if a reload takes that away,
                                                       its connections end */
    char **patterns[PRINCIPAL_RIGHTS]; /* of channels, each list ended by NULL; or NULL: none */
    char user[];                       /* its ID, UTF-8 without control characters; "": none */
};

/* A principal and how long it is valid, as a request presents it. The principal is counted. */
struct identity {
    struct principal *principal; /* NULL: anonymous */
    int64_t expires;             /* seconds of the Unix epoch, or PRINCIPAL_NEVER */
};

/* A principal without rights and credential, with one reference. The user's ID is copied. Returns
 * 0, UV_EINVAL if it is too long or has control characters or is not UTF-8, or UV_ENOMEM. */
int principal_new(struct principal **principal, const char *user, size_t user_len);

/* Before it is shared: adds a pattern to one of its lists. Returns 0, UV_EINVAL if it is no
 * pattern, UV_E2BIG if there are too many, or UV_ENOMEM. */
int principal_allow(struct principal *principal, enum principal_right right, const char *pattern);

/* From any thread; NULL is fine. */
struct principal *principal_ref(struct principal *principal);
void principal_unref(struct principal *principal);

/* True if one of its patterns matches the channel (a valid name; "" is the default channel). */
bool principal_may(const struct principal *principal, enum principal_right right,
                   const char *channel);

/* An order of principals: 0 if both are the same user's, by the same credential, with the same
 * rights. */
int principal_compare(const struct principal *left, const struct principal *right);

#endif

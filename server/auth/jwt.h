/* Signed tokens (JWT, RFC 7519, as JWS in compact form, RFC 7515), verified by keys of the
 * operator's. What a token says about how it is to be verified (jwk, jku, x5u, x5c) is not looked
 * at; what it says must be understood (crit) is refused. */
#ifndef WS_SERVER_AUTH_JWT_H
#define WS_SERVER_AUTH_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/auth/jwt_key.h"
#include "server/auth/principal.h"

enum { JWT_MAX = 16 * 1024 /* bytes of a token */ };

struct jwt_policy {
    struct jwt_keys keys;
    const char *issuer;   /* that `iss` must be; NULL: any */
    const char *audience; /* that `aud` must name; NULL: any */
    unsigned leeway;      /* seconds by which clocks may differ */
    bool allow_no_expiry; /* `exp` may be missing */
};

/* Verifies a token at `now`, in seconds of the Unix epoch. Returns 0 with an identity, whose
 * principal is the caller's; UV_EACCES for what is no valid token, with `*why` (static, for the
 * client) saying what is wrong; or UV_ENOMEM. From any thread. */
int jwt_verify(const struct jwt_policy *policy, const char *token, size_t len, int64_t now,
               struct identity *identity, const char **why);

#endif

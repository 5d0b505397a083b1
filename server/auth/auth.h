/* The state of authentication: the tokens, keys and users that count, as a part of the
 * configuration. Immutable once loaded; the configuration owns it, and a reload makes another one.
 * Whoever has come in by something that a reload takes away is ended by a sweep (auth_renew).
 *
 * There is none where no source of credentials is configured: then no credential is looked at, and
 * a NULL in place of a struct auth is fine everywhere. All functions are for any thread. */
#ifndef WS_SERVER_AUTH_AUTH_H
#define WS_SERVER_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/auth/principal.h"
#include "server/broadcast/channel_settings.h"

struct auth;

/* Where credentials come from. All is borrowed for auth_load, but the strings behind it as well. */
struct auth_sources {
    const char *token_file;      /* NULL: there is none */
    const char *const *jwt_keys; /* names of files */
    size_t jwt_key_count;
    const char *jwt_issuer; /* NULL: any */
    const char *jwt_audience;
    uint64_t jwt_leeway; /* milliseconds */
    bool jwt_allow_no_expiry;
    const char *cookie;             /* the name of one that may bear a token; NULL: none */
    struct principal *const *users; /* the rights of those whose credential names none, by name */
    size_t user_count;
};

/* Reads the files. `*auth` becomes NULL where there are no sources. Returns 0, or a negative UV_E*
 * code; each error is told to `complain`. */
int auth_load(struct auth **auth, const struct auth_sources *sources,
              void (*complain)(void *context, const char *text), void *context);

/* Harmless with NULL. */
void auth_free(struct auth *auth);

/* The name of the cookie that may bear a token; NULL: none. */
const char *auth_cookie(const struct auth *auth);

/* Whose a token is, now. Returns 0 with an identity, whose principal is the caller's; UV_EACCES
 * with `*why` (static, for the client); or UV_ENOMEM. */
int auth_verify(const struct auth *auth, const char *token, struct identity *identity,
                const char **why);

/* The principal of one that has come in by an earlier configuration, with a reference for the
 * caller: another one where its rights have changed; NULL where what let it in is gone. */
struct principal *auth_renew(const struct auth *auth, struct principal *principal);

/* True if the identity may do this in the channel (a valid name; "" is the default one), where it
 * is for `who` to do it. Nothing is valid beyond its end. */
bool auth_may(const struct auth *auth, enum channel_who who, const struct identity *identity,
              enum principal_right right, const char *channel);

/* True if the identity's own rights allow that, wherever it is. */
bool auth_is_authorized(const struct auth *auth, const struct identity *identity,
                        enum principal_right right, const char *channel);

#endif

#include "server/auth/auth.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "server/auth/jwt.h"
#include "server/auth/token_file.h"

enum { MS = 1000 };

struct auth {
    struct token_file tokens;
    struct jwt_policy jwt;
    const char *cookie;
    struct principal **users; /* by name */
    size_t user_count;
};

/* ---- life ---- */

static int read_keys(struct auth *auth, const struct auth_sources *sources,
                     void (*complain)(void *context, const char *text), void *context)
{
    struct error error;
    int result = 0;

    for (size_t i = 0; i < sources->jwt_key_count; i++) {
        int status = jwt_keys_read(&auth->jwt.keys, sources->jwt_keys[i], &error);

        if (status != 0)
            complain(context, error.text);
        result = result != 0 ? result : status;
    }
    return result;
}

static int compare_users(const void *left, const void *right)
{
    return strcmp((*(struct principal *const *) left)->user,
                  (*(struct principal *const *) right)->user);
}

static int take_users(struct auth *auth, const struct auth_sources *sources)
{
    if (sources->user_count == 0)
        return 0;
    auth->users = calloc(sources->user_count, sizeof(struct principal *));
    if (auth->users == NULL)
        return UV_ENOMEM;
    for (size_t i = 0; i < sources->user_count; i++)
        auth->users[i] = principal_ref(sources->users[i]);
    auth->user_count = sources->user_count;
    qsort(auth->users, auth->user_count, sizeof(struct principal *), compare_users);
    return 0;
}

int auth_load(struct auth **auth, const struct auth_sources *sources,
              void (*complain)(void *context, const char *text), void *context)
{
    struct auth *fresh;
    int status = 0, keys;

    *auth = NULL;
    if (sources->token_file == NULL && sources->jwt_key_count == 0)
        return 0;
    fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        complain(context, "out of memory");
        return UV_ENOMEM;
    }
    fresh->jwt.issuer = sources->jwt_issuer;
    fresh->jwt.audience = sources->jwt_audience;
    fresh->jwt.leeway = (unsigned) (sources->jwt_leeway / MS);
    fresh->jwt.allow_no_expiry = sources->jwt_allow_no_expiry;
    fresh->cookie = sources->cookie;
    status = take_users(fresh, sources);
    if (status != 0)
        complain(context, "out of memory");
    else if (sources->token_file != NULL)
        status = token_file_read(&fresh->tokens, sources->token_file, complain, context);
    keys = read_keys(fresh, sources, complain, context);
    status = status != 0 ? status : keys;
    if (status == 0)
        *auth = fresh;
    else
        auth_free(fresh);
    return status;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    token_file_deinit(&auth->tokens);
    jwt_keys_deinit(&auth->jwt.keys);
    for (size_t i = 0; i < auth->user_count; i++)
        principal_unref(auth->users[i]);
    free(auth->users);
    free(auth);
}

const char *auth_cookie(const struct auth *auth)
{
    return auth != NULL ? auth->cookie : NULL;
}

/* ---- whose it is ---- */

int auth_verify(const struct auth *auth, const char *token, struct identity *identity,
                const char **why)
{
    size_t len = strlen(token);

    *identity = (struct identity){NULL, PRINCIPAL_NEVER};
    *why = "the token is not valid here";
    if (auth == NULL)
        return UV_EACCES;
    /* What has dots can only be a JWT, and what has none only a line's. */
    if (auth->jwt.keys.count > 0 && strchr(token, '.') != NULL)
        return jwt_verify(&auth->jwt, token, len, (int64_t) time(NULL), identity, why);
    identity->principal = token_file_find(&auth->tokens, token, len);
    return identity->principal != NULL ? 0 : UV_EACCES;
}

static bool has_key(const struct jwt_keys *keys, const unsigned char *digest)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->keys[i].digest, digest, sizeof keys->keys[i].digest) == 0)
            return true;
    }
    return false;
}

struct principal *auth_renew(const struct auth *auth, struct principal *principal)
{
    switch (principal->origin) {
    case PRINCIPAL_BY_CERTIFICATE:
        return principal_ref(principal);
    case PRINCIPAL_BY_JWT:
        if (auth != NULL && has_key(&auth->jwt.keys, principal->credential))
            return principal_ref(principal);
        break;
    case PRINCIPAL_BY_TOKEN:
        if (auth != NULL)
            return principal_ref(token_file_find_hash(&auth->tokens, principal->credential));
        break;
    }
    return NULL;
}

/* ---- what it may ---- */

/* Whose rights hold: those of the credential; if it names none, those of the user's section. NULL:
 * there are none. */
static const struct principal *rights_of(const struct auth *auth, struct principal *principal)
{
    struct principal **found;

    if (principal->rights_given)
        return principal;
    if (auth == NULL || auth->user_count == 0 || principal->user[0] == '\0')
        return NULL;
    found = bsearch(&principal, auth->users, auth->user_count, sizeof(struct principal *),
                    compare_users);
    return found != NULL ? *found : NULL;
}

bool auth_is_authorized(const struct auth *auth, const struct identity *identity,
                        enum principal_right right, const char *channel)
{
    return identity != NULL && identity->principal != NULL &&
           (identity->expires == PRINCIPAL_NEVER || (int64_t) time(NULL) < identity->expires) &&
           principal_may(rights_of(auth, identity->principal), right, channel);
}

bool auth_may(const struct auth *auth, enum channel_who who, const struct identity *identity,
              enum principal_right right, const char *channel)
{
    switch (who) {
    case CHANNEL_ANYONE:
        return true;
    case CHANNEL_AUTHORIZED:
        return auth_is_authorized(auth, identity, right, channel);
    case CHANNEL_NOBODY:
        break;
    }
    return false;
}

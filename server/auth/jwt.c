#include "server/auth/jwt.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <math.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/base64.h"

enum {
    MAX_SIGNATURE = 2048, /* bytes: of an RSA key of 16,384 bits */
    MOST_TRIES = 4, /* keys that are tried for a token without `kid`: each costs a verification */
};

#define MAX_TIME 9007199254740992.0 /* 2^53: what a number of JSON holds exactly (RFC 8259, 6) */

/* A token, taken apart; the parts are borrowed. */
struct parts {
    const char *token;
    size_t len;
    size_t header_len;
    size_t signed_len; /* of header and payload, with the dot between them */
};

/* ---- its form ---- */

static bool split(struct parts *parts)
{
    const char *first = memchr(parts->token, '.', parts->len), *second;
    size_t rest;

    if (parts->len > JWT_MAX || first == NULL)
        return false;
    rest = parts->len - (size_t) (first - parts->token) - 1;
    second = memchr(first + 1, '.', rest);
    if (second == NULL)
        return false;
    parts->header_len = (size_t) (first - parts->token);
    parts->signed_len = (size_t) (second - parts->token);
    rest = parts->len - parts->signed_len - 1;
    return memchr(second + 1, '.', rest) == NULL && rest > 0;
}

/* An object of JSON in base64url, without duplicate names; NULL if it is none. */
static json_t *load(const char *text, size_t len)
{
    unsigned char *bytes = malloc(JWT_MAX);
    json_t *object = NULL;
    json_error_t why;
    size_t bytes_len;

    if (bytes != NULL && base64url_decode(text, len, bytes, JWT_MAX, &bytes_len) == 0)
        object = json_loadb((const char *) bytes, bytes_len, JSON_REJECT_DUPLICATES, &why);
    free(bytes);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

/* ---- its signature ---- */

/* The signature is base64url, strictly: cjose takes padding, too. */
static bool signature_is_valid_text(const struct parts *parts)
{
    unsigned char bytes[MAX_SIGNATURE];
    size_t len;

    return base64url_decode(parts->token + parts->signed_len + 1,
                            parts->len - parts->signed_len - 1, bytes, sizeof bytes, &len) == 0;
}

static bool verify_ed25519(const struct jwt_key *key, const struct parts *parts)
{
    unsigned char signature[64 + 1];
    size_t len;
    EVP_MD_CTX *context;
    bool valid;

    if (base64url_decode(parts->token + parts->signed_len + 1, parts->len - parts->signed_len - 1,
                         signature, sizeof signature, &len) != 0)
        return false;
    context = EVP_MD_CTX_new();
    valid = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key->ed25519) == 1 &&
            EVP_DigestVerify(context, signature, len, (const unsigned char *) parts->token,
                             parts->signed_len) == 1;
    EVP_MD_CTX_free(context);
    return valid;
}

static bool verify_with(const struct jwt_key *key, const struct parts *parts)
{
    cjose_err why;
    cjose_jws_t *jws;
    bool valid = false;

    if (key->ed25519 != NULL) {
        valid = verify_ed25519(key, parts);
    } else {
        jws = cjose_jws_import(parts->token, parts->len, &why);
        valid = jws != NULL && cjose_jws_verify(jws, key->jwk, &why);
        if (jws != NULL)
            cjose_jws_release(jws);
    }
    ERR_clear_error();
    return valid;
}

/* The key that has signed it; NULL: none of ours, or it says so in a way that is not accepted. */
static const struct jwt_key *find_signer(const struct jwt_keys *keys, const struct parts *parts,
                                         const json_t *header)
{
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *kid = json_object_get(header, "kid");
    unsigned tries = 0;

    if (alg == NULL || !signature_is_valid_text(parts) || (kid != NULL && !json_is_string(kid)) ||
        json_object_get(header, "crit") != NULL || json_object_get(header, "b64") != NULL)
        return NULL;
    for (size_t i = 0; i < keys->count && tries < MOST_TRIES; i++) {
        const struct jwt_key *key = &keys->keys[i];

        if (!jwt_key_allows(key, alg) ||
            (kid != NULL && key->kid != NULL && strcmp(key->kid, json_string_value(kid)) != 0))
            continue;
        tries++;
        if (verify_with(key, parts))
            return key;
    }
    return NULL;
}

/* ---- its claims ---- */

/* A NumericDate (RFC 7519, 2). False if it is there and is none. */
static bool get_time(const json_t *claims, const char *name, bool *given, int64_t *seconds)
{
    const json_t *claim = json_object_get(claims, name);
    double value = json_number_value(claim);

    *given = claim != NULL;
    if (claim == NULL)
        return true;
    if (!json_is_number(claim) || !(value >= 0 && value <= MAX_TIME))
        return false;
    *seconds = (int64_t) floor(value);
    return true;
}

static const char *check_times(const struct jwt_policy *policy, const json_t *claims, int64_t now,
                               int64_t *expires)
{
    int64_t leeway = policy->leeway, begins = 0;
    bool given, begins_given;

    *expires = PRINCIPAL_NEVER;
    if (!get_time(claims, "exp", &given, expires))
        return "the token's 'exp' is not a time";
    if (!given && !policy->allow_no_expiry)
        return "the token has no 'exp'";
    if (given)
        *expires += leeway;
    if (now >= *expires)
        return "the token has expired";
    if (!get_time(claims, "nbf", &begins_given, &begins))
        return "the token's 'nbf' is not a time";
    return begins_given && now + leeway < begins ? "the token is not valid yet" : NULL;
}

/* `aud` is a string or a list of them (RFC 7519, 4.1.3). */
static bool has_audience(const json_t *claims, const char *audience)
{
    const json_t *claim = json_object_get(claims, "aud"), *one;
    size_t index;

    if (json_is_string(claim))
        return strcmp(json_string_value(claim), audience) == 0;
    json_array_foreach(claim, index, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), audience) == 0)
            return true;
    }
    return false;
}

static const char *check_parties(const struct jwt_policy *policy, const json_t *claims)
{
    const json_t *issuer = json_object_get(claims, "iss");

    if (policy->issuer != NULL &&
        (!json_is_string(issuer) || strcmp(json_string_value(issuer), policy->issuer) != 0))
        return "the token is of another issuer";
    if (policy->audience != NULL && !has_audience(claims, policy->audience))
        return "the token is for another audience";
    return NULL;
}

/* Adds the patterns of a claim. A selector of Mercure's is "*", for every topic, or a topic; its
 * URI templates are not understood here, and a token with one is refused, not taken for less. */
static int add_rights(struct principal *principal, enum principal_right right, const json_t *list,
                      bool mercure)
{
    const json_t *one;
    size_t index;
    int status = 0;

    if (list == NULL)
        return 0;
    if (!json_is_array(list))
        return UV_EINVAL;
    principal->rights_given = true;
    json_array_foreach(list, index, one)
    {
        const char *pattern = json_string_value(one);

        if (pattern == NULL || strlen(pattern) != json_string_length(one))
            return UV_EINVAL;
        if (mercure && strcmp(pattern, "*") == 0)
            pattern = "**";
        else if (mercure && strpbrk(pattern, "{}*") != NULL)
            return UV_EINVAL;
        status = principal_allow(principal, right, pattern);
        if (status != 0)
            return status == UV_ENOMEM ? UV_ENOMEM : UV_EINVAL;
    }
    return 0;
}

static int add_all_rights(struct principal *principal, const json_t *claims)
{
    static const char *const names[PRINCIPAL_RIGHTS] = {"subscribe", "publish"};
    const json_t *mercure = json_object_get(claims, "mercure");
    int status = mercure == NULL || json_is_object(mercure) ? 0 : UV_EINVAL;

    for (size_t i = 0; status == 0 && i < PRINCIPAL_RIGHTS; i++) {
        status = add_rights(principal, (enum principal_right) i, json_object_get(claims, names[i]),
                            false);
        if (status == 0)
            status = add_rights(principal, (enum principal_right) i,
                                json_object_get(mercure, names[i]), true);
    }
    return status;
}

static int make_principal(const json_t *claims, struct principal **principal, const char **why)
{
    const json_t *subject = json_object_get(claims, "sub");
    const char *user = json_is_string(subject) ? json_string_value(subject) : "";
    int status = UV_EINVAL;

    *why = "the token's 'sub' is not a user's name";
    if (subject == NULL || json_is_string(subject))
        status = principal_new(principal, user, json_string_length(subject));
    if (status != 0)
        return status == UV_ENOMEM ? UV_ENOMEM : UV_EACCES;
    *why = "the token's rights are not lists of channel patterns";
    status = add_all_rights(*principal, claims);
    if (status == 0)
        return 0;
    principal_unref(*principal);
    *principal = NULL;
    return status == UV_ENOMEM ? UV_ENOMEM : UV_EACCES;
}

/* ---- all of it ---- */

static int check_claims(const struct jwt_policy *policy, const json_t *claims, int64_t now,
                        struct identity *identity, const char **why)
{
    *why = check_times(policy, claims, now, &identity->expires);
    if (*why == NULL)
        *why = check_parties(policy, claims);
    return *why == NULL ? make_principal(claims, &identity->principal, why) : UV_EACCES;
}

int jwt_verify(const struct jwt_policy *policy, const char *token, size_t len, int64_t now,
               struct identity *identity, const char **why)
{
    struct parts parts = {.token = token, .len = len};
    const struct jwt_key *key;
    json_t *header, *claims;
    int status = UV_EACCES;

    *why = "it is not a signed JWT";
    if (!split(&parts))
        return UV_EACCES;
    header = load(token, parts.header_len);
    if (header == NULL)
        return UV_EACCES;
    *why = "no key of this server verifies the token";
    key = find_signer(&policy->keys, &parts, header);
    json_decref(header);
    if (key == NULL)
        return UV_EACCES;
    *why = "the token's claims are not a JSON object";
    claims = load(token + parts.header_len + 1, parts.signed_len - parts.header_len - 1);
    if (claims != NULL)
        status = check_claims(policy, claims, now, identity, why);
    json_decref(claims);
    if (status == 0)
        identity->principal->origin = PRINCIPAL_BY_JWT;
    if (status == 0)
        memcpy(identity->principal->credential, key->digest, sizeof key->digest);
    return status;
}

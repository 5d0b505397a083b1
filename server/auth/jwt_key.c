#include "server/auth/jwt_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/base64.h"
#include "server/config/small_file.h"

enum { MAX_COORDINATE = 66, MAX_MODULUS = 2048 /* bytes: 16,384 bits */ };

/* ---- what a key is good for ---- */

struct algorithm {
    const char *name;
    enum jwt_key_kind kind;
    size_t secret_len; /* bytes that a secret must have at least (RFC 7518, 3.2) */
};

static const struct algorithm algorithms[] = {
    {"HS256", JWT_KEY_SECRET, 32}, {"HS384", JWT_KEY_SECRET, 48}, {"HS512", JWT_KEY_SECRET, 64},
    {"RS256", JWT_KEY_RSA, 0},     {"RS384", JWT_KEY_RSA, 0},     {"RS512", JWT_KEY_RSA, 0},
    {"PS256", JWT_KEY_RSA, 0},     {"PS384", JWT_KEY_RSA, 0},     {"PS512", JWT_KEY_RSA, 0},
    {"ES256", JWT_KEY_P256, 0},    {"ES384", JWT_KEY_P384, 0},    {"ES512", JWT_KEY_P521, 0},
    {"EdDSA", JWT_KEY_ED25519, 0},
};

bool jwt_key_allows(const struct jwt_key *key, const char *alg)
{
    if (key->alg != NULL && strcmp(key->alg, alg) != 0)
        return false;
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        if (strcmp(algorithms[i].name, alg) == 0)
            return algorithms[i].kind == key->kind && key->secret_len >= algorithms[i].secret_len;
    }
    return false;
}

/* ---- one JWK ---- */

static bool kind_of_curve(const char *curve, enum jwt_key_kind *kind)
{
    static const struct {
        const char *name;
        enum jwt_key_kind kind;
    } curves[] = {{"P-256", JWT_KEY_P256}, {"P-384", JWT_KEY_P384}, {"P-521", JWT_KEY_P521}};

    for (size_t i = 0; curve != NULL && i < sizeof curves / sizeof *curves; i++) {
        if (strcmp(curves[i].name, curve) == 0) {
            *kind = curves[i].kind;
            return true;
        }
    }
    return false;
}

/* The bytes of a member in base64url; `*len` is at most `size`. */
static bool bytes_of(const json_t *jwk, const char *name, unsigned char *out, size_t size,
                     size_t *len)
{
    const json_t *member = json_object_get(jwk, name);

    return json_is_string(member) &&
           base64url_decode(json_string_value(member), json_string_length(member), out, size,
                            len) == 0;
}

/* Which bits the modulus has, leading zeros not counted. */
static size_t modulus_bits(const json_t *jwk)
{
    unsigned char modulus[MAX_MODULUS];
    size_t len, first = 0;

    if (!bytes_of(jwk, "n", modulus, sizeof modulus, &len))
        return 0;
    while (first < len && modulus[first] == 0)
        first++;
    for (int bit = 7; first < len && bit >= 0; bit--) {
        if ((modulus[first] >> bit & 1) != 0)
            return 8 * (len - first - 1) + (size_t) bit + 1;
    }
    return 0;
}

static int make_ed25519(struct jwt_key *key, const json_t *jwk, struct error *error)
{
    unsigned char bytes[33];
    size_t len;

    if (!bytes_of(jwk, "x", bytes, sizeof bytes, &len) || len != 32)
        return error_set(error, UV_EINVAL, "an Ed25519 key needs an 'x' of 32 bytes");
    key->ed25519 = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, len);
    ERR_clear_error();
    return key->ed25519 != NULL ? 0 : error_set(error, UV_EINVAL, "it is not an Ed25519 key");
}

/* The key in JSON without a private part: of an RSA or EC key only what is public. With what it
 * is restricted to (kid, alg), if `all` is set. The text is the caller's; NULL when out of memory.
 */
static char *dump(const json_t *jwk, bool all)
{
    static const char *const members[] = {"kty", "n", "e", "crv", "x", "y", "k", "kid", "alg"};
    size_t count = sizeof members / sizeof *members - (all ? 0 : 2);
    json_t *publicly = json_object();
    char *text;

    for (size_t i = 0; publicly != NULL && i < count; i++) {
        json_t *member = json_object_get(jwk, members[i]);

        if (member != NULL)
            (void) json_object_set(publicly, members[i], member);
    }
    text = publicly != NULL ? json_dumps(publicly, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(publicly);
    return text;
}

static void clear(char *text)
{
    OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* The key as cjose has it. */
static int make_jwk(struct jwt_key *key, const json_t *jwk, struct error *error)
{
    char *text = dump(jwk, false);
    cjose_err why;

    if (text == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    key->jwk = cjose_jwk_import(text, strlen(text), &why);
    ERR_clear_error();
    clear(text);
    return key->jwk != NULL ? 0 : error_set(error, UV_EINVAL, "it is not a valid key");
}

/* Fills in the key's digest. */
static int digest(struct jwt_key *key, const json_t *jwk, struct error *error)
{
    char *text = dump(jwk, true);

    if (text == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    SHA256((const unsigned char *) text, strlen(text), key->digest);
    clear(text);
    return 0;
}

static int copy_member(const json_t *jwk, const char *name, char **copy, struct error *error)
{
    const json_t *member = json_object_get(jwk, name);

    if (member == NULL)
        return 0;
    if (!json_is_string(member))
        return error_set(error, UV_EINVAL, "'%s' is not a string", name);
    *copy = strdup(json_string_value(member));
    return *copy != NULL ? 0 : error_set(error, UV_ENOMEM, "out of memory");
}

/* True for a key that is not for verifying, or of a type that is not known (RFC 7517, 5). */
static bool is_for_others(const json_t *jwk)
{
    const char *use = json_string_value(json_object_get(jwk, "use"));
    const char *type = json_string_value(json_object_get(jwk, "kty"));
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    enum jwt_key_kind kind;

    if (use != NULL && strcmp(use, "sig") != 0)
        return true;
    if (type == NULL)
        return false; /* which is an error */
    if (strcmp(type, "OKP") == 0)
        return curve != NULL && strcmp(curve, "Ed25519") != 0;
    if (strcmp(type, "EC") == 0)
        return curve != NULL && !kind_of_curve(curve, &kind);
    return strcmp(type, "RSA") != 0 && strcmp(type, "oct") != 0;
}

/* Finds out what it is, and checks that it is strong enough. */
static int check_kind(struct jwt_key *key, const json_t *jwk, struct error *error)
{
    const char *type = json_string_value(json_object_get(jwk, "kty"));
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    unsigned char secret[JWT_KEY_MAX_FILE / 64];

    if (type == NULL)
        return error_set(error, UV_EINVAL, "a key without 'kty'");
    if (strcmp(type, "oct") == 0) {
        key->kind = JWT_KEY_SECRET;
        if (!bytes_of(jwk, "k", secret, sizeof secret, &key->secret_len))
            return error_set(error, UV_EINVAL, "'k' is not base64url, or too long");
        OPENSSL_cleanse(secret, sizeof secret);
        return key->secret_len >= JWT_KEY_MIN_SECRET
                   ? 0
                   : error_set(error, UV_EINVAL,
                               "a secret of %zu bytes is too short: it needs %d or more",
                               key->secret_len, JWT_KEY_MIN_SECRET);
    }
    if (strcmp(type, "RSA") == 0) {
        key->kind = JWT_KEY_RSA;
        return modulus_bits(jwk) >= JWT_KEY_MIN_RSA
                   ? 0
                   : error_set(error, UV_EINVAL,
                               "an RSA key of %zu bits is too short: it needs %d or more",
                               modulus_bits(jwk), JWT_KEY_MIN_RSA);
    }
    if (strcmp(type, "OKP") == 0)
        key->kind = JWT_KEY_ED25519;
    else if (!kind_of_curve(curve, &key->kind))
        return error_set(error, UV_EINVAL, "an EC key without a known 'crv'");
    return 0;
}

static void deinit_key(struct jwt_key *key)
{
    free(key->kid);
    free(key->alg);
    if (key->jwk != NULL)
        (void) cjose_jwk_release(key->jwk);
    EVP_PKEY_free(key->ed25519);
}

/* Adds it to the set, unless it is for something else. */
static int add_jwk(struct jwt_keys *keys, const json_t *jwk, struct error *error)
{
    struct jwt_key key = {.kid = NULL};
    struct jwt_key *larger;
    int status;

    if (!json_is_object(jwk))
        return error_set(error, UV_EINVAL, "a key that is not an object");
    if (is_for_others(jwk))
        return 0;
    if (keys->count == JWT_KEY_MAX)
        return error_set(error, UV_E2BIG, "there are more than %d keys", JWT_KEY_MAX);
    status = check_kind(&key, jwk, error);
    if (status == 0)
        status = copy_member(jwk, "kid", &key.kid, error);
    if (status == 0)
        status = copy_member(jwk, "alg", &key.alg, error);
    if (status == 0)
        status = digest(&key, jwk, error);
    if (status == 0 && key.kind == JWT_KEY_ED25519)
        status = make_ed25519(&key, jwk, error);
    else if (status == 0)
        status = make_jwk(&key, jwk, error);
    larger = status == 0 ? realloc(keys->keys, (keys->count + 1) * sizeof *larger) : NULL;
    if (larger == NULL) {
        deinit_key(&key);
        return status != 0 ? status : error_set(error, UV_ENOMEM, "out of memory");
    }
    keys->keys = larger;
    keys->keys[keys->count++] = key;
    return 0;
}

/* ---- PEM becomes a JWK ---- */

static int set_bytes(json_t *jwk, const char *name, const unsigned char *bytes, size_t len)
{
    char *text = base64url_encode(bytes, len);
    int status = text != NULL ? json_object_set_new(jwk, name, json_string(text)) : -1;

    free(text);
    return status == 0 ? 0 : UV_ENOMEM;
}

/* A number of the key, of at least `len` bytes (RFC 7518, 6.2.1.2). */
static int set_number(json_t *jwk, const char *name, const EVP_PKEY *pkey, const char *parameter,
                      size_t len)
{
    unsigned char bytes[MAX_MODULUS];
    BIGNUM *number = NULL;
    int status = UV_EINVAL;

    if (EVP_PKEY_get_bn_param(pkey, parameter, &number) != 1)
        return UV_EINVAL;
    if (len == 0)
        len = (size_t) BN_num_bytes(number);
    if (len <= sizeof bytes && BN_bn2binpad(number, bytes, (int) len) == (int) len)
        status = set_bytes(jwk, name, bytes, len);
    BN_free(number);
    return status;
}

static int jwk_of_ec(json_t *jwk, const EVP_PKEY *pkey)
{
    static const struct {
        const char *group, *curve;
        size_t len;
    } curves[] = {
        {"prime256v1", "P-256", 32}, {"secp384r1", "P-384", 48}, {"secp521r1", "P-521", 66}};
    char group[64];
    size_t len;
    int status = UV_ENOTSUP;

    if (EVP_PKEY_get_group_name(pkey, group, sizeof group, &len) != 1)
        return UV_ENOTSUP;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        if (strcmp(curves[i].group, group) != 0)
            continue;
        status = json_object_set_new(jwk, "crv", json_string(curves[i].curve)) == 0 ? 0 : UV_ENOMEM;
        if (status == 0)
            status = set_number(jwk, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X, curves[i].len);
        if (status == 0)
            status = set_number(jwk, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y, curves[i].len);
    }
    return status;
}

static int jwk_of_ed25519(json_t *jwk, const EVP_PKEY *pkey)
{
    unsigned char bytes[32];
    size_t len = sizeof bytes;

    if (EVP_PKEY_get_raw_public_key(pkey, bytes, &len) != 1 ||
        json_object_set_new(jwk, "crv", json_string("Ed25519")) != 0)
        return UV_EINVAL;
    return set_bytes(jwk, "x", bytes, len);
}

static int add_public_key(struct jwt_keys *keys, const EVP_PKEY *pkey, struct error *error)
{
    json_t *jwk = json_object();
    const char *type = "RSA";
    int status;

    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        status = set_number(jwk, "n", pkey, OSSL_PKEY_PARAM_RSA_N, 0);
        if (status == 0)
            status = set_number(jwk, "e", pkey, OSSL_PKEY_PARAM_RSA_E, 0);
        break;
    case EVP_PKEY_EC:
        type = "EC";
        status = jwk_of_ec(jwk, pkey);
        break;
    case EVP_PKEY_ED25519:
        type = "OKP";
        status = jwk_of_ed25519(jwk, pkey);
        break;
    default:
        status = UV_ENOTSUP;
    }
    if (status == 0 && json_object_set_new(jwk, "kty", json_string(type)) != 0)
        status = UV_ENOMEM;
    if (status != 0)
        (void) error_set(error, status,
                         "it is a key of a kind that tokens are not signed with here: use RSA, "
                         "P-256, P-384, P-521 or Ed25519");
    else
        status = add_jwk(keys, jwk, error);
    json_decref(jwk);
    return status;
}

static int add_pem(struct jwt_keys *keys, const char *text, size_t len, struct error *error)
{
    BIO *bio = BIO_new_mem_buf(text, (int) len);
    EVP_PKEY *pkey = NULL;
    int status;

    if (strstr(text, "PRIVATE KEY-----") != NULL) {
        BIO_free(bio);
        return error_set(error, UV_EINVAL,
                         "it has a private key, which verifies nothing and does not belong here: "
                         "give the public one (openssl pkey -pubout)");
    }
    if (bio != NULL && strstr(text, "-----BEGIN CERTIFICATE-----") != NULL) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

        pkey = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
        X509_free(certificate);
    } else if (bio != NULL) {
        pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (pkey == NULL)
        return error_set(error, UV_EINVAL,
                         "it is neither a PEM public key nor a certificate that can be read");
    status = add_public_key(keys, pkey, error);
    EVP_PKEY_free(pkey);
    return status;
}

/* ---- a file ---- */

static int add_json(struct jwt_keys *keys, const char *text, size_t len, struct error *error)
{
    json_error_t why;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    json_t *set = json_object_get(root, "keys"), *jwk;
    size_t index;
    int status = 0;

    if (root == NULL)
        return error_set(error, UV_EINVAL, "line %d: it is not JSON: %s", why.line, why.text);
    if (set == NULL)
        status = add_jwk(keys, root, error);
    else if (!json_is_array(set))
        status = error_set(error, UV_EINVAL, "'keys' is not a list");
    json_array_foreach(set, index, jwk)
    {
        struct error reason;

        if (status == 0) {
            status = add_jwk(keys, jwk, &reason);
            if (status != 0)
                (void) error_set(error, status, "key %zu: %s", index + 1, reason.text);
        }
    }
    json_decref(root);
    return status;
}

static int add_secret(struct jwt_keys *keys, const char *text, size_t len, struct error *error)
{
    json_t *jwk = json_object();
    int status;

    if (len > 0 && text[len - 1] == '\n')
        len--;
    status = set_bytes(jwk, "k", (const unsigned char *) text, len);
    if (status == 0 && json_object_set_new(jwk, "kty", json_string("oct")) != 0)
        status = UV_ENOMEM;
    if (status != 0)
        (void) error_set(error, status, "out of memory");
    else
        status = add_jwk(keys, jwk, error);
    json_decref(jwk);
    return status;
}

int jwt_keys_read(struct jwt_keys *keys, const char *path, struct error *error)
{
    size_t len, before = keys->count;
    struct error why;
    char *text;
    int status = small_file_read(path, JWT_KEY_MAX_FILE, &text, &len, error);

    if (status != 0)
        return status;
    if (text[strspn(text, " \t\r\n")] == '{')
        status = add_json(keys, text, len, &why);
    else if (strstr(text, "-----BEGIN ") != NULL)
        status = add_pem(keys, text, len, &why);
    else
        status = add_secret(keys, text, len, &why);
    if (status == 0 && keys->count == before)
        status = error_set(&why, UV_EINVAL, "it has no key that verifies signatures");
    OPENSSL_cleanse(text, len);
    free(text);
    return status == 0 ? 0 : error_set(error, status, "%s: %s", path, why.text);
}

void jwt_keys_deinit(struct jwt_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        deinit_key(&keys->keys[i]);
    free(keys->keys);
    *keys = (struct jwt_keys){.count = 0};
}

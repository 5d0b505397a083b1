#include "client/connect/request.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "client/connect/header_fields.h"
#include "common/base/base64.h"
#include "common/http/secret.h"

enum { SECRET_MAX = 8 * 1024 }; /* bytes of credentials: no server takes a longer head */

/* ---- subprotocols ---- */

int request_add_subprotocol(struct client_options *options, const char *argument,
                            struct error *error)
{
    const struct string_list *known = &options->subprotocols;
    size_t len = strlen(argument);
    bool secret = secret_is_subprotocol(argument, len);
    const char *shown = secret ? "***" : argument;

    if (len == 0 || header_fields_token(argument) != len)
        return error_set(error, UV_EINVAL, "'%s' is not a token: letters, digits and -._~ will do",
                         shown);
    for (size_t i = 0; i < known->count; i++) {
        if (strcmp(known->items[i], argument) == 0)
            return error_set(error, UV_EINVAL, "'%s' is given twice", shown);
    }
    if (string_list_add(&options->subprotocols, argument, len) != 0 ||
        (!secret && string_list_add(&options->public_subprotocols, argument, len) != 0))
        return error_set(error, UV_ENOMEM, "out of memory");
    return 0;
}

/* ---- credentials ---- */

static int cannot_read(const char *name, int status, struct error *error)
{
    (void) error_set(error, status, "cannot read '%s': %s", name, uv_strerror(status));
    return status;
}

int request_read_secret(char **secret, const char *name, struct error *error)
{
    FILE *file = fopen(name, "re");
    char text[SECRET_MAX];
    size_t len;
    bool failed;

    if (file == NULL)
        return cannot_read(name, uv_translate_sys_error(errno), error);
    (void) setvbuf(file, NULL, _IONBF, 0); /* no copy of it is left behind */
    len = fread(text, 1, sizeof text - 1, file);
    failed = ferror(file) != 0;
    (void) fclose(file);
    text[len] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    *secret = strdup(text);
    explicit_bzero(text, sizeof text);
    if (failed)
        return cannot_read(name, UV_EIO, error);
    return *secret != NULL ? 0 : error_set(error, UV_ENOMEM, "out of memory");
}

char *request_basic(const char *user)
{
    static const char scheme[] = "Basic ";
    size_t len = strlen(user);
    char *value = malloc(sizeof scheme + base64_size(len));

    if (value == NULL)
        return NULL;
    memcpy(value, scheme, sizeof scheme);
    (void) EVP_EncodeBlock((unsigned char *) value + sizeof scheme - 1,
                           (const unsigned char *) user, (int) len);
    return value;
}

/* `where` says where it comes from. */
static int make_basic(char **authorization, const char *user, const char *where,
                      struct error *error)
{
    if (strchr(user, ':') == NULL || !header_fields_value_valid(user) || strlen(user) >= SECRET_MAX)
        return error_set(error, UV_EINVAL, "%s: credentials are written USER:PASSWORD", where);
    *authorization = request_basic(user);
    return *authorization != NULL ? 0 : error_set(error, UV_ENOMEM, "out of memory");
}

int request_make_bearer(char **authorization, const char *token, const char *where,
                        struct error *error)
{
    size_t len = strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789-._~+/=");

    if (len == 0 || token[len] != '\0' || len >= SECRET_MAX)
        return error_set(error, UV_EINVAL,
                         "%s: a bearer token is letters, digits and -._~+/=, and nothing else",
                         where);
    if (asprintf(authorization, "Bearer %s", token) >= 0)
        return 0;
    *authorization = NULL;
    return error_set(error, UV_ENOMEM, "out of memory");
}

static int load_file(char **authorization, const char *name, bool bearer, struct error *error)
{
    char *secret = NULL;
    int status = request_read_secret(&secret, name, error);

    if (secret == NULL)
        return status;
    if (status == 0 && bearer)
        status = request_make_bearer(authorization, secret, name, error);
    else if (status == 0)
        status = make_basic(authorization, secret, name, error);
    explicit_bzero(secret, strlen(secret));
    free(secret);
    return status;
}

int request_reload_credentials(char **authorization, const struct client_options *options,
                               struct error *error)
{
    *authorization = NULL;
    if (options->user_file != NULL)
        return load_file(authorization, options->user_file, false, error);
    if (options->bearer_file != NULL)
        return load_file(authorization, options->bearer_file, true, error);
    return 0;
}

static int find_credentials(char **authorization, const struct client_options *options,
                            const struct url *url, struct error *error)
{
    const char *token = getenv("WSRECV_TOKEN");

    *authorization = NULL;
    if (options->user != NULL)
        return make_basic(authorization, options->user, "option '--user'", error);
    if (options->token_command != NULL)
        return 0;
    if (options->user_file != NULL || options->bearer_file != NULL)
        return request_reload_credentials(authorization, options, error);
    if (header_fields_have(&options->fields, "Authorization") ||
        header_fields_remove(&options->fields, "Authorization"))
        return 0;
    if (url->user != NULL)
        return make_basic(authorization, url->user, "the URL", error);
    if (token != NULL && *token != '\0')
        return request_make_bearer(authorization, token, "WSRECV_TOKEN", error);
    return 0;
}

int request_load_credentials(char **authorization, const struct client_options *options,
                             const struct url *url, struct error *error)
{
    int status = find_credentials(authorization, options, url, error);

    (void) unsetenv("WSRECV_TOKEN"); /* the commands of --exec inherit the environment */
    return status;
}

/* ---- the request ---- */

bool request_has_credentials(const struct client_handshake_request *request)
{
    static const char name[] = "Authorization:";

    if (request->authorization != NULL)
        return true;
    for (size_t i = 0; i < request->field_count; i++) {
        if (strncasecmp(request->fields[i], name, sizeof name - 1) == 0)
            return true;
    }
    for (size_t i = 0; i < request->subprotocol_count; i++) {
        if (secret_is_subprotocol(request->subprotocols[i], strlen(request->subprotocols[i])))
            return true;
    }
    return false;
}

/* `fields` in place of what wsrecv would say itself. */
static void add_fields(struct client_handshake_request *request, const struct header_fields *fields)
{
    request->fields = (const char *const *) fields->lines.items;
    request->field_count = fields->lines.count;
    if (fields->host != NULL)
        request->authority = fields->host;
    if (header_fields_have(fields, "User-Agent") || header_fields_remove(fields, "User-Agent"))
        request->user_agent = NULL;
    if (header_fields_have(fields, "Origin") || header_fields_remove(fields, "Origin"))
        request->origin = NULL;
}

struct client_handshake_request request_for(const struct client_options *options,
                                            const struct url *url,
                                            const struct request_secrets *secrets)
{
    bool trusted = secrets->trusted;
    const struct string_list *subprotocols =
        trusted ? &options->subprotocols : &options->public_subprotocols;
    struct client_handshake_request request = {
        .authority = url->authority,
        .target = url->target,
        .user_agent = options->user_agent,
        .origin = options->origin,
        .cookies = secrets->cookies,
        .server_name = trusted && options->sni != NULL ? options->sni : url->host,
        .subprotocols = (const char *const *) subprotocols->items,
        .subprotocol_count = subprotocols->count,
        .events = url->events,
        .compression = !options->no_compression,
    };

    if (url->events)
        request.subprotocol_count = 0;
    if (!trusted) {
        request.withheld = secrets->authorization != NULL || secrets->fields->lines.count > 0 ||
                           subprotocols->count < options->subprotocols.count;
        return request;
    }
    request.authorization = secrets->authorization;
    add_fields(&request, secrets->fields);
    return request;
}

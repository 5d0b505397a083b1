#include "client/connect/request.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/http/secret.h"

enum { SECRET_MAX = 8 * 1024 }; /* bytes of credentials: no server takes a longer head */

/* ---- header fields ---- */

/* RFC 9110, 5.6.2 */
static size_t token_len(const char *text)
{
    return strspn(text, "!#$%&'*+-.^_`|~0123456789"
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

bool request_value_valid(const char *value)
{
    for (; *value != '\0'; value++) {
        if (((unsigned char) *value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    }
    return true;
}

bool request_has_field(const struct string_list *fields, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < fields->count; i++) {
        if (strncasecmp(fields->items[i], name, len) == 0 && fields->items[i][len] == ':')
            return true;
    }
    return false;
}

/* Fields that make the handshake what it is, or say where the request ends. */
static bool is_own(const char *name, size_t len)
{
    static const char *const own[] = {
        "Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Expect",
    };
    static const char prefix[] = "Sec-WebSocket-";

    if (len >= sizeof prefix - 1 && strncasecmp(name, prefix, sizeof prefix - 1) == 0)
        return true;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strlen(own[i]) == len && strncasecmp(name, own[i], len) == 0)
            return true;
    }
    return false;
}

/* The value may be secret: no message shows it. */
static int add_line(struct string_list *fields, const char *line, struct error *error)
{
    size_t name = token_len(line);

    if (name == 0 || line[name] != ':')
        return error_set(error, UV_EINVAL, "a header field is written NAME: VALUE");
    if (!request_value_valid(line))
        return error_set(error, UV_EINVAL, "the field '%.*s' has a control character", (int) name,
                         line);
    if (strncasecmp(line, "Last-Event-ID:", strlen("Last-Event-ID:")) == 0)
        return error_set(error, UV_EINVAL, "the field 'Last-Event-ID' is what --since ID is for");
    if (is_own(line, name))
        return error_set(error, UV_EINVAL, "the field '%.*s' is the opening handshake's own",
                         (int) name, line);
    if (strncasecmp(line, "Authorization:", strlen("Authorization:")) == 0 &&
        request_has_field(fields, "Authorization"))
        return error_set(error, UV_EINVAL, "the field 'Authorization' is given twice");
    if (string_list_add(fields, line, strlen(line)) != 0)
        return error_set(error, UV_ENOMEM, "out of memory");
    return 0;
}

static int cannot_read(const char *name, int status, struct error *error)
{
    (void) error_set(error, status, "cannot read '%s': %s", name, uv_strerror(status));
    return status;
}

static int add_file(struct string_list *fields, const char *name, struct error *error)
{
    FILE *file = fopen(name, "re");
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int status = 0;

    if (file == NULL)
        return cannot_read(name, uv_translate_sys_error(errno), error);
    while (status == 0 && (len = getline(&line, &size, file)) >= 0) {
        if (len > 0 && line[len - 1] == '\n')
            line[--len] = '\0';
        if (len > 0 && line[len - 1] == '\r') /* as some editors end their lines */
            line[--len] = '\0';
        if (strlen(line) != (size_t) len)
            status = error_set(error, UV_EINVAL, "'%s' has a NUL byte", name);
        else if (len > 0)
            status = add_line(fields, line, error);
    }
    if (status == 0 && ferror(file) != 0)
        status = cannot_read(name, UV_EIO, error);
    free(line);
    (void) fclose(file);
    return status;
}

/* The rest of a line that was not quoted is an argument of its own, and is taken for a URL. */
static int add_argument(struct string_list *fields, const char *line, struct error *error)
{
    size_t name = token_len(line);

    if (name > 0 && line[name] == ':' && line[name + 1 + strspn(line + name + 1, " \t")] == '\0')
        return error_set(error, UV_EINVAL,
                         "the field '%.*s' has no value: quote all of it, as in 'NAME: VALUE'",
                         (int) name, line);
    return add_line(fields, line, error);
}

int request_add_field(struct string_list *fields, const char *argument, struct error *error)
{
    return *argument == '@' ? add_file(fields, argument + 1, error)
                            : add_argument(fields, argument, error);
}

int request_add_subprotocol(struct client_options *options, const char *argument,
                            struct error *error)
{
    const struct string_list *known = &options->subprotocols;
    size_t len = strlen(argument);
    bool secret = secret_is_subprotocol(argument, len);
    const char *shown = secret ? "***" : argument;

    if (len == 0 || token_len(argument) != len)
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

/* The first line of a file, or all that can be read of it before the limit. */
static int read_secret(char **secret, const char *name, struct error *error)
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
    char *value = malloc(sizeof scheme + (len + 2) / 3 * 4);

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
    if (strchr(user, ':') == NULL || !request_value_valid(user) || strlen(user) >= SECRET_MAX)
        return error_set(error, UV_EINVAL, "%s: credentials are written USER:PASSWORD", where);
    *authorization = request_basic(user);
    return *authorization != NULL ? 0 : error_set(error, UV_ENOMEM, "out of memory");
}

/* RFC 6750, 2.1 */
static int make_bearer(char **authorization, const char *token, const char *where,
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
    int status = read_secret(&secret, name, error);

    if (secret == NULL)
        return status;
    if (status == 0 && bearer)
        status = make_bearer(authorization, secret, name, error);
    else if (status == 0)
        status = make_basic(authorization, secret, name, error);
    explicit_bzero(secret, strlen(secret));
    free(secret);
    return status;
}

static int find_credentials(char **authorization, const struct client_options *options,
                            const struct url *url, struct error *error)
{
    const char *token = getenv("WSRECV_TOKEN");

    *authorization = NULL;
    if (options->user != NULL)
        return make_basic(authorization, options->user, "option '--user'", error);
    if (options->user_file != NULL)
        return load_file(authorization, options->user_file, false, error);
    if (options->bearer_file != NULL)
        return load_file(authorization, options->bearer_file, true, error);
    if (request_has_field(&options->fields, "Authorization"))
        return 0;
    if (url->user != NULL)
        return make_basic(authorization, url->user, "the URL", error);
    if (token != NULL && *token != '\0')
        return make_bearer(authorization, token, "WSRECV_TOKEN", error);
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

struct client_handshake_request request_for(const struct client_options *options,
                                            const struct url *url, const char *authorization,
                                            bool trusted)
{
    const struct string_list *subprotocols =
        trusted ? &options->subprotocols : &options->public_subprotocols;
    struct client_handshake_request request = {
        .authority = url->authority,
        .target = url->target,
        .user_agent = options->user_agent,
        .origin = options->origin,
        .subprotocols = (const char *const *) subprotocols->items,
        .subprotocol_count = subprotocols->count,
        .compression = !options->no_compression,
    };

    if (!trusted) {
        request.withheld = authorization != NULL || options->fields.count > 0 ||
                           subprotocols->count < options->subprotocols.count;
        return request;
    }
    request.authorization = authorization;
    request.fields = (const char *const *) options->fields.items;
    request.field_count = options->fields.count;
    if (request_has_field(&options->fields, "User-Agent"))
        request.user_agent = NULL;
    if (request_has_field(&options->fields, "Origin"))
        request.origin = NULL;
    return request;
}

#include "client/connect/header_fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

size_t header_fields_token(const char *text)
{
    return strspn(text, "!#$%&'*+-.^_`|~0123456789"
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

bool header_fields_value_valid(const char *value)
{
    for (; *value != '\0'; value++) {
        if (((unsigned char) *value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    }
    return true;
}

bool header_fields_have(const struct header_fields *fields, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < fields->lines.count; i++) {
        const char *line = fields->lines.items[i];

        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return true;
    }
    return false;
}

bool header_fields_remove(const struct header_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->removed.count; i++) {
        if (strcasecmp(fields->removed.items[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_named(const char *line, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(line, name, len) == 0;
}

/* Fields that make the handshake what it is, or say where the request ends. */
static bool is_own(const char *name, size_t len)
{
    static const char *const own[] = {
        "Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Expect",
    };
    static const char prefix[] = "Sec-WebSocket-";

    if (len >= sizeof prefix - 1 && strncasecmp(name, prefix, sizeof prefix - 1) == 0)
        return true;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (is_named(name, len, own[i]))
            return true;
    }
    return false;
}

/* Checks a field by its name, which ends `len` bytes on. The value may be secret: no message shows
 * it. */
static int check(const struct header_fields *fields, const char *line, size_t len,
                 struct error *error)
{
    bool host = is_named(line, len, "Host");

    if (!header_fields_value_valid(line))
        return error_set(error, UV_EINVAL, "the field '%.*s' has a control character", (int) len,
                         line);
    if (is_named(line, len, "Last-Event-ID"))
        return error_set(error, UV_EINVAL, "the field 'Last-Event-ID' is what --since ID is for");
    if (is_own(line, len))
        return error_set(error, UV_EINVAL, "the field '%.*s' is the opening handshake's own",
                         (int) len, line);
    if ((host && fields->host != NULL) ||
        (is_named(line, len, "Authorization") && header_fields_have(fields, "Authorization")))
        return error_set(error, UV_EINVAL, "the field '%.*s' is given twice", (int) len, line);
    return 0;
}

static int add_empty(struct header_fields *fields, const char *line, size_t len)
{
    char *empty = NULL;
    int status;

    if (asprintf(&empty, "%.*s:", (int) len, line) < 0)
        return UV_ENOMEM;
    status = string_list_add(&fields->lines, empty, len + 1);
    free(empty);
    return status;
}

static int store(struct header_fields *fields, const char *line, size_t len, struct error *error)
{
    const char *value = line + len + 1;
    int status;

    value += strspn(value, " \t");
    if (line[len] == ';' || *value == '\0') {
        if (is_named(line, len, "Host"))
            return error_set(error, UV_EINVAL, "the field 'Host' needs a value");
        status = line[len] == ';' ? add_empty(fields, line, len)
                                  : string_list_add(&fields->removed, line, len);
    } else if (is_named(line, len, "Host")) {
        fields->host = strdup(value);
        status = fields->host != NULL ? 0 : UV_ENOMEM;
    } else {
        status = string_list_add(&fields->lines, line, strlen(line));
    }
    return status == 0 ? 0 : error_set(error, status, "out of memory");
}

static int add_line(struct header_fields *fields, const char *line, struct error *error)
{
    size_t len = header_fields_token(line);
    int status;

    if (len == 0 || (line[len] != ':' && (line[len] != ';' || line[len + 1] != '\0')))
        return error_set(error, UV_EINVAL, "a header field is written NAME: VALUE");
    status = check(fields, line, len, error);
    return status == 0 ? store(fields, line, len, error) : status;
}

/* ---- files ---- */

static int cannot_read(const char *name, int status, struct error *error)
{
    return error_set(error, status, "cannot read '%s': %s", name, uv_strerror(status));
}

/* Adds a line of a file, which is changed. */
static int take_line(struct string_list *lines, char *line, size_t len, const char *name,
                     struct error *error)
{
    if (len > 0 && line[len - 1] == '\n')
        line[--len] = '\0';
    if (len > 0 && line[len - 1] == '\r') /* as some editors end their lines */
        line[--len] = '\0';
    if (strlen(line) != len)
        return error_set(error, UV_EINVAL, "'%s' has a NUL byte", name);
    if (len == 0 || *line == '#')
        return 0;
    if (string_list_add(lines, line, len) != 0)
        return error_set(error, UV_ENOMEM, "out of memory");
    return 0;
}

int header_fields_read(struct string_list *arguments, FILE *file, const char *name,
                       struct error *error)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int status = 0;

    while (status == 0 && (len = getline(&line, &size, file)) >= 0)
        status = take_line(arguments, line, (size_t) len, name, error);
    if (status == 0 && ferror(file) != 0)
        status = cannot_read(name, UV_EIO, error);
    if (line != NULL)
        explicit_bzero(line, size);
    free(line);
    return status;
}

static int add_file(struct header_fields *fields, const char *name, struct error *error)
{
    FILE *file = fopen(name, "re");
    struct string_list lines = {0};
    int status;

    if (file == NULL)
        return cannot_read(name, uv_translate_sys_error(errno), error);
    status = header_fields_read(&lines, file, name, error);
    (void) fclose(file);
    for (size_t i = 0; status == 0 && i < lines.count; i++)
        status = add_line(fields, lines.items[i], error);
    string_list_deinit(&lines);
    return status;
}

/* The rest of a line that was not quoted is an argument of its own, and is taken for a URL. So an
 * argument without a value is for fields that wsrecv sends by itself, and that bear no secrets. */
static bool is_cut(const char *line)
{
    static const char *const ours[] = {"User-Agent", "Origin", "Accept", "Cache-Control", "Host"};
    size_t len = header_fields_token(line);

    if (len == 0 || line[len] != ':' || line[len + 1 + strspn(line + len + 1, " \t")] != '\0')
        return false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (is_named(line, len, ours[i]))
            return false;
    }
    return true;
}

int header_fields_add(struct header_fields *fields, const char *argument, struct error *error)
{
    if (*argument == '@')
        return add_file(fields, argument + 1, error);
    if (is_cut(argument))
        return error_set(error, UV_EINVAL,
                         "the field '%.*s' has no value: quote all of it, as in 'NAME: VALUE'; "
                         "'NAME;' is one without a value",
                         (int) header_fields_token(argument), argument);
    return add_line(fields, argument, error);
}

int header_fields_load(struct header_fields *fields, const struct string_list *arguments,
                       struct error *error)
{
    struct header_fields fresh = {.host = NULL};
    int status = 0;

    for (size_t i = 0; status == 0 && i < arguments->count; i++)
        status = header_fields_add(&fresh, arguments->items[i], error);
    if (status != 0) {
        header_fields_deinit(&fresh);
        return status;
    }
    header_fields_deinit(fields);
    *fields = fresh;
    return 0;
}

void header_fields_deinit(struct header_fields *fields)
{
    string_list_deinit(&fields->lines);
    string_list_deinit(&fields->removed);
    free(fields->host);
    fields->host = NULL;
}

#include "client/options/option_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

#include "client/connect/proxy.h"
#include "client/connect/request.h"
#include "client/options/client_options.h"
#include "client/resume/position.h"
#include "common/base/decimal.h"
#include "common/base/utf8.h"

enum { MAX_REASON = 123 }; /* bytes (RFC 6455, 5.5) */

/* Standard input is for one option. */
static int take_stdin(struct client_options *options, const char *name, struct error *error)
{
    if (options->stdin_for != NULL)
        return error_set(error, UV_EINVAL, "standard input is for '%s' already",
                         options->stdin_for);
    options->stdin_for = name;
    return 0;
}

int option_store_message(void *target, const char *argument, struct error *error)
{
    return message_list_add(&((struct client_options *) target)->messages, argument, error);
}

int option_store_message_file(void *target, const char *argument, struct error *error)
{
    struct client_options *options = target;

    if (strcmp(argument, "-") == 0 && take_stdin(options, "--message-file", error) != 0)
        return UV_EINVAL;
    return message_list_add_file(&options->messages, argument, error);
}

/* Standard input is read once, and its lines are arguments. */
static int read_headers(struct client_options *options, struct error *error)
{
    if (take_stdin(options, "--header @-", error) != 0)
        return UV_EINVAL;
    return header_fields_read(&options->headers, stdin, "-", error);
}

int option_store_field(void *target, const char *argument, struct error *error)
{
    struct client_options *options = target;
    size_t first = options->headers.count;
    int status = 0;

    if (strcmp(argument, "@-") == 0)
        status = read_headers(options, error);
    else if (string_list_add(&options->headers, argument, strlen(argument)) != 0)
        status = error_set(error, UV_ENOMEM, "out of memory");
    for (size_t i = first; status == 0 && i < options->headers.count; i++)
        status = header_fields_add(&options->fields, options->headers.items[i], error);
    return status;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* RFC 3986, 2.1. `out` has room for 3 times `len` bytes; returns its end. */
static char *encode(char *out, const char *text, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t) text[i];

        if (is_unreserved(text[i])) {
            *out++ = text[i];
            continue;
        }
        *out++ = '%';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
    }
    return out;
}

/* RFC 6455, 7.4: what an endpoint may send. */
static bool is_close_code(uint64_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

int option_store_close(void *target, const char *argument, struct error *error)
{
    struct client_options *options = target;
    size_t digits = strcspn(argument, ":");
    const char *reason = argument[digits] == ':' ? argument + digits + 1 : "";
    uint64_t code;

    if (!decimal_parse(argument, digits, UINT16_MAX, &code) || !is_close_code(code))
        return error_set(error, UV_EINVAL,
                         "'%.*s' is not a code to close with: 1000 to 1003, 1007 to 1014, 3000 to "
                         "4999",
                         (int) digits, argument);
    if (strlen(reason) > MAX_REASON || !utf8_valid((const uint8_t *) reason, strlen(reason)))
        return error_set(error, UV_EINVAL, "the reason must be UTF-8 of at most %d bytes",
                         MAX_REASON);
    options->close_code = (unsigned) code;
    options->close_reason = reason;
    return 0;
}

int option_store_query(void *target, const char *argument, struct error *error)
{
    struct client_options *options = target;
    size_t name = strcspn(argument, "=");
    size_t len = strlen(argument);
    char *encoded, *end;
    int status;

    if (name == 0 || name == len)
        return error_set(error, UV_EINVAL, "a parameter is written NAME=VALUE");
    encoded = malloc(3 * len);
    if (encoded == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    end = encode(encoded, argument, name);
    *end++ = '=';
    end = encode(end, argument + name + 1, len - name - 1);
    status = string_list_add(&options->queries, encoded, (size_t) (end - encoded));
    free(encoded);
    return status == 0 ? 0 : error_set(error, status, "out of memory");
}

int option_store_event(void *target, const char *argument, struct error *error)
{
    struct client_options *options = target;

    if (string_list_add(&options->events, argument, strlen(argument)) != 0)
        return error_set(error, UV_ENOMEM, "out of memory");
    return 0;
}

int option_store_sni(void *target, const char *argument, struct error *error)
{
    size_t len = strspn(argument, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._");

    if (len == 0 || len > 253 || argument[len] != '\0')
        return error_set(error, UV_EINVAL, "'%s' is not the name of a host", argument);
    ((struct client_options *) target)->sni = argument;
    return 0;
}

int option_store_subprotocol(void *target, const char *argument, struct error *error)
{
    return request_add_subprotocol(target, argument, error);
}

static int store_value(const char **member, const char *argument, struct error *error)
{
    if (!header_fields_value_valid(argument))
        return error_set(error, UV_EINVAL, "a header field has no control characters");
    *member = argument;
    return 0;
}

int option_store_origin(void *target, const char *argument, struct error *error)
{
    return store_value(&((struct client_options *) target)->origin, argument, error);
}

int option_store_user_agent(void *target, const char *argument, struct error *error)
{
    return store_value(&((struct client_options *) target)->user_agent, argument, error);
}

int option_store_resolve(void *target, const char *argument, struct error *error)
{
    return route_add_resolve(&((struct client_options *) target)->routes, argument, error);
}

int option_store_connect_to(void *target, const char *argument, struct error *error)
{
    return route_add_connect_to(&((struct client_options *) target)->routes, argument, error);
}

int option_store_proxy(void *target, const char *argument, struct error *error)
{
    struct proxy proxy;
    int status = proxy_init(&proxy, argument, error);

    if (status == 0)
        ((struct client_options *) target)->proxy = argument;
    proxy_deinit(&proxy);
    return status;
}

int option_store_unix_socket(void *target, const char *argument, struct error *error)
{
    const struct sockaddr_un *address = NULL;

    if (*argument == '\0' || strlen(argument) >= sizeof address->sun_path)
        return error_set(error, UV_EINVAL, "'%s' is not a path of 1 to %zu bytes", argument,
                         sizeof address->sun_path - 1);
    ((struct client_options *) target)->unix_socket = argument;
    return 0;
}

int option_store_since(void *target, const char *argument, struct error *error)
{
    struct client_since *since = &((struct client_options *) target)->since;
    size_t len = strlen(argument);

    *since = (struct client_since){.kind = CLIENT_SINCE_ALL};
    if (strcmp(argument, "all") == 0)
        return 0;
    since->kind = CLIENT_SINCE_ID;
    if (position_parse(argument, len, &since->id) == 0)
        return 0;
    since->kind = CLIENT_SINCE_LAST;
    if (decimal_parse(argument, len, UINT64_MAX, &since->count) && since->count > 0)
        return 0;
    return error_set(error, UV_EINVAL,
                     "'%s' is neither 'all' nor a number of messages from 1 nor an event ID, as "
                     "--json shows them",
                     argument);
}

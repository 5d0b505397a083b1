#include "server/config/option_values.h"

#include <sched.h>
#include <string.h>
#include <uv.h>

#include "common/base/utf8.h"
#include "common/http/http_head.h"
#include "server/config/server_options.h"
#include "server/syntax/channel_name.h"
#include "server/syntax/listen_address.h"
#include "server/syntax/origin.h"
#include "server/syntax/server_names.h"

enum { MAX_DAYS = 365 };

int option_values_listen(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;
    struct listen_address where;
    int status = listen_address_parse(argument, &where, error);

    if (status != 0)
        return status;
    options->tls_wanted = options->tls_wanted || where.tls == LISTEN_ADDRESS_TLS_ON;
    if (options->listen_count == SERVER_OPTIONS_MAX_LISTENS)
        return error_set(error, UV_EINVAL, "at most %d addresses can be listened on",
                         SERVER_OPTIONS_MAX_LISTENS);
    options->listens[options->listen_count++] = argument;
    return 0;
}

int option_values_port(void *target, const char *argument, struct error *error)
{
    uint64_t number;
    int status = options_parse_count(argument, 0, 65535, &number, error);

    return status == 0 ? option_values_listen(target, argument, error) : status;
}

/* The CPUs that this process may use. */
static uint64_t count_cpus(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

    return count < SERVER_OPTIONS_MAX_WORKERS ? (uint64_t) count : SERVER_OPTIONS_MAX_WORKERS;
}

int option_values_workers(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    if (strcmp(argument, "auto") == 0) {
        options->workers = count_cpus();
        return 0;
    }
    if (options_parse_count(argument, 1, SERVER_OPTIONS_MAX_WORKERS, &options->workers, error) == 0)
        return 0;
    return error_set(error, UV_EINVAL, "'%s' is neither 'auto' nor a whole number from 1 to %d",
                     argument, SERVER_OPTIONS_MAX_WORKERS);
}

static int check_path(const char *argument, struct error *error)
{
    for (const char *c = argument; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || strchr("\"#<>?\\^`{|}", *c) != NULL)
            return error_set(error, UV_EINVAL,
                             "'%s' is not the path of a URL (percent-encode special characters)",
                             argument);
    }
    if (*argument != '/')
        return error_set(error, UV_EINVAL, "'%s' does not begin with '/'", argument);
    return 0;
}

int option_values_path(void *target, const char *argument, struct error *error)
{
    int status = check_path(argument, error);

    if (status == 0)
        ((struct server_options *) target)->path = argument;
    return status;
}

int option_values_page(void *target, const char *argument, struct error *error)
{
    int status = check_path(argument, error);

    if (status == 0)
        ((struct server_options *) target)->page = argument;
    return status;
}

/* RFC 6455, 4.1: a token (RFC 9110, 5.6.2). */
int option_values_subprotocol(void *target, const char *argument, struct error *error)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct server_options *options = target;

    if (*argument == '\0' || argument[strspn(argument, token)] != '\0')
        return error_set(error, UV_EINVAL, "it must be the name of a subprotocol, or *");
    if (strncmp(argument, "bearer.", strlen("bearer.")) == 0)
        return error_set(error, UV_EINVAL,
                         "what begins with bearer. carries a token, and is never agreed to");
    if (options->subprotocol_count == CHANNEL_MAX_SUBPROTOCOLS)
        return error_set(error, UV_E2BIG, "there can be at most %d of them",
                         CHANNEL_MAX_SUBPROTOCOLS);
    options->subprotocols[options->subprotocol_count++] = argument;
    return 0;
}

int option_values_health_path(void *target, const char *argument, struct error *error)
{
    int status = *argument != '\0' ? check_path(argument, error) : 0;

    if (status == 0)
        ((struct server_options *) target)->health_path = argument;
    return status;
}

int option_values_admin(void *target, const char *argument, struct error *error)
{
    struct listen_address where;
    int status = listen_address_parse(argument, &where, error);

    if (status == 0)
        ((struct server_options *) target)->admin = argument;
    return status;
}

int option_values_prefix(void *target, const char *argument, struct error *error)
{
    if (!utf8_valid((const uint8_t *) argument, strlen(argument)))
        return error_set(error, UV_EINVAL, "it must be UTF-8, as all text messages are");
    ((struct server_options *) target)->prefix = argument;
    return 0;
}

int option_values_origin(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    if (options->origin_count == SERVER_OPTIONS_MAX_ORIGINS)
        return error_set(error, UV_EINVAL, "at most %d origins can be listed",
                         SERVER_OPTIONS_MAX_ORIGINS);
    if (origin_check_pattern(argument, error) != 0)
        return UV_EINVAL;
    options->origins[options->origin_count++] = argument;
    return 0;
}

int option_values_trusted_proxy(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    switch (trusted_proxies_add(&options->trusted_proxies, argument)) {
    case 0:
        return 0;
    case UV_E2BIG:
        return error_set(error, UV_EINVAL, "at most %d of them can be given", TRUSTED_PROXIES_MAX);
    default:
        return error_set(error, UV_EINVAL,
                         "'%s' is neither an address, nor a block of addresses as in 10.0.0.0/8 "
                         "(with no bits set behind the prefix), nor 'unix'",
                         argument);
    }
}

int option_values_server_name(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    if (options->server_name_count == SERVER_OPTIONS_MAX_NAMES)
        return error_set(error, UV_EINVAL, "at most %d names can be given",
                         SERVER_OPTIONS_MAX_NAMES);
    if (!server_names_valid(argument))
        return error_set(error, UV_EINVAL,
                         "'%s' is no name of a server: write HOST or HOST:PORT, without a scheme, "
                         "path or '*', and IPv6 addresses in brackets",
                         argument);
    options->server_names[options->server_name_count++] = argument;
    return 0;
}

/* A number and a unit: s (which may be left out), m, h or d. */
static int parse_duration(const char *text, uint64_t *milliseconds, struct error *error)
{
    static const struct {
        char unit;
        uint64_t milliseconds;
    } units[] = {{'m', 60 * 1000}, {'h', 60 * 60 * 1000}, {'d', 24 * 60 * 60 * 1000}};
    size_t len = strlen(text);
    char number[32];
    struct error unused;

    if (len > 0 && len < sizeof number) {
        memcpy(number, text, len);
        number[len - 1] = '\0';
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            if (text[len - 1] == units[i].unit &&
                options_parse_count(number, 0,
                                    MAX_DAYS * units[2].milliseconds / units[i].milliseconds,
                                    milliseconds, &unused) == 0) {
                *milliseconds *= units[i].milliseconds;
                return 0;
            }
        }
        if (options_parse_seconds(text[len - 1] == 's' ? number : text, true, milliseconds,
                                  &unused) == 0)
            return 0;
    }
    return error_set(error, UV_EINVAL,
                     "'%s' is not a duration: a number of seconds, or with a unit, as in 30s, 5m, "
                     "12h or 7d (at most %dd)",
                     text, MAX_DAYS);
}

int option_values_history_age(void *target, const char *argument, struct error *error)
{
    return parse_duration(argument, &((struct server_options *) target)->history.age, error);
}

int option_values_store_sync(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    options->store_fast = strcmp(argument, "normal") == 0;
    if (options->store_fast || strcmp(argument, "full") == 0)
        return 0;
    return error_set(error, UV_EINVAL, "'%s' is neither full nor normal", argument);
}

int option_values_store_patience(void *target, const char *argument, struct error *error)
{
    return parse_duration(argument, &((struct server_options *) target)->store_patience, error);
}

int option_values_min_read_rate(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    options->read_mildly = false;
    return options_parse_size(argument, 0, UINT32_MAX, &options->min_read_rate, error);
}

/* A unit says which of the limits it is: bytes, messages or time. */
int option_values_max_lag(void *target, const char *argument, struct error *error)
{
    static const char messages[] = "msg";
    struct server_options *options = target;
    size_t len = strlen(argument);
    char number[32];

    if (len > 3 && len - 3 < sizeof number && strcmp(argument + len - 3, messages) == 0) {
        memcpy(number, argument, len - 3);
        number[len - 3] = '\0';
        return options_parse_count(number, 0, UINT32_MAX, &options->max_lag_messages, error);
    }
    if (len > 1 && strchr("shd", argument[len - 1]) != NULL)
        return parse_duration(argument, &options->max_lag_time, error);
    if (options_parse_size(argument, 0, MAX_LAG_LIMIT, &options->max_lag, error) == 0)
        return 0;
    return error_set(error, UV_EINVAL,
                     "'%s' is neither a size, as in 16M, nor a number of messages, as in 1000msg, "
                     "nor a duration, as in 30s",
                     argument);
}

int option_values_slow_consumer(void *target, const char *argument, struct error *error)
{
    if (strcmp(argument, "close") != 0 && strcmp(argument, "skip") != 0)
        return error_set(error, UV_EINVAL, "'%s' is none of close, skip", argument);
    ((struct server_options *) target)->skip_slow = strcmp(argument, "skip") == 0;
    return 0;
}

static int store_channel(const char **channel, const char *name, struct error *error)
{
    *channel = name != NULL ? name : "";
    if (name == NULL || channel_name_is_valid(name, strlen(name)))
        return 0;
    return error_set(error, UV_EINVAL,
                     "'%s' is no channel's name: it can be 1 to %d bytes, of letters, digits and "
                     "-._~!$&'()+:@, with '/' between parts",
                     name, CHANNEL_NAME_MAX);
}

int option_values_stdin(void *target, const char *argument, struct error *error)
{
    return store_channel(&((struct server_options *) target)->stdin_channel, argument, error);
}

int option_values_stdout(void *target, const char *argument, struct error *error)
{
    return store_channel(&((struct server_options *) target)->stdout_channel, argument, error);
}

int option_values_publish(void *target, const char *argument, struct error *error)
{
    static const struct {
        const char *name;
        unsigned publish;
    } values[] = {
        {"none", 0},
        {"ws", CHANNEL_BY_WS},
        {"http", CHANNEL_BY_HTTP},
        {"all", CHANNEL_BY_WS | CHANNEL_BY_HTTP},
    };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (strcmp(argument, values[i].name) == 0) {
            ((struct server_options *) target)->publish = values[i].publish;
            return 0;
        }
    }
    return error_set(error, UV_EINVAL, "'%s' is none of none, ws, http, all", argument);
}

static int store_file(const char *files[TLS_MAX_PAIRS], size_t *count, const char *name,
                      struct error *error)
{
    if (*count == TLS_MAX_PAIRS)
        return error_set(error, UV_EINVAL, "at most %d certificates can be served", TLS_MAX_PAIRS);
    files[(*count)++] = name;
    return 0;
}

int option_values_tls_cert(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    return store_file(options->tls_certs, &options->tls_cert_count, argument, error);
}

int option_values_tls_key(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    return store_file(options->tls_keys, &options->tls_key_count, argument, error);
}

int option_values_create_channels(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    options->listed_channels = strcmp(argument, "listed") == 0;
    options->authorized_channels = strcmp(argument, "authorized") == 0;
    if (options->listed_channels || options->authorized_channels || strcmp(argument, "anyone") == 0)
        return 0;
    return error_set(error, UV_EINVAL, "'%s' is none of anyone, authorized, listed", argument);
}

/* ---- users ---- */

int option_values_jwt_key(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    if (options->jwt_key_count == SERVER_OPTIONS_MAX_JWT_KEYS)
        return error_set(error, UV_EINVAL, "at most %d files of keys can be given",
                         SERVER_OPTIONS_MAX_JWT_KEYS);
    options->jwt_keys[options->jwt_key_count++] = argument;
    return 0;
}

/* RFC 6265, 4.1.1: a token. */
int option_values_auth_cookie(void *target, const char *argument, struct error *error)
{
    for (const char *c = argument; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || strchr("()<>@,;:\\\"/[]?={}", *c) != NULL)
            return error_set(error, UV_EINVAL, "'%s' is no name that a cookie can have", argument);
    }
    if (*argument == '\0')
        return error_set(error, UV_EINVAL, "a cookie needs a name");
    ((struct server_options *) target)->auth_cookie = argument;
    return 0;
}

static int store_who(enum server_options_who *who, const char *argument, struct error *error)
{
    static const char *const names[] = {"anyone", "authorized", "nobody"};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(argument, names[i]) == 0) {
            *who = (enum server_options_who)(SERVER_OPTIONS_ANYONE + i);
            return 0;
        }
    }
    return error_set(error, UV_EINVAL, "'%s' is none of anyone, authorized, nobody", argument);
}

int option_values_may_subscribe(void *target, const char *argument, struct error *error)
{
    return store_who(&((struct server_options *) target)->may_subscribe, argument, error);
}

int option_values_may_publish(void *target, const char *argument, struct error *error)
{
    return store_who(&((struct server_options *) target)->may_publish, argument, error);
}

int option_values_log_level(void *target, const char *argument, struct error *error)
{
    if (log_parse_level(argument, &((struct server_options *) target)->log_level) != 0)
        return error_set(error, UV_EINVAL, "'%s' is none of error, warn, info, debug", argument);
    return 0;
}

int option_values_log_format(void *target, const char *argument, struct error *error)
{
    bool json = strcmp(argument, "json") == 0;

    if (!json && strcmp(argument, "text") != 0)
        return error_set(error, UV_EINVAL, "'%s' is neither text nor json", argument);
    ((struct server_options *) target)->log_json = json;
    return 0;
}

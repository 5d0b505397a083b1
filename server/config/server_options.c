#include "server/config/server_options.h"

#include <sched.h>
#include <string.h>
#include <uv.h>

#include "common/base/process.h"
#include "common/base/utf8.h"
#include "common/http/http_head.h"
#include "server/syntax/channel_name.h"
#include "server/syntax/listen_address.h"
#include "server/syntax/origin.h"
#include "server/syntax/server_names.h"

enum { LAG_MESSAGES = 2 }; /* of the longest messages are never too much to lag behind */

/* What options can be set to, at the most. */
#define MAX_MESSAGE_LIMIT ((uint64_t) 1 << 30)
#define MAX_LAG_LIMIT ((uint64_t) 1 << 40)
#define MAX_HISTORY_LIMIT ((uint64_t) 1 << 40)
#define MAX_HEADER_LIMIT ((uint64_t) 1 << 20)

#define HISTORY_TOTAL ((uint64_t) 256 << 20)
#define NOT_GIVEN UINT64_MAX

enum { MAX_DAYS = 365, CLOSE_TIMEOUT = 2 * 1000 };

static int store_listen(void *target, const char *argument, struct error *error)
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

static int store_port(void *target, const char *argument, struct error *error)
{
    uint64_t number;
    int status = options_parse_count(argument, 0, 65535, &number, error);

    return status == 0 ? store_listen(target, argument, error) : status;
}

/* The CPUs that this process may use. */
static uint64_t count_cpus(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

    return count < SERVER_OPTIONS_MAX_WORKERS ? (uint64_t) count : SERVER_OPTIONS_MAX_WORKERS;
}

static int store_workers(void *target, const char *argument, struct error *error)
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

static int store_path(void *target, const char *argument, struct error *error)
{
    for (const char *c = argument; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || strchr("\"#<>?\\^`{|}", *c) != NULL)
            return error_set(error, UV_EINVAL,
                             "'%s' is not the path of a URL (percent-encode special characters)",
                             argument);
    }
    if (*argument != '/')
        return error_set(error, UV_EINVAL, "'%s' does not begin with '/'", argument);
    ((struct server_options *) target)->path = argument;
    return 0;
}

static int store_prefix(void *target, const char *argument, struct error *error)
{
    if (!utf8_valid((const uint8_t *) argument, strlen(argument)))
        return error_set(error, UV_EINVAL, "it must be UTF-8, as all text messages are");
    ((struct server_options *) target)->prefix = argument;
    return 0;
}

static int store_origin(void *target, const char *argument, struct error *error)
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

static int store_server_name(void *target, const char *argument, struct error *error)
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

static int store_history_age(void *target, const char *argument, struct error *error)
{
    return parse_duration(argument, &((struct server_options *) target)->history.age, error);
}

static int store_min_read_rate(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    options->read_mildly = false;
    return options_parse_size(argument, 0, UINT32_MAX, &options->min_read_rate, error);
}

/* A unit says which of the limits it is: bytes, messages or time. */
static int store_max_lag(void *target, const char *argument, struct error *error)
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

static int store_slow_consumer(void *target, const char *argument, struct error *error)
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

static int store_stdin(void *target, const char *argument, struct error *error)
{
    return store_channel(&((struct server_options *) target)->stdin_channel, argument, error);
}

static int store_stdout(void *target, const char *argument, struct error *error)
{
    return store_channel(&((struct server_options *) target)->stdout_channel, argument, error);
}

static int store_publish(void *target, const char *argument, struct error *error)
{
    static const struct {
        const char *name;
        unsigned publish;
    } values[] = {
        {"none", 0},
        {"ws", SERVER_OPTIONS_PUBLISH_WS},
        {"http", SERVER_OPTIONS_PUBLISH_HTTP},
        {"all", SERVER_OPTIONS_PUBLISH_WS | SERVER_OPTIONS_PUBLISH_HTTP},
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

static int store_tls_cert(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    return store_file(options->tls_certs, &options->tls_cert_count, argument, error);
}

static int store_tls_key(void *target, const char *argument, struct error *error)
{
    struct server_options *options = target;

    return store_file(options->tls_keys, &options->tls_key_count, argument, error);
}

static int store_create_channels(void *target, const char *argument, struct error *error)
{
    if (strcmp(argument, "anyone") != 0 && strcmp(argument, "listed") != 0)
        return error_set(error, UV_EINVAL, "'%s' is none of anyone, listed", argument);
    ((struct server_options *) target)->listed_channels = strcmp(argument, "listed") == 0;
    return 0;
}

static int store_log_level(void *target, const char *argument, struct error *error)
{
    if (log_parse_level(argument, &((struct server_options *) target)->log_level) != 0)
        return error_set(error, UV_EINVAL, "'%s' is none of error, warn, info, debug", argument);
    return 0;
}

static const struct option_spec specs[] = {
    {.help = "Serving:"},
    {"listen", 'l', "ADDRESS",
     "PORT or localhost:PORT (this machine only), HOST:PORT or [IPV6-ADDRESS]:PORT (port 0 takes a "
     "free one), unix:PATH, or fd:N for a listening socket that is inherited; with ,tls=on or "
     ",tls=off behind it (default: on if there is --tls-cert), and for a Unix socket ,mode=OCTAL "
     "(default: 0660) and ,group=NAME; may be given several times (default: the sockets that "
     "systemd passes on, else 127.0.0.1:8000)",
     OPTION_BY(store_listen)},
    {"port", 'p', "PORT", "the same as --listen PORT", OPTION_BY(store_port)},
    {"workers", 'w', "N|auto",
     "threads that share the connections; auto: one for each CPU (default: 1)",
     OPTION_BY(store_workers)},
    {"path", 0, "PATH", "the path of the endpoint (default: /ws)", OPTION_BY(store_path)},
    {"prefix", 0, "TEXT",
     "put before each text that a WebSocket client sends in the default channel; may be empty; "
     "never put before what comes by POST or --stdin (default: 'Message: ')",
     OPTION_BY(store_prefix)},
    {.help = "Channels (PATH/NAME; PATH itself is the default one) and their history:"},
    {"max-channels", 0, "N",
     "beside the default one; those who want further ones get 503; 0: any number (default: "
     "10000)",
     OPTION_AT(COUNT, struct server_options, max_channels), .max = UINT32_MAX},
    {"create-channels", 0, "WHO",
     "who can make a channel by asking for it: anyone, or listed (no client: beside the default "
     "one there are only those of --stdin and --stdout, and others are 404) (default: anyone)",
     OPTION_BY(store_create_channels), .values = "anyone|listed"},
    {"history-messages", 0, "N",
     "messages to keep of each channel, for those who come later; of this and the next two, the "
     "first that is exceeded counts (default: without any of them, none are kept)",
     OPTION_AT(COUNT, struct server_options, history.messages), .max = UINT32_MAX},
    {"history-bytes", 0, "SIZE", "bytes to keep of each channel",
     OPTION_AT(SIZE, struct server_options, history.bytes), .max = MAX_HISTORY_LIMIT},
    {"history-age", 0, "DURATION", "how long to keep messages, as in 30s, 5m, 12h or 7d",
     OPTION_BY(store_history_age), .offer = OPTION_OFFER_NOTHING},
    {"history-total", 0, "SIZE",
     "memory that the history of all channels may take, at most half of --max-memory, which 0 "
     "stands for; the oldest goes first (default: 256M, or less where that is more than half)",
     OPTION_AT(SIZE, struct server_options, history.total), .max = MAX_HISTORY_LIMIT},
    {.help = "Pipes:"},
    {"stdin", 0, "CHANNEL",
     "broadcast each line of standard input in CHANNEL, by default in the default one; its end "
     "does not end the server",
     OPTION_BY(store_stdin), .optional = true, .offer = OPTION_OFFER_NOTHING},
    {"stdout", 0, "CHANNEL",
     "print what is broadcast in CHANNEL, by default in the default one: a message and a newline; "
     "binary as base64:...",
     OPTION_BY(store_stdout), .optional = true, .offer = OPTION_OFFER_NOTHING},
    {.help = "Publishing:"},
    {"no-echo", 0, NULL, "a client does not hear the messages that it has sent itself",
     OPTION_AT(FLAG, struct server_options, no_echo)},
    {.help = "TLS (wss://), but where an address has tls=off; SIGHUP reads the files again:"},
    {"tls-cert", 0, "FILE",
     "the server's certificate (PEM), and its chain behind it; may be given several times, each "
     "with its key: for further names, or types of keys",
     OPTION_BY(store_tls_cert)},
    {"tls-key", 0, "FILE", "its key (PEM, without a passphrase)", OPTION_BY(store_tls_key)},
    {"tls-client-ca", 0, "FILE", "let in only clients with a certificate signed by one in FILE",
     OPTION_AT(STRING, struct server_options, tls_client_ca)},
    {.help = "Compression (permessage-deflate):"},
    {"no-compression", 0, NULL, "do not agree to it",
     OPTION_AT(FLAG, struct server_options, no_compression)},
    {"compression-level", 0, "N", "1 (fast) to 9 (small) (default: 6)",
     OPTION_AT(COUNT, struct server_options, compression_level), .min = 1, .max = 9},
    {"compression-min-size", 0, "SIZE", "shorter messages go out as they are (default: 128)",
     OPTION_AT(SIZE, struct server_options, compression_min), .max = MAX_MESSAGE_LIMIT},
    {.help = "Who may come in:"},
    {"origin", 0, "ORIGIN",
     "admit pages of this origin, as in https://example.org, or of all names beneath a domain, as "
     "in https://*.example.org; may be given several times; '*' for all (default: pages of the "
     "host that is asked for; WebSocket clients without Origin always come in)",
     OPTION_BY(store_origin)},
    {"server-name", 0, "NAME",
     "a name by which this server is asked, as in feed.example or feed.example:8443; may be given "
     "several times; requests for others (but localhost, through loopback) get 421 (default: any "
     "name, which lets pages in by DNS rebinding)",
     OPTION_BY(store_server_name), .offer = OPTION_OFFER_NOTHING},
    {"publish", 0, "WHO",
     "who may say something: none (the feed is read-only), ws (WebSocket clients), http (with "
     "POST) or all (default: all)",
     OPTION_BY(store_publish), .values = "none|ws|http|all"},
    {"max-connections", 0, "N", "in all; further ones are answered with 503 (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_connections), .max = UINT32_MAX},
    {"max-connections-per-address", 0, "N",
     "from one IPv4 address or IPv6 /64 network, but for loopback (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_connections_per_address), .max = UINT32_MAX},
    {.help = "Limits (0 turns each of them off):"},
    {"handshake-timeout", 0, "SECONDS", "for a whole request head (default: 10)",
     OPTION_AT(SECONDS, struct server_options, handshake_timeout)},
    {"keepalive-timeout", 0, "SECONDS",
     "between two requests of plain HTTP; then the connection is closed without a word "
     "(default: 75)",
     OPTION_AT(SECONDS, struct server_options, keepalive_timeout)},
    {"max-header-bytes", 0, "SIZE", "of a request head; more is 431 (default: 16K)",
     OPTION_AT(SIZE, struct server_options, max_header_bytes), .max = MAX_HEADER_LIMIT},
    {"max-header-count", 0, "N", "fields of a request head; more is 431 (default: 200)",
     OPTION_AT(COUNT, struct server_options, max_header_count), .max = MAX_HEADER_LIMIT},
    {"max-message", 0, "SIZE",
     "longest message a client may send; longer ones are closed with 1009 (default: 1M)",
     OPTION_AT(SIZE, struct server_options, max_message), .max = MAX_MESSAGE_LIMIT},
    {"message-timeout", 0, "SECONDS", "from a message's first byte to its last (default: 30)",
     OPTION_AT(SECONDS, struct server_options, message_timeout)},
    {"max-fragments", 0, "N", "of one message (default: 131072)",
     OPTION_AT(COUNT, struct server_options, max_fragments), .max = UINT32_MAX},
    {"max-empty-fragments", 0, "N", "of one message (default: 100)",
     OPTION_AT(COUNT, struct server_options, max_empty_fragments), .max = UINT32_MAX},
    {"max-messages-per-second", 0, "N",
     "from one client, which is an IPv4 address or IPv6 /64 network with all its connections and "
     "requests; through loopback or a Unix socket each connection is one (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_messages_per_second), .max = UINT32_MAX},
    {"max-bytes-per-second", 0, "SIZE", "of messages from one client (default: 0)",
     OPTION_AT(SIZE, struct server_options, max_bytes_per_second), .max = UINT32_MAX},
    {"max-control-per-second", 0, "N", "pings and unasked pongs on one connection (default: 1000)",
     OPTION_AT(COUNT, struct server_options, max_control_per_second), .max = UINT32_MAX},
    {"max-lag", 0, "LAG",
     "how far a client may fall behind in reading: SIZE (but always two messages of "
     "--max-message), messages, as in 1000msg, or time, as in 30s; may be given several times, and "
     "the first that is exceeded counts (default: 16M)",
     OPTION_BY(store_max_lag), .offer = OPTION_OFFER_NOTHING},
    {"slow-consumer", 0, "close|skip",
     "what becomes of one that falls further behind: close it with 1008, or let it skip to the "
     "newest message (default: close)",
     OPTION_BY(store_slow_consumer)},
    {"max-memory", 0, "SIZE",
     "what all clients together may make the server hold, beside the history; beyond it the "
     "costliest are closed with 1008, or answered with 503 (default: half of the machine's memory, "
     "or of its control group's)",
     OPTION_AT(SIZE, struct server_options, max_memory), .max = MAX_HISTORY_LIMIT},
    {"min-read-rate", 0, "SIZE",
     "bytes that a client which is behind reads in each second (default: 64 a second, over a "
     "minute, while more than half of --max-memory is used)",
     OPTION_BY(store_min_read_rate), .offer = OPTION_OFFER_NOTHING},
    {"ping-interval", 0, "SECONDS",
     "of silence, after which a client is asked whether it is there (default: 20)",
     OPTION_AT(SECONDS, struct server_options, ping_interval)},
    {"ping-timeout", 0, "SECONDS", "for any sign of life after that (default: 20)",
     OPTION_AT(SECONDS, struct server_options, ping_timeout)},
    {"idle-timeout", 0, "SECONDS",
     "without a message from the client, after which it is closed with 1000 (default: 0)",
     OPTION_AT(SECONDS, struct server_options, idle_timeout)},
    {"close-timeout", 0, "SECONDS",
     "for each step of a closing handshake; 0: any time, but at the server's own end (default: 2)",
     OPTION_AT(SECONDS, struct server_options, close_timeout)},
    {.help = "Telling:"},
    {"log-level", 0, "LEVEL", "error, warn, info or debug (default: info)",
     OPTION_BY(store_log_level), .values = "error|warn|info|debug"},
    {"version", 'V', NULL, "print the version and exit",
     OPTION_AT(FLAG, struct server_options, version)},
    {"help", 'h', NULL, "print this help and exit", OPTION_AT(FLAG, struct server_options, help)},
};

static const struct option_status statuses[] = {
    {0, "stopped by a signal"},
    {1, "cannot serve: for example, the address is taken"},
    {2, "wrong usage"},
};

const struct option_table server_options_table = {
    .program = "wsbroadcastd",
    .synopsis = "[OPTION]...",
    .summary = "A WebSocket broadcast server: text from any client goes to every client, the\n"
               "sender too, as 'Message: TEXT'. Binary goes out as it came.",
    .specs = specs,
    .count = sizeof specs / sizeof *specs,
    .epilogue = "Examples:\n"
                "  wsbroadcastd                          serve ws://127.0.0.1:8000/ws\n"
                "  wsbroadcastd -l 0.0.0.0:80 -l [::]:80 serve everybody\n"
                "  wsbroadcastd -w auto -l unix:/run/ws  on all CPUs, behind a proxy\n"
                "  wsbroadcastd --prefix '' --path /     pass texts on as they come\n"
                "  wsbroadcastd --tls-cert cert.pem --tls-key key.pem   serve wss://\n"
                "\n"
                "SIGTERM and SIGINT close every connection (1001) and end the server; a second\n"
                "one ends it at once.\n",
    .statuses = statuses,
    .status_count = sizeof statuses / sizeof *statuses,
};

/* History has half of the memory at most, so that the bound on the rest means something. */
static int settle_history(struct server_options *options, struct error *error)
{
    uint64_t most = options->max_memory / 2;
    uint64_t *total = &options->history.total;

    if (*total == NOT_GIVEN)
        *total = most > 0 && most < HISTORY_TOTAL ? most : HISTORY_TOTAL;
    if (*total == 0)
        *total = most;
    if (most > 0 && *total > most)
        return error_set(error, UV_EINVAL,
                         "--history-total is more than half of --max-memory (%llu bytes): lower "
                         "the one, or raise the other",
                         (unsigned long long) options->max_memory);
    return 0;
}

int server_options_parse(struct server_options *options, int argc, char **argv, struct error *error)
{
    int operands, status;

    *options = (struct server_options){
        .workers = 1,
        .path = "/ws",
        .prefix = "Message: ",
        .publish = SERVER_OPTIONS_PUBLISH_WS | SERVER_OPTIONS_PUBLISH_HTTP,
        .max_message = 1024 * 1024,
        .max_lag = 16 * 1024 * 1024,
        .max_channels = 10000,
        .max_memory = process_memory_limit() / 2,
        .read_mildly = true,
        .history.total = NOT_GIVEN,
        .max_fragments = 128 * 1024,
        .max_empty_fragments = 100,
        .max_header_bytes = HTTP_HEAD_MAX_BYTES,
        .max_header_count = HTTP_HEAD_MAX_FIELDS,
        .max_control_per_second = 1000,
        .handshake_timeout = 10 * 1000,
        .keepalive_timeout = 75 * 1000,
        .close_timeout = CLOSE_TIMEOUT,
        .message_timeout = 30 * 1000,
        .ping_interval = 20 * 1000,
        .ping_timeout = 20 * 1000,
        .compression_level = 6,
        .compression_min = 128,
        .log_level = LOG_INFO,
    };
    status = options_parse(&server_options_table, argc, argv, options, &operands, error);
    if (status != 0)
        return status;
    if (operands < argc)
        return error_set(error, UV_EINVAL, "'%s' is not an option, and nothing else is expected",
                         argv[operands]);
    if (options->tls_cert_count != options->tls_key_count ||
        (options->tls_client_ca != NULL && options->tls_cert_count == 0))
        return error_set(error, UV_EINVAL,
                         "TLS needs both '--tls-cert FILE' and '--tls-key FILE', in pairs");
    if (options->tls_wanted && options->tls_cert_count == 0)
        return error_set(error, UV_EINVAL, "tls=on needs '--tls-cert FILE' and '--tls-key FILE'");
    return settle_history(options, error);
}

uint64_t server_options_stop_timeout(const struct server_options *options)
{
    return options->close_timeout > 0 ? options->close_timeout : CLOSE_TIMEOUT;
}

uint64_t server_options_max_lag(const struct server_options *options)
{
    uint64_t messages = LAG_MESSAGES * options->max_message;

    if (options->max_lag == 0 || options->max_lag > messages)
        return options->max_lag;
    return messages;
}

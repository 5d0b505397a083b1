#include "server/config/server_options.h"

#include <string.h>
#include <uv.h>

#include "common/base/process.h"
#include "common/http/http_head.h"
#include "server/config/option_values.h"

enum { LAG_MESSAGES = 2 }; /* of the longest messages are never too much to lag behind */

/* What options can be set to, at the most. */
#define MAX_MESSAGE_LIMIT ((uint64_t) 1 << 30)
#define MAX_HISTORY_LIMIT ((uint64_t) 1 << 40)
#define MAX_HEADER_LIMIT ((uint64_t) 1 << 20)

enum { CLOSE_TIMEOUT = 2 * 1000 };

static const struct option_spec specs[] = {
    {.help = "Serving:"},
    {"listen", 'l', "ADDRESS",
     "PORT or localhost:PORT (this machine only), HOST:PORT or [IPV6-ADDRESS]:PORT (port 0 takes a "
     "free one), unix:PATH, or fd:N for a listening socket that is inherited; with ,tls=on or "
     ",tls=off behind it (default: on if there is --tls-cert), ,proxy=on if each connection begins "
     "with a header of the PROXY protocol, and for a Unix socket ,mode=OCTAL "
     "(default: 0660) and ,group=NAME; may be given several times (default: the sockets that "
     "systemd passes on, else 127.0.0.1:8000)",
     OPTION_BY(option_values_listen), .repeatable = true},
    {"port", 'p', "PORT", "the same as --listen PORT", OPTION_BY(option_values_port),
     .repeatable = true},
    {"workers", 'w', "N|auto",
     "threads that share the connections; auto: one for each CPU (default: 1)",
     OPTION_BY(option_values_workers)},
    {"path", 0, "PATH", "the path of the endpoint (default: /ws)", OPTION_BY(option_values_path)},
    {"page", 0, "PATH",
     "serve a page there that shows a channel in a browser and sends to it (default: / for "
     "connections through loopback addresses, without --server-name)",
     OPTION_BY(option_values_page), .offer = OPTION_OFFER_NOTHING},
    {"no-page", 0, NULL, "serve no page", OPTION_AT(FLAG, struct server_options, no_page)},
    {"prefix", 0, "TEXT",
     "put before each text that a WebSocket client sends in the default channel; may be empty; "
     "never put before what comes by POST or --stdin (default: 'Message: ')",
     OPTION_BY(option_values_prefix), .scoped = true},
    {"subprotocol", 0, "NAME",
     "a subprotocol to agree to, for clients that insist on one; *: the first that a client "
     "offers; may be given several times; wsbroadcast and id.wsbroadcast always are, and bearer.* "
     "never",
     OPTION_BY(option_values_subprotocol), .repeatable = true, .scoped = true},
    {.help = "Channels (PATH/NAME; PATH itself is the default one) and their history:"},
    {"max-channels", 0, "N",
     "beside the default one; requests for further ones get 503; 0: any number (default: "
     "10000)",
     OPTION_AT(COUNT, struct server_options, max_channels), .max = UINT32_MAX},
    {"create-channels", 0, "WHO",
     "who can make a channel by asking for it: anyone, authorized (whose token has a right there) "
     "or listed (no client: beside the default one there are only those of --stdin and --stdout, "
     "and others are 404) (default: anyone)",
     OPTION_BY(option_values_create_channels), .values = "anyone|authorized|listed"},
    {"history-messages", 0, "N",
     "messages to keep of each channel, for clients that join later; of this and the next two, the "
     "first that is exceeded counts (default: without any of them, none are kept)",
     OPTION_AT(COUNT, struct server_options, history.messages), .max = UINT32_MAX, .scoped = true},
    {"history-bytes", 0, "SIZE", "bytes to keep of each channel",
     OPTION_AT(SIZE, struct server_options, history.bytes), .max = MAX_HISTORY_LIMIT,
     .scoped = true},
    {"history-age", 0, "DURATION", "how long to keep messages, as in 30s, 5m, 12h or 7d",
     OPTION_BY(option_values_history_age), .offer = OPTION_OFFER_NOTHING, .scoped = true},
    {"history-total", 0, "SIZE",
     "memory that the history of all channels may take, at most half of --max-memory, which 0 "
     "stands for; the oldest goes first (default: 256M, or less where that is more than half); "
     "with --store the bytes of the file, about, where 0 is any number (default: 1G)",
     OPTION_AT(SIZE, struct server_options, history_total), .max = MAX_HISTORY_LIMIT},
    {.help = "Messages on disk: what is acknowledged survives:"},
    {"store", 0, "FILE",
     "keep messages in FILE, an SQLite database of the server's own: nobody sees a message, and no "
     "publisher is told of success, before it is there; without bounds on "
     "history all are kept that --history-total has room for (default: none, messages are in "
     "memory)",
     OPTION_AT(STRING, struct server_options, store)},
    {"store-sync", 0, "HOW",
     "full: what is acknowledged survives a loss of power; normal: it survives the end of the "
     "process, and a loss of power may take back the last seconds (default: full)",
     OPTION_BY(option_values_store_sync), .values = "full|normal"},
    {"store-patience", 0, "DURATION",
     "how long WebSocket publishers wait while the store cannot be written, before they are closed "
     "with 1011 (default: 15s)",
     OPTION_BY(option_values_store_patience), .offer = OPTION_OFFER_NOTHING},
    {"history-memory", 0, "SIZE",
     "with --store, memory for the newest messages of all channels, at most half of --max-memory; "
     "who asks for older ones begins with these (default: 256M, or less where that is more than "
     "half)",
     OPTION_AT(SIZE, struct server_options, history_memory), .max = MAX_HISTORY_LIMIT},
    {"check-store", 0, NULL,
     "read all of --store, which no server uses, print what is wrong with it, and end",
     OPTION_AT(FLAG, struct server_options, check_store)},
    {"new-epoch", 0, NULL,
     "with --store, give all channels new event IDs: needed once after FILE was restored from a "
     "backup, or an ID would name two messages",
     OPTION_AT(FLAG, struct server_options, new_epoch)},
    {.help = "Pipes:"},
    {"stdin", 0, "CHANNEL",
     "broadcast each line of standard input in CHANNEL, by default in the default one; its end "
     "does not end the server",
     OPTION_BY(option_values_stdin), .optional = true, .offer = OPTION_OFFER_NOTHING},
    {"stdout", 0, "CHANNEL",
     "print what is broadcast in CHANNEL, by default in the default one: a message and a newline; "
     "binary as base64:...",
     OPTION_BY(option_values_stdout), .optional = true, .offer = OPTION_OFFER_NOTHING},
    {.help = "Publishing:"},
    {"no-echo", 0, NULL, "a client does not hear the messages that it has sent itself",
     OPTION_AT(FLAG, struct server_options, no_echo), .scoped = true},
    {.help = "TLS (wss://), but where an address has tls=off; SIGHUP reads the files again:"},
    {"tls-cert", 0, "FILE",
     "the server's certificate (PEM), and its chain behind it; may be given several times, each "
     "with its key: for further names, or types of keys",
     OPTION_BY(option_values_tls_cert), .repeatable = true},
    {"tls-key", 0, "FILE", "its key (PEM, without a passphrase)", OPTION_BY(option_values_tls_key),
     .repeatable = true},
    {"tls-client-ca", 0, "FILE", "let in only clients with a certificate signed by one in FILE",
     OPTION_AT(STRING, struct server_options, tls_client_ca)},
    {.help = "Compression (permessage-deflate):"},
    {"no-compression", 0, NULL, "do not agree to it",
     OPTION_AT(FLAG, struct server_options, no_compression), .scoped = true},
    {"compression-level", 0, "N", "1 (fast) to 9 (small) (default: 6)",
     OPTION_AT(COUNT, struct server_options, compression_level), .min = 1, .max = 9},
    {"compression-min-size", 0, "SIZE", "shorter messages go out as they are (default: 128)",
     OPTION_AT(SIZE, struct server_options, compression_min), .max = MAX_MESSAGE_LIMIT},
    {.help = "Access:"},
    {"origin", 0, "ORIGIN",
     "admit pages of this origin, as in https://example.org, or of all names beneath a domain, as "
     "in https://*.example.org; may be given several times; '*' for all (default: pages of the "
     "host that is asked for; WebSocket clients without Origin always come in)",
     OPTION_BY(option_values_origin), .repeatable = true},
    {"server-name", 0, "NAME",
     "a name by which this server is asked, as in feed.example or feed.example:8443; may be given "
     "several times; requests for others (but localhost, through loopback) get 421 (default: any "
     "name, which lets pages in by DNS rebinding)",
     OPTION_BY(option_values_server_name), .offer = OPTION_OFFER_NOTHING, .repeatable = true},
    {"trusted-proxy", 0, "CIDR",
     "an address or block of addresses of proxies in front, or unix (for Unix sockets): there, "
     "Forwarded or X-Forwarded-For says whose a request is, for limits and logs; may be given "
     "several times (default: none)",
     OPTION_BY(option_values_trusted_proxy), .offer = OPTION_OFFER_NOTHING, .repeatable = true},
    {"publish", 0, "WHO",
     "who may publish: none (the feed is read-only), ws (WebSocket clients), http (with "
     "POST) or all (default: all)",
     OPTION_BY(option_values_publish), .values = "none|ws|http|all", .scoped = true},
    {.help = "Users (SIGHUP reads the files again):"},
    {"token-file", 0, "FILE",
     "let in who bears a token whose line is in FILE: NAME sha256:HEX subscribe=PATTERN,... "
     "publish=PATTERN,... (see --new-token)",
     OPTION_AT(STRING, struct server_options, token_file)},
    {"new-token", 0, "NAME",
     "make a token for the user NAME, print it, and exit; its line is appended to the file of "
     "--token-file, or printed behind it",
     OPTION_AT(STRING, struct server_options, new_token), .offer = OPTION_OFFER_NOTHING},
    {"jwt-key", 0, "FILE",
     "let in who bears a JWT that is signed with this key: a PEM public key or certificate, a JWK "
     "or a set of them, or a secret of 32 bytes or more; may be given several times",
     OPTION_BY(option_values_jwt_key), .repeatable = true},
    {"jwt-issuer", 0, "TEXT", "what 'iss' of a JWT has to be (default: anything)",
     OPTION_AT(STRING, struct server_options, jwt_issuer), .offer = OPTION_OFFER_NOTHING},
    {"jwt-audience", 0, "TEXT", "what 'aud' of a JWT has to name (default: anything)",
     OPTION_AT(STRING, struct server_options, jwt_audience), .offer = OPTION_OFFER_NOTHING},
    {"jwt-leeway", 0, "SECONDS", "by which clocks may differ for 'exp' and 'nbf' (default: 0)",
     OPTION_AT(SECONDS, struct server_options, jwt_leeway)},
    {"jwt-allow-no-expiry", 0, NULL, "accept a JWT without 'exp'",
     OPTION_AT(FLAG, struct server_options, jwt_allow_no_expiry)},
    {"auth-cookie", 0, "NAME",
     "take the token from this cookie as well, for pages of this server or of an --origin",
     OPTION_BY(option_values_auth_cookie), .offer = OPTION_OFFER_NOTHING},
    {"may-subscribe", 0, "WHO",
     "anyone, authorized (whose token has the right to), or nobody (default: anyone; authorized "
     "where there are users by --token-file or --jwt-key)",
     OPTION_BY(option_values_may_subscribe), .values = "anyone|authorized|nobody", .scoped = true},
    {"may-publish", 0, "WHO", "the same for publishing, by the ways of --publish",
     OPTION_BY(option_values_may_publish), .values = "anyone|authorized|nobody", .scoped = true},
    {.help = "Connections:"},
    {"max-connections", 0, "N", "in all; further ones are answered with 503 (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_connections), .max = UINT32_MAX},
    {"max-subscribers", 0, "N", "of one channel; requests of further ones get 503 (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_subscribers), .max = UINT32_MAX, .scoped = true},
    {"max-connections-per-address", 0, "N",
     "from one IPv4 address or IPv6 /64 network, but for loopback (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_connections_per_address), .max = UINT32_MAX},
    {"max-connections-per-user", 0, "N", "that one user subscribes with (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_connections_per_user), .max = UINT32_MAX},
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
     OPTION_AT(SIZE, struct server_options, max_message), .max = MAX_MESSAGE_LIMIT, .scoped = true},
    {"message-timeout", 0, "SECONDS", "from a message's first byte to its last (default: 30)",
     OPTION_AT(SECONDS, struct server_options, message_timeout)},
    {"max-fragments", 0, "N", "of one message (default: 131072)",
     OPTION_AT(COUNT, struct server_options, max_fragments), .max = UINT32_MAX},
    {"max-empty-fragments", 0, "N", "of one message (default: 100)",
     OPTION_AT(COUNT, struct server_options, max_empty_fragments), .max = UINT32_MAX},
    {"max-messages-per-second", 0, "N",
     "from one client, which is an IPv4 address or IPv6 /64 network with all its connections and "
     "requests; through loopback or a Unix socket each connection is one (default: 0)",
     OPTION_AT(COUNT, struct server_options, max_messages_per_second), .max = UINT32_MAX,
     .scoped = true},
    {"max-bytes-per-second", 0, "SIZE", "of messages from one client (default: 0)",
     OPTION_AT(SIZE, struct server_options, max_bytes_per_second), .max = UINT32_MAX,
     .scoped = true},
    {"max-control-per-second", 0, "N", "pings and unasked pongs on one connection (default: 1000)",
     OPTION_AT(COUNT, struct server_options, max_control_per_second), .max = UINT32_MAX},
    {"max-auth-failures-per-minute", 0, "N",
     "credentials from one IPv4 address or IPv6 /64 network that are refused; then further ones "
     "get 429 until that minute is over; through loopback or a Unix socket each connection counts "
     "(default: 30)",
     OPTION_AT(COUNT, struct server_options, max_auth_failures), .max = UINT32_MAX},
    {"max-lag", 0, "LAG",
     "how far a client may fall behind in reading: SIZE (but always two messages of "
     "--max-message), messages, as in 1000msg, or time, as in 30s; may be given several times, and "
     "the first that is exceeded counts (default: 16M)",
     OPTION_BY(option_values_max_lag), .offer = OPTION_OFFER_NOTHING, .repeatable = true,
     .scoped = true},
    {"slow-consumer", 0, "close|skip",
     "what becomes of one that falls further behind: close it with 1008, or let it skip to the "
     "newest message (default: close)",
     OPTION_BY(option_values_slow_consumer), .scoped = true},
    {"max-memory", 0, "SIZE",
     "what all clients together may make the server hold, beside the history; beyond it the "
     "costliest are closed with 1008, or answered with 503 (default: half of the machine's memory, "
     "or of its control group's)",
     OPTION_AT(SIZE, struct server_options, max_memory), .max = MAX_HISTORY_LIMIT},
    {"min-read-rate", 0, "SIZE",
     "bytes that a client which is behind reads in each second (default: 64 a second, over a "
     "minute, while more than half of --max-memory is used)",
     OPTION_BY(option_values_min_read_rate), .offer = OPTION_OFFER_NOTHING},
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
    {.help = "Operating:"},
    {"admin", 0, "ADDRESS",
     "serve the operator there: a dashboard for browsers at /, metrics, health, connections, "
     "reload, drain; as --listen has it; beyond loopback and Unix sockets --admin-token-file is "
     "needed (default: nowhere)",
     OPTION_BY(option_values_admin), .offer = OPTION_OFFER_NOTHING},
    {"admin-token-file", 0, "FILE",
     "its first line is the token that requests there have to bear (Authorization: Bearer TOKEN), "
     "but for /metrics and /health/",
     OPTION_AT(STRING, struct server_options, admin_token_file)},
    {"health-path", 0, "PATH",
     "where clients may ask whether the server is ready: 200, or 503; may be empty (default: "
     "/health)",
     OPTION_BY(option_values_health_path), .offer = OPTION_OFFER_NOTHING},
    {"drain-delay", 0, "SECONDS",
     "after SIGTERM, for load balancers to see that the server is not ready, before anything is "
     "closed (default: 0)",
     OPTION_AT(SECONDS, struct server_options, drain_delay)},
    {"drain", 0, "SECONDS",
     "over which connections are closed evenly then, so that clients do not come back all at once "
     "(default: 0)",
     OPTION_AT(SECONDS, struct server_options, drain)},
    {.help = "Configuration:"},
    {"config", 'c', "FILE",
     "read options from this file, each by its long name; what the command line says wins; a "
     "section [channel PATTERN] has options of the channels that match",
     OPTION_AT(STRING, struct server_options, config_file)},
    {"check-config", 0, NULL,
     "say OK, or all that is wrong with the options and the file, and exit",
     OPTION_AT(FLAG, struct server_options, check_config)},
    {"print-config", 0, NULL,
     "print the configuration in force, as a file, with where each value comes from, and exit",
     OPTION_AT(FLAG, struct server_options, print_config)},
    {.help = "Telling:"},
    {"log-level", 0, "LEVEL", "error, warn, info or debug (default: info)",
     OPTION_BY(option_values_log_level), .values = "error|warn|info|debug"},
    {"log-format", 0, "FORMAT",
     "text (for people), or json (an object in each line) (default: text)",
     OPTION_BY(option_values_log_format), .values = "text|json"},
    {"log-file", 0, "FILE",
     "write the log there and not to standard error; SIGHUP and SIGUSR1 reopen it, after logrotate "
     "has moved it away",
     OPTION_AT(STRING, struct server_options, log_file)},
    {"log-connections", 0, NULL,
     "a line for each connection at its end: address, channel, transport, duration, messages and "
     "bytes each way, close code, and whether the client, the server or the network ended it",
     OPTION_AT(FLAG, struct server_options, log_connections)},
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
                "  wsbroadcastd -l 0.0.0.0:80 -l [::]:80 on all addresses\n"
                "  wsbroadcastd -w auto -l unix:/run/ws  on all CPUs, behind a proxy\n"
                "  wsbroadcastd --prefix '' --path /     pass texts on as they come\n"
                "  wsbroadcastd --tls-cert cert.pem --tls-key key.pem   serve wss://\n"
                "\n"
                "SIGTERM and SIGINT close every connection (1001) and end the server; a second\n"
                "one ends it at once.\n",
    .statuses = statuses,
    .status_count = sizeof statuses / sizeof *statuses,
};

void server_options_init(struct server_options *options)
{
    *options = (struct server_options){
        .workers = 1,
        .path = "/ws",
        .health_path = "/health",
        .prefix = "Message: ",
        .publish = CHANNEL_BY_WS | CHANNEL_BY_HTTP,
        .max_message = 1024 * 1024,
        .max_lag = 16 * 1024 * 1024,
        .max_channels = 10000,
        .max_memory = process_memory_limit() / 2,
        .read_mildly = true,
        .history_total = SERVER_OPTIONS_UNSET,
        .history_memory = SERVER_OPTIONS_UNSET,
        .store_patience = 15 * 1000,
        .max_fragments = 128 * 1024,
        .max_empty_fragments = 100,
        .max_header_bytes = HTTP_HEAD_MAX_BYTES,
        .max_header_count = HTTP_HEAD_MAX_FIELDS,
        .max_control_per_second = 1000,
        .max_auth_failures = 30,
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
}

int server_options_parse(struct server_options *options, int argc, char **argv, struct error *error)
{
    int operands, status;

    server_options_init(options);
    status = options_parse(&server_options_table, argc, argv, options, &operands, error);
    if (status != 0)
        return status;
    if (operands < argc)
        return error_set(error, UV_EINVAL, "'%s' is not an option, and nothing else is expected",
                         argv[operands]);
    return server_options_settle(options, error);
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

static enum channel_who who_may(const struct server_options *options, enum server_options_who given)
{
    switch (given) {
    case SERVER_OPTIONS_ANYONE:
        return CHANNEL_ANYONE;
    case SERVER_OPTIONS_AUTHORIZED:
        return CHANNEL_AUTHORIZED;
    case SERVER_OPTIONS_NOBODY:
        return CHANNEL_NOBODY;
    case SERVER_OPTIONS_NOT_GIVEN:
        break;
    }
    return server_options_authenticate(options) ? CHANNEL_AUTHORIZED : CHANNEL_ANYONE;
}

struct channel_settings server_options_settings(const struct server_options *options)
{
    struct channel_settings settings = {
        .prefix = "",
        .publish = options->publish,
        .may_subscribe = who_may(options, options->may_subscribe),
        .may_publish = who_may(options, options->may_publish),
        .no_echo = options->no_echo,
        .skip_slow = options->skip_slow,
        .no_compression = options->no_compression,
        .max_message = options->max_message,
        .max_subscribers = options->max_subscribers,
        .max_messages_per_second = options->max_messages_per_second,
        .max_bytes_per_second = options->max_bytes_per_second,
        .lag = {server_options_max_lag(options), options->max_lag_messages, options->max_lag_time},
        .history = options->history,
        .subprotocol_count = options->subprotocol_count,
    };

    memcpy(settings.subprotocols, options->subprotocols, sizeof settings.subprotocols);
    return settings;
}

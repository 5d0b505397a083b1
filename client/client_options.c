#include "client/client_options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

#include "client/proxy.h"
#include "client/request.h"
#include "common/utf8.h"

enum {
    DEFAULT_MAX_DELAY = 60 * 1000, /* milliseconds, as all of these */
    DEFAULT_PING = 20 * 1000,
    DEFAULT_CONNECT_TIMEOUT = 30 * 1000,
    DEFAULT_MAX_REDIRS = 10,
};

static int store_message(void *target, const char *argument, struct error *error)
{
    struct client_options *options = target;
    const char **messages;

    if (!utf8_valid((const uint8_t *) argument, strlen(argument)))
        return error_set(error, UV_EINVAL, "a text message must be UTF-8");
    messages = realloc((void *) options->messages,
                       (options->message_count + 1) * sizeof *options->messages);
    if (messages == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    options->messages = messages;
    options->messages[options->message_count++] = argument;
    return 0;
}

static int store_field(void *target, const char *argument, struct error *error)
{
    return request_add_field(&((struct client_options *) target)->fields, argument, error);
}

static int store_subprotocol(void *target, const char *argument, struct error *error)
{
    return request_add_subprotocol(&((struct client_options *) target)->subprotocols, argument,
                                   error);
}

static int store_value(const char **member, const char *argument, struct error *error)
{
    if (!request_value_valid(argument))
        return error_set(error, UV_EINVAL, "a header field has no control characters");
    *member = argument;
    return 0;
}

static int store_origin(void *target, const char *argument, struct error *error)
{
    return store_value(&((struct client_options *) target)->origin, argument, error);
}

static int store_user_agent(void *target, const char *argument, struct error *error)
{
    return store_value(&((struct client_options *) target)->user_agent, argument, error);
}

static int store_resolve(void *target, const char *argument, struct error *error)
{
    return route_add_resolve(&((struct client_options *) target)->routes, argument, error);
}

static int store_connect_to(void *target, const char *argument, struct error *error)
{
    return route_add_connect_to(&((struct client_options *) target)->routes, argument, error);
}

static int store_proxy(void *target, const char *argument, struct error *error)
{
    struct proxy proxy;
    int status = proxy_init(&proxy, argument, error);

    if (status == 0)
        ((struct client_options *) target)->proxy = argument;
    proxy_deinit(&proxy);
    return status;
}

static int store_unix_socket(void *target, const char *argument, struct error *error)
{
    const struct sockaddr_un *address = NULL;

    if (*argument == '\0' || strlen(argument) >= sizeof address->sun_path)
        return error_set(error, UV_EINVAL, "'%s' is not a path of 1 to %zu bytes", argument,
                         sizeof address->sun_path - 1);
    ((struct client_options *) target)->unix_socket = argument;
    return 0;
}

static const struct option_spec specs[] = {
    {.help = "Receiving:"},
    {"raw", 'r', NULL, "print just the message and a newline",
     OPTION_AT(FLAG, struct client_options, raw)},
    {"count", 'n', "N", "close and exit 0 after N messages",
     OPTION_AT(COUNT, struct client_options, count), .min = 1, .max = UINT64_MAX},
    {"max-message", 0, "SIZE",
     "longest message to accept, with a suffix K, M or G; 0 for no limit; a longer one ends it all "
     "with status 7 (default: 16M)",
     OPTION_AT(SIZE, struct client_options, max_message), .max = (uint64_t) 1 << 30},
    {.help = "Sending:"},
    {"message", 'm', "TEXT",
     "send TEXT a tenth of a second after connecting, so that listeners started in the same "
     "breath hear it; may be given several times",
     OPTION_BY(store_message)},
    {"send", 's', NULL,
     "send each line of standard input; its end does not end the receiving (without -s standard "
     "input is never touched)",
     OPTION_AT(FLAG, struct client_options, send)},
    {"echo", 0, NULL, "send every message back, as it came, and print nothing",
     OPTION_AT(FLAG, struct client_options, echo)},
    {.help = "Staying connected:"},
    {"reconnect", 0, NULL,
     "connect again when the connection is refused, is lost, or is closed by a server that did not "
     "say it was done (1000); not when it would end the same way: wrong usage, TLS that does not "
     "trust, HTTP status 4xx but 408, 425 and 429, a broken protocol",
     OPTION_AT(FLAG, struct client_options, reconnect)},
    {"retries", 0, "N",
     "with --reconnect: give up, with status 9, after N retries in a row (default: never); a "
     "connection that held for 10 seconds begins a new row",
     OPTION_AT(COUNT, struct client_options, retries), .min = 1, .max = UINT64_MAX},
    {"retry-max-delay", 0, "SECONDS",
     "longest wait between retries: the waits are random, and their bound doubles from 1 second up "
     "to this (default: 60); a Retry-After of the server comes on top",
     OPTION_AT(SECONDS, struct client_options, retry_max_delay), .min = 1},
    {"retry-all-errors", 0, NULL, "with --reconnect: whatever the error",
     OPTION_AT(FLAG, struct client_options, retry_all_errors)},
    {"ping-interval", 0, "SECONDS",
     "after so long a silence ask the server whether it is there; 0 for never (default: 20)",
     OPTION_AT(SECONDS, struct client_options, ping_interval)},
    {"ping-timeout", 0, "SECONDS",
     "take the connection for lost when nothing answers a ping for so long; 0 for never "
     "(default: 20)",
     OPTION_AT(SECONDS, struct client_options, ping_timeout)},
    {"connect-timeout", 0, "SECONDS",
     "give up an attempt to connect, from resolving the name to the server's answer, after so "
     "long; 0 for never (default: 30)",
     OPTION_AT(SECONDS, struct client_options, connect_timeout)},
    {"idle-timeout", 0, "SECONDS",
     "exit 124, or connect again with --reconnect, when no message has come for so long",
     OPTION_AT(SECONDS, struct client_options, idle_timeout), .min = 1},
    {.help = "Request:"},
    {"header", 'H', "LINE",
     "add a header field, 'NAME: VALUE'; @FILE for one on each line of FILE; may be given several "
     "times",
     OPTION_BY(store_field)},
    {"origin", 0, "ORIGIN", "say that a page of ORIGIN asks", OPTION_BY(store_origin)},
    {"subprotocol", 0, "NAME", "offer a subprotocol; may be given several times, the best first",
     OPTION_BY(store_subprotocol)},
    {"user", 'u', "USER:PASSWORD",
     "say who you are (Basic); everybody can read it in the list of processes: better --user-file",
     OPTION_AT(STRING, struct client_options, user)},
    {"user-file", 0, "FILE", "the same, USER:PASSWORD being the first line of FILE",
     OPTION_AT(STRING, struct client_options, user_file)},
    {"bearer-file", 0, "FILE",
     "show the token that is the first line of FILE (Bearer); the environment variable "
     "WSRECV_TOKEN does the same. Only servers of the URL's own origin get any of these, or what "
     "-H says, when redirected",
     OPTION_AT(STRING, struct client_options, bearer_file)},
    {"user-agent", 'A', "NAME", "what to call wsrecv (default: wsrecv/" WS_VERSION ")",
     OPTION_BY(store_user_agent)},
    {"max-redirs", 0, "N",
     "follow at most N redirections (301, 302, 307, 308), never from wss:// to ws:// "
     "(default: 10)",
     OPTION_AT(COUNT, struct client_options, max_redirs), .max = 1000},
    {.help = "Network:"},
    {"proxy", 'x', "URL",
     "go through the proxy http://, https:// or socks5h://[USER:PASSWORD@]HOST[:PORT]; '' for none "
     "(default: ws_proxy or http_proxy, for wss:// wss_proxy or https_proxy, or all_proxy)",
     OPTION_BY(store_proxy)},
    {"noproxy", 0, "LIST",
     "hosts, domains, addresses and networks (CIDR) to reach without a proxy, or * (default: "
     "no_proxy)",
     OPTION_AT(STRING, struct client_options, noproxy)},
    {"unix-socket", 0, "PATH", "connect to this socket, whatever the URL's host",
     OPTION_BY(store_unix_socket)},
    {"resolve", 0, "HOST:PORT:ADDRESS[,...]",
     "take these for the addresses of HOST (* for any) at PORT; may be given several times",
     OPTION_BY(store_resolve)},
    {"connect-to", 0, "HOST1:PORT1:HOST2:PORT2",
     "connect to HOST2 and PORT2 for HOST1 and PORT1; each may be empty: any, or the same; may be "
     "given several times",
     OPTION_BY(store_connect_to)},
    {"ipv4", '4', NULL, "use IPv4 only", OPTION_AT(FLAG, struct client_options, ipv4)},
    {"ipv6", '6', NULL, "use IPv6 only", OPTION_AT(FLAG, struct client_options, ipv6)},
    {.help = "TLS (wss://):"},
    {"cacert", 0, "FILE",
     "believe servers whose certificate is signed by, or is, one in FILE (PEM) (default: those "
     "that the system trusts)",
     OPTION_AT(STRING, struct client_options, cacert)},
    {"cert", 0, "FILE", "show the server this certificate (PEM, its chain behind it)",
     OPTION_AT(STRING, struct client_options, cert)},
    {"key", 0, "FILE", "the key of --cert, if it is not in the same file",
     OPTION_AT(STRING, struct client_options, key)},
    {"insecure", 'k', NULL, "believe whoever answers: no check of the server's certificate",
     OPTION_AT(FLAG, struct client_options, insecure)},
    {.help = "Running:"},
    {"no-compression", 0, NULL, "do not offer permessage-deflate",
     OPTION_AT(FLAG, struct client_options, no_compression)},
    {"timeout", 0, "SECONDS", "exit 124 when all is not done by then",
     OPTION_AT(SECONDS, struct client_options, timeout), .min = 1},
    {"quiet", 'q', NULL, "say nothing on stderr but errors",
     OPTION_AT(FLAG, struct client_options, quiet)},
    {"version", 'V', NULL, "print the version and exit",
     OPTION_AT(FLAG, struct client_options, version)},
    {"help", 'h', NULL, "print this help and exit", OPTION_AT(FLAG, struct client_options, help)},
};

const struct option_table client_options_table = {
    .program = "wsrecv",
    .synopsis = "[OPTION]... [URL]",
    .summary = "Connects to a WebSocket server (default: ws://localhost:8000/ws) and prints a\n"
               "line 'Received: TEXT' for each message, as it comes. A binary message is\n"
               "printed as 'base64:' and its bytes in base64. Only messages go to stdout.",
    .specs = specs,
    .count = sizeof specs / sizeof *specs,
    .epilogue = "Examples:\n"
                "  wsrecv ws://127.0.0.1:8000/ws\n"
                "  wsrecv --cacert ours.pem wss://server.example/ws\n"
                "  wsrecv -r -n 10 | sort\n"
                "  wsrecv -r | while read -r line; do echo \"got $line\"; done\n"
                "\n"
                "Exit status:\n"
                "  0    the server closed (1000, 1001 or no code), N messages came, or SIGINT or\n"
                "       SIGTERM did\n"
                "  1    cannot write to standard output\n"
                "  2    wrong usage\n"
                "  3    cannot resolve or connect, or not in time; or the proxy cannot\n"
                "  4    TLS failed\n"
                "  5    the server refused the opening handshake, or redirected in circles\n"
                "  6    the connection was lost: it ended without a Close, or went silent\n"
                "  7    the server broke the protocol\n"
                "  8    the server closed with another code than 1000 or 1001\n"
                "  9    --reconnect: the last of --retries failed\n"
                "  124  the time of --timeout or --idle-timeout passed\n",
};

/* Options that make sense only with, or without, others. */
static int check_together(const struct client_options *options, struct error *error)
{
    int users =
        (options->user != NULL) + (options->user_file != NULL) + (options->bearer_file != NULL);

    if (options->key != NULL && options->cert == NULL)
        return error_set(error, UV_EINVAL, "option '--key' is for a certificate: --cert FILE");
    if (users > 1)
        return error_set(error, UV_EINVAL,
                         "of '--user', '--user-file' and '--bearer-file' one is enough");
    if (!options->reconnect && (options->retries > 0 || options->retry_all_errors))
        return error_set(error, UV_EINVAL, "option '%s' is for '--reconnect'",
                         options->retries > 0 ? "--retries" : "--retry-all-errors");
    return 0;
}

int client_options_init(struct client_options *options, int argc, char **argv, struct error *error)
{
    int operands, status;

    *options = (struct client_options){
        .url = "ws://localhost:8000/ws",
        .max_message = 16 * 1024 * 1024,
        .retry_max_delay = DEFAULT_MAX_DELAY,
        .ping_interval = DEFAULT_PING,
        .ping_timeout = DEFAULT_PING,
        .connect_timeout = DEFAULT_CONNECT_TIMEOUT,
        .user_agent = "wsrecv/" WS_VERSION,
        .max_redirs = DEFAULT_MAX_REDIRS,
    };
    status = options_parse(&client_options_table, argc, argv, options, &operands, error);
    if (status == 0 && argc - operands > 1)
        status = error_set(error, UV_EINVAL, "'%s' is one URL too many", argv[operands + 1]);
    if (status == 0)
        status = check_together(options, error);
    if (status != 0) {
        client_options_deinit(options);
        return status;
    }
    if (operands < argc)
        options->url = argv[operands];
    return 0;
}

void client_options_deinit(struct client_options *options)
{
    free((void *) options->messages);
    options->messages = NULL;
    options->message_count = 0;
    string_list_deinit(&options->fields);
    string_list_deinit(&options->subprotocols);
    route_deinit(&options->routes);
}

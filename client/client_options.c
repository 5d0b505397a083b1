#include "client/client_options.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/utf8.h"

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

static const struct option_status statuses[] = {
    {CLIENT_OK,
     "the server closed (1000, 1001 or no code), N messages came, or SIGINT or SIGTERM did"},
    {CLIENT_OUTPUT, "cannot write to standard output"},
    {CLIENT_USAGE, "wrong usage"},
    {CLIENT_CONNECT, "cannot resolve or connect"},
    {CLIENT_TLS, "TLS failed"},
    {CLIENT_REFUSED, "the server refused the opening handshake"},
    {CLIENT_LOST, "the connection was lost: it ended without a Close"},
    {CLIENT_PROTOCOL, "the server broke the protocol"},
    {CLIENT_CLOSED, "the server closed with another code than 1000 or 1001"},
    {CLIENT_TIMEOUT, "the time of --timeout passed"},
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
                "  wsrecv -r | while read -r line; do echo \"got $line\"; done\n",
    .statuses = statuses,
    .status_count = sizeof statuses / sizeof *statuses,
};

int client_options_init(struct client_options *options, int argc, char **argv, struct error *error)
{
    int operands, status;

    *options = (struct client_options){
        .url = "ws://localhost:8000/ws",
        .max_message = 16 * 1024 * 1024,
    };
    status = options_parse(&client_options_table, argc, argv, options, &operands, error);
    if (status == 0 && argc - operands > 1)
        status = error_set(error, UV_EINVAL, "'%s' is one URL too many", argv[operands + 1]);
    if (status == 0 && options->key != NULL && options->cert == NULL)
        status = error_set(error, UV_EINVAL, "option '--key' is for a certificate: --cert FILE");
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
}

#include "client/client_options.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "client/until.h"
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
    {.help = "Output (of -r, --json, --hex, --base64, -F and -b one):"},
    {"raw", 'r', NULL, "print just the message and a newline",
     OPTION_AT(FLAG, struct client_options, raw)},
    {"null", '0', NULL,
     "end each message with a NUL, not a newline, and print no 'Received: '; lines of -s end so, "
     "too",
     OPTION_AT(FLAG, struct client_options, null)},
    {"json", 0, NULL, "print a JSON object a line: time, type, data or base64, id if known, url",
     OPTION_AT(FLAG, struct client_options, json)},
    {"hex", 0, NULL, "print every message, text too, in hexadecimal",
     OPTION_AT(FLAG, struct client_options, hex)},
    {"base64", 0, NULL, "print every message, text too, in base64",
     OPTION_AT(FLAG, struct client_options, base64)},
    {"format", 'F', "FORMAT",
     "print FORMAT and a newline: %p payload, %x %X hexadecimal, %b base64, %l length, %t type, "
     "%I time (ISO), %U time (epoch), %r seconds since the start, %i event ID, %u URL, %n number, "
     "%%; \\n \\t \\r \\a \\e \\v \\0 \\\\; \\c at the end: no newline",
     OPTION_AT(STRING, struct client_options, format)},
    {"binary-out", 'b', NULL, "print the bytes of each message and nothing else",
     OPTION_AT(FLAG, struct client_options, bytes)},
    {"timestamps", 0, "iso|epoch|rel",
     "print the time before each message: UTC (the default), seconds since 1970, or since the start",
     OPTION_AT(CHOICE, struct client_options, stamps), .min = STAMP_ISO, .optional = true},
    {.help = "Acting on messages:"},
    {"count", 'n', "N", "close and exit 0 after N messages",
     OPTION_AT(COUNT, struct client_options, count), .min = 1, .max = UINT64_MAX},
    {"until", 0, "REGEX",
     "close and exit 0 after the first text message that REGEX (POSIX extended) matches; exit 1 if "
     "it ends without",
     OPTION_AT(STRING, struct client_options, until)},
    {"exec", 0, "COMMAND",
     "run COMMAND (by /bin/sh) for each message, with its bytes on standard input, or what an "
     "output option makes of it; wsrecv prints nothing itself",
     OPTION_AT(STRING, struct client_options, command)},
    {"exec-jobs", 0, "N", "commands that run at once (default: 1, and so in order)",
     OPTION_AT(COUNT, struct client_options, jobs), .min = 1, .max = 1024},
    {"exec-timeout", 0, "SECONDS", "end a command that takes longer",
     OPTION_AT(SECONDS, struct client_options, exec_timeout), .min = 1},
    {"exec-fail", 0, "ignore|stop",
     "after a command that fails go on (the default), or exit with its status",
     OPTION_AT(CHOICE, struct client_options, exec_fail)},
    {.help = "Receiving:"},
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
     "send each line of standard input, of 16 MiB at the most (without -s standard input is never "
     "touched)",
     OPTION_AT(FLAG, struct client_options, send)},
    {"send-binary", 0, NULL, "as -s, in binary messages",
     OPTION_AT(FLAG, struct client_options, send_binary)},
    {"input-eof", 0, "close|keep",
     "when standard input ends, and all is sent: close, or go on receiving (the default)",
     OPTION_AT(CHOICE, struct client_options, input_eof)},
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
                "  1    cannot write to standard output, or nothing matched --until\n"
                "  2    wrong usage\n"
                "  3    cannot resolve or connect\n"
                "  4    TLS failed\n"
                "  5    the server refused the opening handshake\n"
                "  6    the connection was lost: it ended without a Close\n"
                "  7    the server broke the protocol\n"
                "  8    the server closed with another code than 1000 or 1001\n"
                "  124  the time of --timeout passed\n"
                "  N    of the command, with --exec-fail stop (128 + N when signal N ended it)\n",
};

/* ---- what does not go together ---- */

/* Which output option was given, and that it is the only one. */
static int choose_mode(struct client_options *options, struct error *error)
{
    const struct {
        const char *name;
        bool given;
        enum render_mode mode;
    } modes[] = {
        {"raw", options->raw, RENDER_RAW},
        {"json", options->json, RENDER_JSON},
        {"hex", options->hex, RENDER_HEX},
        {"base64", options->base64, RENDER_BASE64},
        {"format", options->format != NULL, RENDER_FORMAT},
        {"binary-out", options->bytes, RENDER_BYTES},
    };
    const char *chosen = NULL;

    options->mode = options->null              ? RENDER_RAW
                    : options->command != NULL ? RENDER_BYTES
                                               : RENDER_RECEIVED;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (!modes[i].given)
            continue;
        if (chosen != NULL)
            return error_set(error, UV_EINVAL,
                             "options '--%s' and '--%s' exclude each other: choose one", chosen,
                             modes[i].name);
        chosen = modes[i].name;
        options->mode = modes[i].mode;
    }
    return 0;
}

static int check_output(const struct client_options *options, struct error *error)
{
    if (options->stamps != STAMP_NONE && options->mode == RENDER_JSON)
        return error_set(error, UV_EINVAL,
                         "options '--timestamps' and '--json' exclude each other: an object has "
                         "its time");
    if (options->stamps != STAMP_NONE && options->mode == RENDER_FORMAT)
        return error_set(error, UV_EINVAL,
                         "options '--timestamps' and '--format' exclude each other: write %%I, %%U "
                         "or %%r in the format");
    if (options->mode == RENDER_BYTES && (options->stamps != STAMP_NONE || options->null))
        return error_set(error, UV_EINVAL,
                         "option '--%s' has no place among bare bytes (%s): choose an output "
                         "option",
                         options->null ? "null" : "timestamps",
                         options->bytes ? "--binary-out" : "--exec");
    return 0;
}

/* Formats and expressions are compiled where they are used; here only to hear what is wrong. */
static int check_texts(const struct client_options *options, struct error *error)
{
    struct error why = {""};
    struct until *until = NULL;
    struct format format;
    int status;

    if (options->format != NULL) {
        status = format_init(&format, options->format, &why);
        if (status != 0)
            return error_set(error, status, "option '--format': %s", why.text);
        format_deinit(&format);
    }
    if (options->until != NULL) {
        status = until_new(&until, options->until, &why);
        if (status != 0)
            return error_set(error, status, "option '--until': %s", why.text);
        until_free(until);
    }
    return 0;
}

static int check_acting(const struct client_options *options, struct error *error)
{
    bool execs = options->command != NULL;

    if (!execs && (options->jobs > 0 || options->exec_timeout > 0 ||
                   options->exec_fail != CLIENT_EXEC_IGNORE))
        return error_set(error, UV_EINVAL, "option '--exec-%s' is for a command: --exec COMMAND",
                         options->jobs > 0           ? "jobs"
                         : options->exec_timeout > 0 ? "timeout"
                                                     : "fail");
    if (execs && options->echo)
        return error_set(error, UV_EINVAL,
                         "options '--exec' and '--echo' exclude each other: choose one");
    if (options->input_eof == CLIENT_EOF_CLOSE && !options->send)
        return error_set(error, UV_EINVAL,
                         "option '--input-eof' is for what is sent: --send or --send-binary");
    return 0;
}

/* What the options say together; the first of these to fail says why. */
static int settle(struct client_options *options, struct error *error)
{
    int status = choose_mode(options, error);

    options->send = options->send || options->send_binary;
    if (status == 0)
        status = check_output(options, error);
    if (status == 0)
        status = check_texts(options, error);
    if (status == 0)
        status = check_acting(options, error);
    if (options->jobs == 0)
        options->jobs = 1;
    return status;
}

int client_options_init(struct client_options *options, int argc, char **argv, struct error *error)
{
    int operands, status;

    *options = (struct client_options){
        .url = "ws://localhost:8000/ws",
        .max_message = 16 * 1024 * 1024,
        .input_eof = CLIENT_EOF_KEEP,
    };
    status = options_parse(&client_options_table, argc, argv, options, &operands, error);
    if (status == 0 && argc - operands > 1)
        status = error_set(error, UV_EINVAL, "'%s' is one URL too many", argv[operands + 1]);
    if (status == 0 && options->key != NULL && options->cert == NULL)
        status = error_set(error, UV_EINVAL, "option '--key' is for a certificate: --cert FILE");
    if (status == 0)
        status = settle(options, error);
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

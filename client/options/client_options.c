#include "client/options/client_options.h"

#include <uv.h>

#include "client/options/client_options_private.h"
#include "client/options/option_store.h"

enum {
    DEFAULT_MAX_DELAY = 60 * 1000, /* milliseconds, as all of these */
    DEFAULT_PING = 20 * 1000,
    DEFAULT_CONNECT_TIMEOUT = 30 * 1000,
    DEFAULT_MAX_REDIRS = 10,
};

static const struct option_spec specs[] = {
    {.help = "Output (of -r, --json, --hex, --base64, -F and -b one):"},
    {"raw", 'r', NULL, "print just the message and a newline",
     OPTION_AT(FLAG, struct client_options, raw)},
    {"null", '0', NULL,
     "end each message with a NUL, not a newline, and print no 'Received: '; lines of -s end so, "
     "too",
     OPTION_AT(FLAG, struct client_options, null)},
    {"json", 0, NULL,
     "print a JSON object a line: time, type, data or base64, id if known, gap (a number or "
     "\"unknown\") if messages were lost before it, url",
     OPTION_AT(FLAG, struct client_options, json)},
    {"hex", 0, NULL, "print every message, text too, in hexadecimal",
     OPTION_AT(FLAG, struct client_options, hex)},
    {"base64", 0, NULL, "print every message, text too, in base64",
     OPTION_AT(FLAG, struct client_options, base64)},
    {"format", 'F', "FORMAT",
     "print FORMAT and a newline: %p payload, %x %X hexadecimal, %b base64, %l length, %t type, "
     "%I time (ISO), %U time (epoch), %r seconds since the start, %{STRFTIME} local time, "
     "%i event ID, %u URL, %n number, "
     "%%; \\n \\t \\r \\a \\e \\v \\0 \\\\; \\c at the end: no newline",
     OPTION_AT(STRING, struct client_options, format)},
    {"binary-out", 'b', NULL, "print the bytes of each message and nothing else",
     OPTION_AT(FLAG, struct client_options, bytes)},
    {"timestamps", 0, "iso|epoch|rel|local",
     "print the time before each message: UTC (the default), seconds since 1970, or since the "
     "start, or local time",
     OPTION_AT(CHOICE, struct client_options, stamps), .min = STAMP_ISO, .optional = true},
    {"pretty", 0, NULL,
     "indent JSON, a member a line (messages that are JSON, or the objects of --json)",
     OPTION_AT(FLAG, struct client_options, pretty)},
    {"color", 0, "auto|always|never",
     "colour JSON: on a terminal (the default; NO_COLOR, CLICOLOR and CLICOLOR_FORCE are heeded), "
     "always, or never",
     OPTION_AT(CHOICE, struct client_options, colour)},
    {.help = "Acting on messages:"},
    {"count", 'n', "N", "close and exit 0 after N messages; exit 1 if it ends with fewer",
     OPTION_AT(COUNT, struct client_options, count), .min = 1, .max = UINT64_MAX},
    {"until", 0, "REGEX",
     "close and exit 0 after the first text message that REGEX (Perl-compatible: PCRE2) matches; "
     "exit 1 if it ends without",
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
    {"sse", 0, NULL,
     "read an event stream (Server-Sent Events), as with an http:// or https:// URL, also where "
     "the URL begins with ws:// or wss://",
     OPTION_AT(FLAG, struct client_options, sse)},
    {"event", 0, "TYPE",
     "of an event stream, take events of this type only; may be given several times (default: all)",
     OPTION_BY(option_store_event), .offer = OPTION_OFFER_NOTHING},
    {"max-message", 0, "SIZE",
     "longest message to accept, with a suffix K, M or G; 0 for no limit; a longer one ends it all "
     "with status 7 (default: 16M)",
     OPTION_AT(SIZE, struct client_options, max_message), .max = (uint64_t) 1 << 30},
    {.help = "Sending:"},
    {"message", 'm', "TEXT",
     "send TEXT a tenth of a second after connecting, so that listeners started in the same "
     "breath hear it; may be given several times",
     OPTION_BY(option_store_message)},
    {"message-file", 0, "FILE",
     "the same with what is in FILE (- for standard input), without a newline at its end; read "
     "once, and in no list of processes",
     OPTION_BY(option_store_message_file)},
    {"message-binary", 0, NULL,
     "what --message and --message-file send are binary messages, every "
     "byte of them",
     OPTION_AT(FLAG, struct client_options, message_binary)},
    {"send", 's', NULL,
     "send each line of standard input, of 16 MiB at the most (without -s standard input is never "
     "touched)",
     OPTION_AT(FLAG, struct client_options, send)},
    {"send-binary", 0, NULL, "as -s, in binary messages",
     OPTION_AT(FLAG, struct client_options, send_binary)},
    {"input-eof", 0, "close|keep",
     "when standard input ends, and all is sent: close (and exit 1 if lines could not be sent), or "
     "go on receiving (the default)",
     OPTION_AT(CHOICE, struct client_options, input_eof)},
    {"echo", 0, NULL, "send every message back, as it came, and print nothing",
     OPTION_AT(FLAG, struct client_options, echo)},
    {.help = "Staying connected:"},
    {"reconnect", 0, NULL,
     "connect again when the connection is refused, is lost, or is closed by a server that did not "
     "say it was done (1000); not when it would end the same way: wrong usage, TLS that does not "
     "trust, HTTP status 4xx but 408, 425 and 429, a broken protocol; SIGUSR2 does so at any time",
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
    {.help = "Missing nothing (where the server gives event IDs; a gap is always reported):"},
    {"since", 0, "ID|all|N",
     "begin behind the message ID, with all that the server has kept, or with the last N of it; "
     "--reconnect goes on by itself from there",
     OPTION_BY(option_store_since)},
    {"until-live", 0, NULL,
     "close and exit 0 when all has come that the server had when wsrecv connected; exit 7 if it "
     "does not say what that is, 1 if it ends before; without --since all of it",
     OPTION_AT(FLAG, struct client_options, until_live)},
    {"state-file", 0, "FILE",
     "keep the ID of the last message that was written, or whose command of --exec is done, in "
     "FILE, and begin there the next time: when wsrecv is killed at any moment, at most the one "
     "message comes again that was being written (what a pipe has taken counts as written)",
     OPTION_AT(STRING, struct client_options, state_file)},
    {"fail-on-gap", 0, NULL,
     "when messages are lost, print what came before and exit with status 10",
     OPTION_AT(FLAG, struct client_options, fail_on_gap)},
    {.help = "Request:"},
    {"header", 'H', "LINE",
     "add a header field, 'NAME: VALUE'; 'NAME;' for one without a value; 'NAME:' for no "
     "User-Agent or Origin; @FILE for one on each line of FILE (- for standard input) that does "
     "not begin with #; may be given several times; an Authorization excludes the options for "
     "credentials below",
     OPTION_BY(option_store_field)},
    {"query", 0, "NAME=VALUE",
     "add a parameter to the query of the URL, percent-encoded; may be given several times",
     OPTION_BY(option_store_query), .offer = OPTION_OFFER_NOTHING},
    {"origin", 0, "ORIGIN", "say that a page of ORIGIN asks", OPTION_BY(option_store_origin)},
    {"subprotocol", 0, "NAME",
     "offer a subprotocol; may be given several times, the best first; one that looks like a "
     "credential (with 'bearer' in it, beginning with 'auth', or of more than 40 characters) is "
     "treated as one",
     OPTION_BY(option_store_subprotocol)},
    {"user", 'u', "USER:PASSWORD",
     "say who you are (Basic); everybody can read it in the list of processes: better --user-file",
     OPTION_AT(STRING, struct client_options, user)},
    {"user-file", 0, "FILE", "the same, USER:PASSWORD being the first line of FILE",
     OPTION_AT(STRING, struct client_options, user_file)},
    {"bearer-file", 0, "FILE",
     "show the token that is the first line of FILE (Bearer); the environment variable "
     "WSRECV_TOKEN does the same. When redirected, only servers of the URL's own origin get any of "
     "these credentials, or what -H says; files like this one, and those of -H, are read anew for "
     "each connection, and if one has changed, --reconnect goes on after a 401",
     OPTION_AT(STRING, struct client_options, bearer_file)},
    {"token-command", 0, "COMMAND",
     "show the token that COMMAND (run by /bin/sh before each connection) prints, its first line",
     OPTION_AT(STRING, struct client_options, token_command)},
    {"user-agent", 'A', "NAME", "what to call wsrecv (default: wsrecv/" WS_VERSION ")",
     OPTION_BY(option_store_user_agent)},
    {"max-redirs", 0, "N",
     "follow at most N redirections (301, 302, 307, 308), never from wss:// to ws:// "
     "(default: 10)",
     OPTION_AT(COUNT, struct client_options, max_redirs), .max = 1000},
    {.help = "Network:"},
    {"proxy", 'x', "URL",
     "go through the proxy http://, https://, socks5:// (or socks://), socks5h:// or "
     "socks4a://[USER:PASSWORD@]HOST[:PORT], of which the last two resolve names; '' for none "
     "(default: ws_proxy or http_proxy, for wss:// wss_proxy or https_proxy, or all_proxy)",
     OPTION_BY(option_store_proxy)},
    {"noproxy", 0, "LIST",
     "hosts, domains, addresses and networks (CIDR) to reach without a proxy, or * (default: "
     "no_proxy)",
     OPTION_AT(STRING, struct client_options, noproxy)},
    {"unix-socket", 0, "PATH", "connect to this socket, whatever the URL's host",
     OPTION_BY(option_store_unix_socket)},
    {"resolve", 0, "HOST:PORT:ADDRESS[,...]",
     "take these for the addresses of HOST (* for any) at PORT; may be given several times",
     OPTION_BY(option_store_resolve)},
    {"connect-to", 0, "HOST1:PORT1:HOST2:PORT2",
     "connect to HOST2 and PORT2 for HOST1 and PORT1; each may be empty: any, or the same; may be "
     "given several times",
     OPTION_BY(option_store_connect_to)},
    {"ipv4", '4', NULL, "use IPv4 only", OPTION_AT(FLAG, struct client_options, ipv4)},
    {"ipv6", '6', NULL, "use IPv6 only", OPTION_AT(FLAG, struct client_options, ipv6)},
    {.help = "TLS (wss://):"},
    {"cacert", 0, "FILE",
     "believe servers whose certificate is signed by, or is, one in FILE (PEM) (default: those "
     "that the system trusts)",
     OPTION_AT(STRING, struct client_options, cacert)},
    {"capath", 0, "DIR", "the same with a directory that 'openssl rehash' has prepared",
     OPTION_AT(STRING, struct client_options, capath)},
    {"cert", 0, "FILE",
     "show the server this certificate (PEM, its chain behind it; or PKCS#12, with its key)",
     OPTION_AT(STRING, struct client_options, cert)},
    {"cert-type", 0, "pem|p12", "which of these --cert is (default: as it looks)",
     OPTION_AT(CHOICE, struct client_options, cert_type), .min = CLIENT_CERT_PEM},
    {"key", 0, "FILE", "the key of --cert, if it is not in the same file",
     OPTION_AT(STRING, struct client_options, key)},
    {"key-pass-file", 0, "FILE",
     "decrypt the key of --cert with the passphrase that is the first line of FILE (default: ask "
     "for it, where wsrecv is in the foreground of a terminal)",
     OPTION_AT(STRING, struct client_options, key_pass_file)},
    {"sni", 0, "NAME",
     "ask the server for NAME, and believe a certificate for it, in place of the URL's host",
     OPTION_BY(option_store_sni)},
    {"insecure", 'k', NULL, "believe whoever answers: no check of the server's certificate",
     OPTION_AT(FLAG, struct client_options, insecure)},
    {.help = "Running:"},
    {"no-compression", 0, NULL, "do not offer permessage-deflate",
     OPTION_AT(FLAG, struct client_options, no_compression)},
    {"timeout", 0, "SECONDS", "exit 124 when all is not done by then",
     OPTION_AT(SECONDS, struct client_options, timeout), .min = 1},
    {"close", 0, "CODE[:REASON]",
     "when wsrecv ends the connection, close it with this code, 1000 to 1003, 1007 to 1014 or 3000 "
     "to 4999 (default: 1000)",
     OPTION_BY(option_store_close), .offer = OPTION_OFFER_NOTHING},
    {"ready-fd", 0, "N",
     "once the first connection is open, write a line to descriptor N, and close it",
     OPTION_AT(COUNT, struct client_options, ready_fd), .min = 1, .max = 1 << 20},
    {"ready-file", 0, "FILE",
     "once the first connection is open, write its URL to FILE, which is removed at the start",
     OPTION_AT(STRING, struct client_options, ready_file)},
    {"max-time", 0, "SECONDS", "the same as --timeout",
     OPTION_AT(SECONDS, struct client_options, timeout), .min = 1},
    {"verbose", 'v', NULL,
     "show on stderr what is said: both handshakes without secrets, frames with their sizes, never "
     "a payload",
     OPTION_AT(FLAG, struct client_options, verbose)},
    {"stats", 0, NULL,
     "at the end say on stderr how many messages and bytes came, how fast, how well compressed, "
     "round-trip times of pings, reconnects, gaps; SIGUSR1 asks for the same at any time",
     OPTION_AT(FLAG, struct client_options, stats)},
    {"quiet", 'q', NULL, "say nothing on stderr but errors",
     OPTION_AT(FLAG, struct client_options, quiet)},
    {"version", 'V', NULL, "print the version and exit",
     OPTION_AT(FLAG, struct client_options, version)},
    {"help", 'h', NULL, "print this help and exit", OPTION_AT(FLAG, struct client_options, help)},
};

static const struct option_status statuses[] = {
    {CLIENT_OK,
     "the server closed (1000, 1001 or no code), or what was asked for has happened: N messages of "
     "-n came, one that --until matches, or (--until-live) all that was kept"},
    {CLIENT_OUTPUT,
     "cannot write to standard output; or it ended before what was waited for with -n, --until "
     "or --until-live had come; or standard input could not be read or, with --input-eof close, "
     "was not all sent"},
    {CLIENT_USAGE, "wrong usage"},
    {CLIENT_CONNECT, "cannot resolve or connect, or not in time; or the proxy cannot"},
    {CLIENT_TLS, "TLS failed"},
    {CLIENT_REFUSED, "the server refused the opening handshake, or redirected in circles"},
    {CLIENT_LOST, "the connection was lost: it ended without a Close, or went silent"},
    {CLIENT_PROTOCOL, "the server broke the protocol"},
    {CLIENT_CLOSED, "the server closed with another code than 1000 or 1001"},
    {CLIENT_RETRIES, "--reconnect: the last of --retries failed"},
    {CLIENT_GAP, "--fail-on-gap: messages were lost"},
    {CLIENT_TIMEOUT, "the time of --timeout or --idle-timeout passed"},
    {OPTION_STATUS_N, "of the command, with --exec-fail stop (128 + N when signal N ended it)"},
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
                "  wsrecv :8000                        (ws://localhost:8000/ws)\n"
                "  wsrecv server.example:8000/ws       (ws:// may be left out)\n"
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
        .input_eof = CLIENT_EOF_KEEP,
        .retry_max_delay = DEFAULT_MAX_DELAY,
        .ping_interval = DEFAULT_PING,
        .ping_timeout = DEFAULT_PING,
        .connect_timeout = DEFAULT_CONNECT_TIMEOUT,
        .user_agent = "wsrecv/" WS_VERSION,
        .max_redirs = DEFAULT_MAX_REDIRS,
    };
    status = options_parse(&client_options_table, argc, argv, options, &operands, error);
    if (status == 0 && argc - operands > 1)
        status = error_set(error, UV_EINVAL,
                           "more than one URL is given; what has spaces in it needs quotes, as in "
                           "-H 'NAME: VALUE'");
    if (status == 0)
        status = client_options_settle(options, error);
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
    message_list_deinit(&options->messages);
    string_list_deinit(&options->headers);
    string_list_deinit(&options->queries);
    string_list_deinit(&options->events);
    header_fields_deinit(&options->fields);
    string_list_deinit(&options->subprotocols);
    string_list_deinit(&options->public_subprotocols);
    route_deinit(&options->routes);
}

#include "tests/bench/load_options.h"

#include <string.h>
#include <uv.h>

#include "tests/bench/flight.h"
#include "tests/bench/payload.h"

static int store_pid(void *target, const char *argument, struct error *error)
{
    struct load_options *options = target;
    uint64_t pid = 0;
    int status = options_parse_count(argument, 1, INT32_MAX, &pid, error);

    if (status != 0)
        return status;
    if (options->pid_count == LOAD_OPTIONS_MAX_PIDS)
        return error_set(error, UV_EINVAL, "at most %d processes", LOAD_OPTIONS_MAX_PIDS);
    options->pids[options->pid_count++] = (int) pid;
    return 0;
}

static int store_sizes(void *target, const char *argument, struct error *error)
{
    struct load_options *options = target;

    options->size_count = 0;
    while (*argument != '\0') {
        size_t len = strcspn(argument, ",");
        char word[24] = {0};
        int status;

        if (len >= sizeof word || options->size_count == LOAD_OPTIONS_MAX_SIZES)
            return error_set(error, UV_EINVAL, "at most %d numbers", LOAD_OPTIONS_MAX_SIZES);
        memcpy(word, argument, len);
        status =
            options_parse_count(word, 1, UINT32_MAX, &options->sizes[options->size_count++], error);
        if (status != 0)
            return status;
        argument += len + (argument[len] == ',');
    }
    return 0;
}

static const struct option_spec specs[] = {
    {.help = "The server:"},
    {"host", 0, "ADDRESS", "IPv4 (default: 127.0.0.1)",
     OPTION_AT(STRING, struct load_options, host)},
    {"port", 'p', "PORT", "(default: 8000)", OPTION_AT(COUNT, struct load_options, port), .min = 1,
     .max = 65535},
    {"path", 0, "PATH", "(default: /ws)", OPTION_AT(STRING, struct load_options, path)},
    {"tls", 0, NULL, "use TLS (wss://); the certificate is not checked",
     OPTION_AT(FLAG, struct load_options, tls)},
    {"deflate", 0, NULL, "offer permessage-deflate; payloads of 128 bytes and more are JSON",
     OPTION_AT(FLAG, struct load_options, deflate)},
    {"source-addresses", 0, "N",
     "connect from so many addresses in turn, 127.0.0.2 and up: one address has 28,000 ports "
     "(default: 0, the system chooses)",
     OPTION_AT(COUNT, struct load_options, source_addresses), .max = 200},
    {"server-pid", 0, "PID",
     "also report CPU time and memory of this local process; if given several times, their sum",
     OPTION_BY(store_pid)},
    {.help = "The load:"},
    {"subscribers", 'n', "N", "number of clients that read everything (default: 1000)",
     OPTION_AT(COUNT, struct load_options, subscribers), .max = UINT32_MAX},
    {"publishers", 'P', "N", "number of subscribers that also publish (default: 1)",
     OPTION_AT(COUNT, struct load_options, publishers), .min = 1, .max = UINT32_MAX},
    {"in-flight", 'W', "N",
     "closed loop: messages in flight in total; when all subscribers have one, its publisher "
     "sends the next (default: 1)",
     OPTION_AT(COUNT, struct load_options, in_flight), .min = 1, .max = FLIGHT_MAX / 2},
    {"rate", 'r', "N", "open loop: messages a second, in place of the closed loop",
     OPTION_AT(COUNT, struct load_options, rate), .min = 1, .max = 10 * 1000 * 1000},
    {"size", 's', "BYTES", "size of a payload (default: 64)",
     OPTION_AT(SIZE, struct load_options, size), .min = PAYLOAD_MIN, .max = 16 * 1024 * 1024},
    {"slow", 0, "N", "number of additional subscribers that never read (default: 0)",
     OPTION_AT(COUNT, struct load_options, slow), .max = UINT32_MAX},
    {"warmup", 0, "SECONDS", "time before counting begins (default: 0.5)",
     OPTION_AT(SECONDS, struct load_options, warmup)},
    {"seconds", 't', "SECONDS", "time that is counted (default: 2)",
     OPTION_AT(SECONDS, struct load_options, duration), .min = 1},
    {"messages", 'm', "N", "count this many messages, in place of a time",
     OPTION_AT(COUNT, struct load_options, messages), .min = 1, .max = UINT32_MAX / 2},
    {"verify", 0, "N",
     "number of subscribers for which every byte is checked, and that each publisher's "
     "messages arrive once and in order; the others are only checked for completeness "
     "(default: 10)",
     OPTION_AT(COUNT, struct load_options, verify), .max = UINT32_MAX},
    {"poll", 0, NULL, "busy-wait: the server does not spend time on waking wsload",
     OPTION_AT(FLAG, struct load_options, poll)},
    {.help =
         "storm: open and close connections repeatedly; with --rate, while --subscribers receive:"},
    {"connections", 0, "N", "number of connections in total (default: 20000)",
     OPTION_AT(COUNT, struct load_options, connections), .min = 1, .max = UINT32_MAX},
    {"concurrency", 0, "N", "connections at a time (default: 64)",
     OPTION_AT(COUNT, struct load_options, concurrency), .min = 1, .max = UINT32_MAX},
    {.help = "idle: open connections, measure memory, and deliver one message to all:"},
    {"sizes", 0, "N,N,…", "numbers of connections, one after the other (default: 1000,10000,19000)",
     OPTION_BY(store_sizes)},
    {"help", 'h', NULL, "print this help and exit", OPTION_AT(FLAG, struct load_options, help)},
};

const struct option_table load_options_table = {
    .program = "wsload",
    .synopsis = "[OPTION]... [load|storm|idle]",
    .summary =
        "Generates load for a WebSocket server that broadcasts, and prints one line of JSON with\n"
        "rates, latencies and, with --server-pid, the server's CPU time and memory.\n"
        "\n"
        "Works with any server that sends each text message to all clients, the sender\n"
        "included, unchanged or with a fixed text before it. It uses one core.",
    .specs = specs,
    .count = sizeof specs / sizeof *specs,
    .epilogue = "Examples:\n"
                "  wsload -p 8000 -W 16 --server-pid $(pidof wsbroadcastd)\n"
                "  wsload -p 8000 -W 256 -P 256 -t 5\n"
                "  wsload -p 8000 -r 2000\n"
                "  wsload -p 8000 storm --connections 50000\n"
                "  wsload --host 192.0.2.7 -p 443 --tls --path /chat -n 500\n"
                "\n"
                "Exit status: 0 done, 1 the server failed (a delivery was lost, doubled or wrong;\n"
                "a connection refused or lost), 2 wrong usage.\n",
};

static int parse_mode(struct load_options *options, const char *word, struct error *error)
{
    static const char *const names[] = {"load", "storm", "idle"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(word, names[i]) == 0) {
            options->mode = (enum load_mode) i;
            return 0;
        }
    }
    return error_set(error, UV_EINVAL, "'%s' is none of load, storm, idle", word);
}

int load_options_parse(struct load_options *options, int argc, char **argv, struct error *error)
{
    int operands, status;

    *options = (struct load_options){
        .host = "127.0.0.1",
        .port = 8000,
        .path = "/ws",
        .subscribers = 1000,
        .publishers = 1,
        .in_flight = 1,
        .size = 64,
        .verify = 10,
        .warmup = 500,
        .duration = 2000,
        .connections = 20000,
        .concurrency = 64,
        .sizes = {1000, 10000, 19000},
        .size_count = 3,
    };
    status = options_parse(&load_options_table, argc, argv, options, &operands, error);
    if (status != 0)
        return status;
    if (operands < argc && (status = parse_mode(options, argv[operands], error)) != 0)
        return status;
    if (operands + 1 < argc)
        return error_set(error, UV_EINVAL, "'%s' is one word too many", argv[operands + 1]);
    if (options->publishers > options->subscribers && options->mode == LOAD_FAN_OUT)
        return error_set(error, UV_EINVAL, "publishers are subscribers: there cannot be more");
    return 0;
}

/* What the server itself costs, with as many peers as memory holds: the real worker, with upgrade,
 * peer, transport, channel, block_log, fanout and keep-alive, on a network that costs nothing.
 *
 *     bench_null [-2] [PEERS…]
 *
 * PEERS are sizes in growing order; 10000 100000 1000000 if none is given. With -2 the server is
 * stopped a second time, in the middle of the first.
 *
 * Prints a line of JSON for each size, and one for the goodbye. Whatever is measured is also
 * counted: a peer that did not get every byte, a write to a peer that has nothing to get, or a turn
 * of the loop that writes to more peers than its budgets allow, ends it with a line on stderr and
 * status 1. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/null/null_clock.h"
#include "tests/bench/null/null_stream.h"
#include "tests/rules.h"
#include "tests/worker_here.h"

enum {
    ROUNDS = 7,          /* of each kind of flush; medians are told */
    JOINS_A_TURN = 100,  /* how many come at a time */
    MOST_CHURN = 100000, /* joins and leaves in between */
    IDLE_TURNS = 1000,
    MOST_SIZES = 16,
    LONG_RUN = 64, /* messages */
    PAYLOAD = 64,
    FRAME = PAYLOAD + 2,
    CLOSE_REPLY = 4, /* bytes of a Close with a code, */
    GOODBYE = 28,    /* and of one with the server's reason */
    GROUPS = 80,     /* ticks in one ping interval */
    TICK_MS = 250,
    /* Peers that one turn may write to: some messages', and some own frames'. */
    MOST_WRITES = 2 * FLUSH_BUDGET + JOINS_A_TURN,
};

static const uint8_t pong[] = {0x8a, 0x80, 0, 0, 0, 0};
static const uint8_t normal_close[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};
static const uint8_t answer_to_goodbye[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9};

struct bench {
    struct worker *worker;
    struct journal journal;
    struct worker_shared shared;
    struct fd_shortage shortage;
    _Atomic size_t running;
    struct server_options options;
    struct config config;
    struct channels channels;
    struct channel *channel; /* the default one, in which they all are */
    struct limits limits;
    uv_loop_t main_loop; /* what the worker tells when it is done */
    uv_async_t done;
    struct stream **streams; /* of those who are connected */
    size_t count;
    size_t most;
    uint64_t total;   /* bytes that each of them must have got; later ones are put at this place */
    bool times_turns; /* which costs, too */
    double longest;   /* the longest turn since this was last set to 0: nanoseconds of CPU, */
    uint64_t most_writes; /* and writes */
    uint64_t random;
};

__attribute__((format(printf, 1, 2), noreturn)) static void broken(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void) fprintf(stderr, "bench_null: broken promise: ");
    (void) vfprintf(stderr, format, arguments);
    (void) fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* ---- turns ---- */

static void run_turn(struct bench *bench)
{
    uint64_t writes = null_network.writes;
    double cpu = bench->times_turns ? null_clock_spent().cpu : 0;

    (void) uv_run(&bench->worker->loop, UV_RUN_NOWAIT);
    null_network_turn();
    writes = null_network.writes - writes;
    if (bench->times_turns && null_clock_spent().cpu - cpu > bench->longest)
        bench->longest = null_clock_spent().cpu - cpu;
    if (bench->times_turns) { /* what was made for a later turn counts, too */
        const struct list *dirty = &bench->worker->context.transports._dirty;

        for (const struct list *node = dirty->next; node != dirty; node = node->next)
            writes++;
    }
    if (writes > bench->most_writes)
        bench->most_writes = writes;
}

static bool is_quiet(const struct bench *bench)
{
    return list_empty(&bench->worker->due) &&
           list_empty(&bench->worker->context.transports._dirty) &&
           (null_network.held || null_network_waiting() == 0);
}

static void run_until_quiet(struct bench *bench)
{
    do
        run_turn(bench);
    while (!is_quiet(bench));
}

/* Runs while the clock goes on by a millisecond a turn, until so many writes have been made. */
static void run_until_written(struct bench *bench, uint64_t writes)
{
    uint64_t wanted = null_network.writes + writes;
    uint64_t turns = 2 * writes + 2 * TICK_MS;

    while (null_network.writes < wanted && turns-- > 0) {
        null_clock_pass(1);
        run_turn(bench);
    }
    if (null_network.writes != wanted)
        broken("%llu writes too few or too many",
               (unsigned long long) (null_network.writes - wanted));
}

/* Everybody has got everything, and no turn was too long. */
static void check(struct bench *bench, const char *phase)
{
    for (size_t i = 0; i < bench->count; i++) {
        if (null_stream_got(bench->streams[i]) != bench->total)
            broken("%s: peer %zu has got %llu bytes of %llu", phase, i,
                   (unsigned long long) null_stream_got(bench->streams[i]),
                   (unsigned long long) bench->total);
    }
    if (bench->most_writes > MOST_WRITES)
        broken("%s: one turn wrote to %llu peers", phase, (unsigned long long) bench->most_writes);
    bench->most_writes = 0;
}

/* ---- coming and going ---- */

static void join_one(struct bench *bench)
{
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    if (worker_turn_connection(&(struct listener){.owner = bench->worker, .loopback = true}, -1) !=
        0)
        broken("a connection is refused");
    bench->streams[bench->count++] = null_network_accepted();
    null_stream_say(null_network_accepted(), request, sizeof request - 1);
}

/* The real opening handshake; what the server answers is not counted. */
static void join(struct bench *bench, size_t count)
{
    while (count > 0) {
        size_t before = bench->count;

        for (size_t i = 0; i < JOINS_A_TURN && count > 0; i++, count--)
            join_one(bench);
        run_until_quiet(bench);
        for (size_t i = before; i < bench->count; i++) {
            if (null_stream_got(bench->streams[i]) == 0)
                broken("a request is not answered");
            null_stream_set_got(bench->streams[i], bench->total);
        }
    }
}

/* Takes one of those who are connected to the end of the list, and off it. */
static struct stream *take_any(struct bench *bench)
{
    struct stream **last = &bench->streams[--bench->count];
    struct stream **any, *taken;

    bench->random = bench->random * 6364136223846793005U + 1442695040888963407U;
    any = &bench->streams[(bench->random >> 33) % (bench->count + 1)];
    taken = *any;
    *any = *last;
    *last = taken;
    return taken;
}

/* Anybody leaves, with a closing handshake. */
static void leave(struct bench *bench, size_t count)
{
    while (count > 0) {
        size_t before = bench->count;

        for (size_t i = 0; i < JOINS_A_TURN && count > 0; i++, count--)
            null_stream_say(take_any(bench), normal_close, sizeof normal_close);
        run_until_quiet(bench);
        for (size_t i = bench->count; i < before; i++) {
            if (null_stream_got(bench->streams[i]) != bench->total + CLOSE_REPLY)
                broken("a Close is not answered");
            null_stream_end(bench->streams[i]);
        }
    }
    run_turn(bench);
    if (bench->worker->context.peers != bench->count)
        broken("%zu peers are there, not %zu", bench->worker->context.peers, bench->count);
}

/* ---- what is told ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

static void tell(const char *name, double value)
{
    (void) printf(", \"%s\": %.*f", name, value < 100 ? 1 : 0, value);
}

/* The least, the median and the most. */
static void tell_spread(const char *name, double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    (void) printf(", \"%s\": [%.1f, %.1f, %.1f]", name, values[0], values[count / 2],
                  values[count - 1]);
}

static double a_peer(const struct bench *bench, double nanoseconds)
{
    return nanoseconds / (double) bench->count;
}

/* ---- what is measured ---- */

static void publish(struct bench *bench, struct channel *channel, unsigned messages)
{
    static const uint8_t payload[PAYLOAD] = "{\"a\": \"message of the usual size\"}";
    struct frame_part part = {payload, sizeof payload};

    for (unsigned i = 0; i < messages; i++) {
        if (channel_publish(channel, &bench->worker->publisher, FRAME_TEXT, &part, 1, NULL) != 0)
            broken("nothing can be published");
    }
    if (channel == bench->channel)
        bench->total += (uint64_t) messages * FRAME;
}

static struct fanout *own_fanout(const struct bench *bench)
{
    return container_of(bench->streams[0], struct peer, transport.stream)->_fanout;
}

/* So many messages for everybody, each round one flush. */
static void measure_flush(struct bench *bench, const char *name, unsigned messages)
{
    double cpu[ROUNDS], user = 0;
    char user_name[64];

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t writes = null_network.writes, stalls = null_network.stalls;
        struct null_cost before = null_clock_spent(), cost;

        publish(bench, bench->channel, messages);
        run_until_quiet(bench);
        cost = null_clock_since(before);
        cpu[i] = a_peer(bench, cost.cpu);
        user += a_peer(bench, cost.user) / ROUNDS;
        if (null_network.writes - writes < bench->count ||
            (null_network.stalls == stalls && null_network.writes - writes != bench->count))
            broken("%s: more or fewer writes than peers", name);
        check(bench, name);
    }
    tell_spread(name, cpu, ROUNDS);
    (void) snprintf(user_name, sizeof user_name, "%s_user", name);
    tell(user_name, user);
}

/* Some sockets fill up; they drain in the next turn, or, held, at the end: until then those peers
 * are not visited. */
static void measure_stalls(struct bench *bench)
{
    double cpu[ROUNDS];
    size_t held;

    null_network.stall_one_in = 100;
    measure_flush(bench, "flush_stalls_ns", 1);
    publish(bench, bench->channel, LONG_RUN); /* longer than what is left with libuv */
    run_until_quiet(bench);
    check(bench, "a long run");
    null_network.held = true;
    publish(bench, bench->channel, 1);
    run_until_quiet(bench);
    null_network.stall_one_in = 0;
    held = null_network_waiting();
    if (own_fanout(bench)->_ready._count != bench->count - held)
        broken("peers with a full socket are to be visited");
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t writes = null_network.writes;
        struct null_cost before = null_clock_spent();

        publish(bench, bench->channel, 1);
        run_until_quiet(bench);
        cpu[i] = null_clock_since(before).cpu / (double) (bench->count - held);
        if (null_network.writes - writes != bench->count - held)
            broken("peers with a full socket are visited");
    }
    tell_spread("flush_held_ns", cpu, ROUNDS);
    null_network.held = false;
    null_network_turn();
    run_until_quiet(bench);
    check(bench, "full sockets");
}

/* Nothing to get: turns in which nothing happens, and in which something is published to another
 * channel, which has one peer. */
static void measure_idle(struct bench *bench)
{
    struct fanout *own = own_fanout(bench), other;
    struct peer *peer =
        container_of(bench->streams[bench->count - 1], struct peer, transport.stream);
    uint64_t writes = null_network.writes;
    struct null_cost before;
    struct channel channel;

    before = null_clock_spent();
    for (unsigned i = 0; i < IDLE_TURNS; i++)
        (void) uv_run(&bench->worker->loop, UV_RUN_NOWAIT);
    tell("idle_turn_ns", null_clock_since(before).cpu / IDLE_TURNS);
    if (null_network.writes != writes)
        broken("something is written though there is nothing to get");

    if (channel_init(&channel, "other", NULL) != 0)
        broken("out of memory");
    fanout_init(&other, &channel, &peer_subscriber_ops, &bench->worker->inbox, &bench->worker->due);
    fanout_leave(own, &peer->subscriber, NULL);
    peer->_fanout = &other;
    if (fanout_join(&other, &peer->subscriber, CHANNEL_PLAIN, NULL, NULL) != 0)
        broken("out of memory");
    before = null_clock_spent();
    for (unsigned i = 0; i < IDLE_TURNS; i++) {
        publish(bench, &channel, 1);
        (void) uv_run(&bench->worker->loop, UV_RUN_NOWAIT);
    }
    tell("publish_elsewhere_ns", null_clock_since(before).cpu / IDLE_TURNS);
    if (null_network.writes - writes != IDLE_TURNS)
        broken("others than the channel's one peer are written to");
    fanout_leave(&other, &peer->subscriber, NULL);
    peer->_fanout = own;
    if (fanout_join(own, &peer->subscriber, CHANNEL_PLAIN, NULL, NULL) != 0)
        broken("out of memory");
    null_stream_set_got(bench->streams[bench->count - 1], bench->total);
    fanout_deinit(&other);
    channel_deinit(&channel);
}

/* ---- keep-alive ---- */

/* Bytes of a ping, which bears the place of who gets it. */
static size_t ping_size(const struct bench *bench)
{
    char text[EVENT_ID_SIZE];

    return 2 + strlen(event_id_print(channel_last_id(bench->channel), text));
}

/* In turns, as epoll_wait() tells of 1,024 sockets at once, and what a turn reads is bounded. */
static void answer_ping(struct bench *bench, size_t from, size_t to)
{
    enum { SOCKETS = 1024 };

    for (size_t i = from; i < to; i++) {
        null_stream_say(bench->streams[i], pong, sizeof pong);
        if ((i + 1 - from) % SOCKETS == 0)
            run_turn(bench);
    }
}

/* A long time passes at once, and the server does not take it that it was stopped meanwhile. */
static void pass_awake(struct bench *bench, uint64_t milliseconds)
{
    struct transport_context *context = bench->streams[0]->tcp.loop->data;

    null_clock_pass(milliseconds);
    context->_awake._due += milliseconds;
}

/* Everybody's ping is due at the same time. */
static void measure_herd(struct bench *bench)
{
    struct null_cost before, cost;

    bench->longest = 0;
    bench->times_turns = true;
    pass_awake(bench, 2 * bench->options.ping_interval);
    before = null_clock_spent();
    run_until_written(bench, bench->count);
    cost = null_clock_since(before);
    bench->times_turns = false;
    bench->total += ping_size(bench);
    check(bench, "pings");
    tell("ask_ns", a_peer(bench, cost.cpu));
    tell("ask_longest_turn_us", bench->longest / 1e3);
    before = null_clock_spent();
    answer_ping(bench, 0, bench->count);
    tell("pong_ns", a_peer(bench, null_clock_since(before).cpu));
}

/* Ticks when nobody's ping is due. */
static void measure_idle_ticks(struct bench *bench)
{
    enum { TICKS = GROUPS / 2 };
    uint64_t writes = null_network.writes;
    struct null_cost before = null_clock_spent();

    for (unsigned i = 0; i < TICKS; i++) {
        null_clock_pass(TICK_MS);
        run_turn(bench);
    }
    tell("tick_none_due_us", null_clock_since(before).cpu / TICKS / 1e3);
    if (null_network.writes != writes)
        broken("somebody is asked too early");
}

/* One of so many is due at each tick: the answers to the ping before came in as many groups. */
static void measure_ticks(struct bench *bench)
{
    double cpu[GROUPS + 1]; /* the ticks need not begin with the groups */
    uint64_t writes;

    pass_awake(bench, bench->options.ping_interval);
    run_until_written(bench, bench->count);
    bench->total += ping_size(bench);
    writes = null_network.writes;
    for (size_t i = 0; i < GROUPS; i++) {
        answer_ping(bench, bench->count * i / GROUPS, bench->count * (i + 1) / GROUPS);
        null_clock_pass(TICK_MS);
        run_turn(bench);
    }
    for (size_t i = 0; i <= GROUPS; i++) {
        struct null_cost before = null_clock_spent();

        for (unsigned j = 0; j < TICK_MS; j++) {
            run_turn(bench);
            null_clock_pass(1);
        }
        cpu[i] = null_clock_since(before).cpu / 1e6;
    }
    if (null_network.writes - writes != bench->count)
        broken("%llu of %zu have been asked", (unsigned long long) (null_network.writes - writes),
               bench->count);
    bench->total += ping_size(bench);
    check(bench, "pings");
    answer_ping(bench, 0, bench->count);
    tell_spread("tick_80th_due_ms", cpu, GROUPS + 1);
}

static void measure_sweep(struct bench *bench)
{
    struct null_cost before = null_clock_spent();

    fanout_sweep(own_fanout(bench), &(struct subscriber_sweep){.idle_timeout = UINT32_MAX});
    tell("sweep_ms", null_clock_since(before).cpu / 1e6);
}

/* ---- all of it ---- */

static void measure_churn(struct bench *bench)
{
    size_t churn = bench->count / 2 < MOST_CHURN ? bench->count / 2 : MOST_CHURN;
    struct null_cost before = null_clock_spent();

    leave(bench, churn);
    tell("leave_ns", null_clock_since(before).cpu / (double) churn);
    before = null_clock_spent();
    join(bench, churn);
    tell("rejoin_ns", null_clock_since(before).cpu / (double) churn);
    measure_flush(bench, "flush_churned_ns", 1);
}

/* What a write costs here by itself, which is in every flush. */
static void measure_write(struct bench *bench)
{
    double cpu[ROUNDS];

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct null_cost before = null_clock_spent();

        for (size_t j = 0; j < bench->count; j++)
            (void) stream_try_write(bench->streams[j], &(uv_buf_t){.len = 0}, 1);
        cpu[i] = a_peer(bench, null_clock_since(before).cpu);
    }
    tell_spread("write_ns", cpu, ROUNDS);
}

static void measure(struct bench *bench, size_t count)
{
    double resident = null_clock_resident();
    size_t fresh = count - bench->count;
    struct null_cost before = null_clock_spent();

    join(bench, fresh);
    (void) printf("{\"peers\": %zu", count);
    tell("join_ns", null_clock_since(before).cpu / (double) fresh);
    tell("bytes_a_peer", (null_clock_resident() - resident) / (double) fresh);
    measure_write(bench);
    measure_flush(bench, "flush_ns", 1);
    measure_flush(bench, "flush_16_ns", 16);
    measure_stalls(bench);
    measure_idle(bench);
    measure_herd(bench);
    measure_idle_ticks(bench);
    measure_ticks(bench);
    measure_sweep(bench);
    measure_churn(bench);
    (void) printf("}\n");
    (void) fflush(stdout);
}

static void run_to_the_end(struct bench *bench)
{
    while (uv_run(&bench->worker->loop, UV_RUN_NOWAIT) != 0)
        null_network_turn();
    bench->worker->started = true; /* it has run, here */
}

/* The server stops: everybody is told, and answers. */
static void say_goodbye(struct bench *bench)
{
    struct null_cost before = null_clock_spent();

    bench->longest = 0;
    bench->times_turns = true;
    worker_stop(bench->worker);
    run_turn(bench);
    run_until_quiet(bench);
    (void) printf("{\"goodbye\": %zu", bench->count);
    tell("close_ns", a_peer(bench, null_clock_since(before).cpu));
    tell("close_longest_turn_us", bench->longest / 1e3);
    (void) printf("}\n");
    bench->total += GOODBYE;
    check(bench, "the goodbye");
    for (size_t i = 0; i < bench->count; i++) {
        null_stream_say(bench->streams[i], answer_to_goodbye, sizeof answer_to_goodbye);
        null_stream_end(bench->streams[i]);
    }
    run_to_the_end(bench);
}

/* It is told to stop once more, before everybody has heard the goodbye: all are dropped. */
static void stop_twice(struct bench *bench)
{
    worker_stop(bench->worker);
    run_turn(bench);
    if (bench->most_writes > FLUSH_BUDGET)
        broken("the goodbye goes out in one turn");
    worker_stop(bench->worker);
    run_turn(bench);
    if (bench->worker->context.peers != 0)
        broken("%zu peers are still there after a second stop", bench->worker->context.peers);
    run_to_the_end(bench);
}

static void set_up(struct bench *bench)
{
    static char name[] = "bench_null", *arguments[] = {name, NULL};
    struct error error;

    log_init(name, LOG_ERROR);
    if (server_options_parse(&bench->options, 1, arguments, &error) != 0)
        broken("%s", error.text);
    bench->options.max_connections = bench->options.max_connections_per_address = 0;
    bench->options.ping_interval = (uint64_t) GROUPS * TICK_MS;
    bench->options.ping_timeout = 10 * bench->options.ping_interval;
    journal_init_memory(&bench->journal);
    rules_of_options(&bench->config, &bench->options);
    bench->shared = (struct worker_shared){.config = &bench->config,
                                           .limits = &bench->limits,
                                           .channels = &bench->channels,
                                           .journal = &bench->journal,
                                           .shortage = &bench->shortage,
                                           .workers = &bench->worker,
                                           .worker_count = 1,
                                           .running = &bench->running,
                                           .done = &bench->done};
    (void) uv_loop_init(&bench->main_loop);
    (void) uv_async_init(&bench->main_loop, &bench->done, NULL);
    bench->streams = malloc(bench->most * sizeof(struct stream *));
    if (bench->streams == NULL || channels_init(&bench->channels, &bench->config.rules, 0) != 0 ||
        channels_find(&bench->channels, "", 0, &bench->channel) != 0 ||
        limits_init(&bench->limits, &bench->options, false) != 0 ||
        fd_shortage_init(&bench->shortage) != 0 ||
        worker_new(&bench->worker, 0, &bench->shared) != 0)
        broken("the worker cannot be made");
    memset((void *) bench->streams, 1, bench->most * sizeof(struct stream *)); /* in memory now */
}

static void tear_down(struct bench *bench)
{
    worker_free(bench->worker);
    fd_shortage_deinit(&bench->shortage);
    limits_deinit(&bench->limits);
    channels_unref(&bench->channels, bench->channel);
    channels_deinit(&bench->channels);
    free((void *) bench->streams);
    uv_close((uv_handle_t *) &bench->done, NULL);
    (void) uv_run(&bench->main_loop, UV_RUN_DEFAULT);
    (void) uv_loop_close(&bench->main_loop);
    null_network_forget();
}

/* Reads the sizes. How many there are. */
static size_t read_sizes(int argc, char **argv, size_t sizes[MOST_SIZES])
{
    size_t count = 0;

    for (int i = 1; i < argc && count < MOST_SIZES; i++) {
        sizes[count] = strtoull(argv[i], NULL, 10);
        if (sizes[count] <= (count > 0 ? sizes[count - 1] : 1)) {
            (void) fprintf(stderr, "bench_null: '%s' is no size that is more than 1 and the last\n",
                           argv[i]);
            exit(2);
        }
        count++;
    }
    return count;
}

int main(int argc, char **argv)
{
    bool twice = argc > 1 && strcmp(argv[1], "-2") == 0;
    size_t sizes[MOST_SIZES] = {10000, 100000, 1000000};
    size_t count = argc > 1 + twice ? read_sizes(argc - twice, argv + twice, sizes) : 3;
    struct bench bench = {.most = sizes[count - 1]};

    set_up(&bench);
    for (size_t i = 0; i < count; i++)
        measure(&bench, sizes[i]);
    if (twice)
        stop_twice(&bench);
    else
        say_goodbye(&bench);
    tear_down(&bench);
    return 0;
}

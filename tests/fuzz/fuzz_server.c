/* The whole server but for its sockets: the real worker, with upgrade, peer, transport, channel and
 * fanout, behind streams of memory. The input is a play for up to three clients at a time:
 *
 *     first byte:  bit 0: no compression, bit 1: compress everything, bit 2: a prefix,
 *                  bits 0 and 1: a history of 20 messages
 *                  bit 3: nobody watches, bits 4 and 5: how long a message may be,
 *                  bits 6 and 7: who is too slow; if both are set, those skip
 *     second byte: which limits are tight, from bit 0: pings, control frames, fragments, messages a
 *                  second, connections, idle time, the rate of reading, the size of heads
 *     third byte:  bit 0: a history of 20 messages, bit 1: --no-echo, bit 2: the slow skip,
 *                  bits 3 and 4: --max-memory, bit 5: lag in messages and time, bit 6: history is
 *                  short-lived and small, bit 7: few channels
 *     then steps:  bits 0 to 4 say what happens, bits 5 and 6 to whom; with bit 7 it is one of the
 *                  second kind; operands follow
 *
 * A turn of the loop ends where the play says so. Behind the play the server is stopped; then:
 *   - every connection is closed in time, and nothing is left in the loop or in memory; the memory
 *     account is at 0;
 *   - what each client got is right by server_verdict.h, which is told what was published. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "tests/fuzz/server_play.h"
#include "tests/fuzz/server_verdict.h"
#include "tests/rules.h"
#include "tests/worker_here.h"

enum {
    MOST_STEPS = 4000,  /* of one play */
    STEPS_A_TURN = 32,  /* at most */
    TIME_STEP = 500,    /* milliseconds */
    GOODBYE_TURNS = 60, /* of 100 ms: how long the server may take to stop */
};

/* ---- time, which passes only when the play says so ---- */

static const struct server_play *performed; /* whose time it is */

/* Stands before libc's for libuv, too. */
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): its names are reserved
int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (performed == NULL || clock == CLOCK_REALTIME)
        return (int) syscall(SYS_clock_gettime, clock, out);
    out->tv_sec = (time_t) (performed->milliseconds / 1000);
    out->tv_nsec = (long) (performed->milliseconds % 1000) * 1000000;
    return 0;
}

/* ---- the turns ---- */

void server_play_connect(struct server_play *play, size_t client, int accept_status)
{
    struct server_role *role = &play->roles[play->role_count];

    if (play->role_count == SERVER_PLAY_ROLES || play->stopped)
        return;
    play->role_count++;
    memory_end_init(&role->end);
    role->end.address = play->address;
    memory_end_offer(&role->end, accept_status);
    (void) worker_turn_connection(&(struct listener){.owner = play->worker, .loopback = true}, -1);
    play->clients[client] = role;
}

static void pump(struct server_play *play)
{
    for (size_t i = 0; i < play->role_count; i++)
        memory_end_pump(&play->roles[i].end);
}

/* The play is over, and the server has been told: every socket takes what comes. */
static void say_goodbye(struct server_play *play)
{
    if (play->goodbye_turns == 0 && !play->stopped) {
        play->stopped = true;
        worker_stop(play->worker);
    }
    fuzz_check(++play->goodbye_turns < GOODBYE_TURNS, "%zu peers are still there",
               play->worker->context.peers);
    for (size_t i = 0; i < play->role_count; i++)
        play->roles[i].end.room = SIZE_MAX;
    play->milliseconds += 100;
}

static void watch(struct server_play *play)
{
    for (size_t i = 0; i < play->watcher_count; i++) {
        struct server_watcher *watcher = &play->watchers[i];
        bool more = true;

        while (more) {
            uv_buf_t bufs[4];
            size_t len;
            unsigned count = block_log_read(&watcher->reader.cursor, bufs, 4, &len, &more);

            for (unsigned j = 0; j < count; j++)
                fuzz_check(buffer_append(&watcher->frames, bufs[j].base, bufs[j].len) == 0,
                           "out of memory");
            block_log_advance(&watcher->reader.cursor, len);
        }
    }
}

/* Time passes in steps: in one, the server would take it that it was stopped meanwhile. */
static bool pass_time(struct server_play *play)
{
    uint64_t step = play->passing < TIME_STEP ? play->passing : TIME_STEP;

    play->milliseconds += step;
    play->passing -= step;
    return step > 0;
}

static void on_turn(uv_idle_t *turn)
{
    struct server_play *play = container_of(turn, struct server_play, turn);
    unsigned budget = STEPS_A_TURN;

    watch(play);
    server_steps_drip(play);
    pump(play);
    if (pass_time(play))
        return;
    while (play->input.len > 0 && budget-- > 0 && play->steps++ < MOST_STEPS) {
        if (server_steps_next(play))
            break;
    }
    pump(play);
    if (play->input.len > 0 && play->steps < MOST_STEPS)
        return;
    if (play->worker->stopping && play->worker->context.peers == 0)
        uv_close((uv_handle_t *) turn, NULL); /* with this the loop has to end */
    else
        say_goodbye(play);
}

/* ---- what came of it ---- */

static void check_all(struct server_play *play)
{
    struct server_verdict_channel channels[SERVER_PLAY_CHANNELS] = {0};

    for (size_t i = 0; i < play->watcher_count; i++) {
        channels[i].epoch = play->watchers[i].channel->_epoch;
        server_verdict_learn(&channels[i], &play->watchers[i].frames);
    }
    for (size_t i = 0; i < play->role_count; i++) {
        const struct server_role *role = &play->roles[i];

        server_verdict_judge(
            &(struct server_verdict_rules){
                .channels = channels,
                .count = play->watcher_count,
                .misses = play->skips || (play->no_echo && role->spoke),
                .replays = role->replays,
                .cut = play->lags,
            },
            &role->end);
    }
    for (size_t i = 0; i < play->watcher_count; i++)
        buffer_deinit(&channels[i].messages);
}

/* ---- a play ---- */

/* The defaults, but for what the first bytes choose. */
static struct server_options options_of(uint8_t choice, uint8_t tight, uint8_t more)
{
    static const uint64_t limits[] = {1 << 20, 0, 100, 2000};
    static const uint64_t memory[] = {0, 8 << 10, 64 << 10, 512 << 10};
    static char name[] = "fuzz", *arguments[] = {name, NULL};
    struct server_options options;
    struct error error;

    fuzz_check(server_options_parse(&options, 1, arguments, &error) == 0, "%s", error.text);
    options.skip_slow = (choice >> 6) == 3 || (more & 4) != 0;
    options.prefix = (choice & 4) != 0 ? "Message: " : "";
    options.max_message = limits[(choice >> 4) & 3];
    options.no_compression = (choice & 1) != 0;
    options.history.messages = (choice & 3) == 3 || (more & 1) != 0 ? 20 : 0;
    options.compression_level = 1;
    options.compression_min = (choice & 2) != 0 ? 0 : 64;
    options.no_echo = (more & 2) != 0;
    options.max_memory = memory[more >> 3 & 3];
    if ((more & 64) != 0) {
        options.history.age = 2000;
        options.history.bytes = 3000;
        options.history_total = 16 << 10;
    }
    if ((more & 128) != 0)
        options.max_channels = 1;
    if ((tight & 1) != 0)
        options.ping_interval = options.ping_timeout = 1000;
    if ((tight & 2) != 0)
        options.max_control_per_second = 3;
    if ((tight & 4) != 0)
        options.max_fragments = options.max_empty_fragments = 2;
    if ((tight & 8) != 0)
        options.max_messages_per_second = options.max_bytes_per_second = 10;
    if ((tight & 16) != 0)
        options.max_connections = options.max_connections_per_address = 2;
    if ((tight & 32) != 0)
        options.idle_timeout = options.message_timeout = 1500;
    if ((tight & 64) != 0)
        options.min_read_rate = 100;
    if ((tight & 128) != 0)
        options.max_header_bytes = 300;
    return options;
}

static void begin_watching(struct server_play *play)
{
    static const char *const names[] = {"", "a"};

    for (; play->watcher_count < SERVER_PLAY_CHANNELS; play->watcher_count++) {
        struct server_watcher *watcher = &play->watchers[play->watcher_count];
        const char *name = names[play->watcher_count];

        fuzz_check(channels_make(play->channels, name, strlen(name), &watcher->channel) == 0,
                   "no channel");
        fuzz_check(channel_join(watcher->channel, CHANNEL_PLAIN, NULL, &watcher->reader, NULL) == 0,
                   "out of memory");
    }
}

static void end_watching(struct server_play *play)
{
    for (size_t i = 0; i < play->watcher_count; i++)
        channel_leave(play->watchers[i].channel, &play->watchers[i].reader, NULL);
}

static void perform(struct server_play *play, uint8_t choice, const struct worker_shared *shared)
{
    fuzz_check(worker_new(&play->worker, 0, shared) == 0, "worker_new");
    play->publisher = &play->worker->publisher;
    if ((choice & 8) == 0)
        begin_watching(play);
    (void) uv_idle_init(&play->worker->loop, &play->turn);
    (void) uv_idle_start(&play->turn, on_turn);
    fuzz_check(worker_start(play->worker) == 0, "worker_start");
    fuzz_check(uv_loop_alive(&play->worker->loop) == 0, "something is left in the loop");
    watch(play);
    end_watching(play);
    for (size_t i = 0; i < play->role_count; i++)
        fuzz_check(play->roles[i].end._stream == NULL, "connection %zu was not closed", i);
    worker_join(play->worker);
    worker_free(play->worker);
    fuzz_check(play->channels->memory.charged == 0, "memory is still charged");
}

/* Nobody reads the channel any more, and it is let go. */
static void let_go(struct channels *channels, struct channel *channel)
{
    for (size_t i = 0; i < CHANNEL_LOGS; i++)
        fuzz_check(channel->_logs[i].readers == 0, "somebody is still said to read");
    fuzz_check(channel->_subscribers == 0, "somebody is still said to subscribe");
    channels_unref(channels, channel);
}

static void free_play(struct server_play *play)
{
    for (size_t i = 0; i < play->role_count; i++)
        memory_end_deinit(&play->roles[i].end);
    for (size_t i = 0; i < play->watcher_count; i++) {
        buffer_deinit(&play->watchers[i].frames);
        let_go(play->channels, play->watchers[i].channel);
    }
    deflater_free(play->deflater);
}

static bool keeps_history(const struct history_policy *policy)
{
    return policy->messages > 0 || policy->bytes > 0 || policy->age > 0;
}

/* Far below what can be configured. True if there is any limit. */
static bool limit_lag(struct lag_limits *lag, uint8_t choice, uint8_t more)
{
    static const uint64_t lags[] = {0, 1000, 10000, 100};

    lag->bytes = lags[choice >> 6];
    if ((more & 32) != 0) {
        lag->messages = 10;
        lag->time = 1500;
    }
    return lag->bytes > 0 || lag->messages > 0 || lag->time > 0;
}

static bool counts_addresses(const struct server_options *options)
{
    return options->max_connections_per_address > 0 || options->max_messages_per_second > 0 ||
           options->max_bytes_per_second > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uv_loop_t main_loop; /* what the worker tells when it is done */
    static uv_async_t done;
    static bool ready;
    struct channels channels;
    struct server_play play = {
        .input = {data, size}, .channels = &channels, .milliseconds = 1000000};
    uint8_t choice = fuzz_first(&play.input);
    uint8_t tight = fuzz_first(&play.input);
    uint8_t more = fuzz_first(&play.input);
    struct server_options options = options_of(choice, tight, more);
    struct config config;
    struct limits limits;
    struct journal journal;
    struct fd_shortage shortage;
    struct channel *channel;
    _Atomic size_t running = 0;

    if (!ready) {
        log_init("fuzz", LOG_ERROR);
        fuzz_check(uv_loop_init(&main_loop) == 0, "uv_loop_init");
        fuzz_check(uv_async_init(&main_loop, &done, NULL) == 0, "uv_async_init");
        ready = true;
    }
    performed = &play;
    play.skips = options.skip_slow;
    play.no_echo = options.no_echo;
    rules_of_options(&config, &options);
    play.lags = limit_lag(&config.rules.others.lag, choice, more);
    config.rules.of_default.lag = config.rules.others.lag;
    fuzz_check(channels_init(&channels, &config.rules, options.max_channels) == 0, "channels_init");
    histories_limit(&channels.histories, options.history_total);
    channels.memory.max = options.max_memory;
    fuzz_check(deflater_new(&play.deflater, 6) == 0, "out of memory");
    fuzz_check(limits_init(&limits, &options, counts_addresses(&options)) == 0, "limits_init");
    fuzz_check(fd_shortage_init(&shortage) == 0, "fd_shortage_init");
    journal_init_memory(&journal);
    perform(&play, choice,
            &(struct worker_shared){.config = &config,
                                    .limits = &limits,
                                    .channels = &channels,
                                    .journal = &journal,
                                    .shortage = &shortage,
                                    .workers = &play.worker,
                                    .worker_count = 1,
                                    .running = &running,
                                    .done = &done});
    fd_shortage_deinit(&shortage);
    fuzz_check(limits._connections == 0, "connections are still counted");
    limits_deinit(&limits);
    check_all(&play);
    performed = NULL;
    free_play(&play);
    fuzz_check(channels_find(&channels, "", 0, &channel) == 0, "no default channel");
    let_go(&channels, channel);
    fuzz_check(keeps_history(&options.history) || channels_count(&channels) == 0,
               "a channel is left");
    channels_deinit(&channels);
    fuzz_check(channels.memory.blocks == 0, "blocks of logs are left");
    return 0;
}

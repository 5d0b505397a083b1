/* The life of one subscriber in the real worker, on a stream of memory: whatever state it is in,
 * and however its connection ends meanwhile, it leaves without a trace and nobody else misses
 * anything. Every state is met by every ending, in every encoding and in both orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_stream.h"
#include "tests/worker_here.h"

enum encoding { PLAIN, DEFLATED, EVENTS, ENCODINGS };
enum state { READY, STALLED, LAGGING, SKIPPING, CLOSING, REPLAYING, STATES };
enum ending { HALF_CLOSE, RESET, BROKEN, STAYS, ENDINGS };

enum {
    ROOM = 700,     /* bytes that the socket of a slow subscriber takes */
    MESSAGES = 40,  /* that are published while it is in its state */
    MESSAGE = 300,  /* bytes of each, which do not compress */
    MAX_LAG = 4096, /* bytes, where it is to lag too far */
    TURNS = 40,     /* at most, for the end */
};

struct scene {
    enum encoding encoding;
    enum state state;
    enum ending ending;
    bool drains_first; /* before the connection ends */
    unsigned turn;
    bool stopped;
    struct worker *worker;
    struct channel *channel;
    struct memory_end subscriber;
    struct memory_end other; /* who keeps up, as plain WebSocket */
    uv_idle_t idle;
};

static void publish(struct scene *scene, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t payload[MESSAGE];
        struct frame_part part = {payload, sizeof payload};
        uint32_t random = 2463534242U + i;

        for (size_t at = 0; at < sizeof payload; at++) {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            payload[at] = (uint8_t) ('a' + random % 64 % 26);
        }
        assert_int_equal(
            channel_publish(scene->channel, &scene->worker->publisher, FRAME_TEXT, &part, 1, NULL),
            0);
    }
}

static void arrive(struct scene *scene, struct memory_end *end)
{
    memory_end_init(end);
    memory_end_offer(end, 0);
    (void) on_connection(&(struct listener){.owner = scene->worker, .loopback = true}, -1);
}

static void ask(struct memory_end *end, enum encoding encoding, bool history)
{
    char request[512];
    int len =
        encoding == EVENTS
            ? snprintf(request, sizeof request,
                       "GET /ws%s HTTP/1.1\r\nHost: localhost\r\n"
                       "Accept: text/event-stream\r\n\r\n",
                       history ? "?history=20" : "")
            : snprintf(request, sizeof request,
                       "GET /ws%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                       history ? "?history=20" : "",
                       encoding == DEFLATED ? "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                            : "");

    memory_end_send(end, request, (size_t) len);
}

static void end_connection(struct scene *scene)
{
    switch (scene->ending) {
    case HALF_CLOSE:
        memory_end_finish(&scene->subscriber, UV_EOF);
        break;
    case RESET:
        memory_end_finish(&scene->subscriber, UV_ECONNRESET);
        break;
    case BROKEN:
        scene->subscriber.broken = UV_EPIPE;
        break;
    case STAYS:
    case ENDINGS:
        break;
    }
}

static void drain(struct scene *scene)
{
    scene->subscriber.room = SIZE_MAX;
}

/* What happens in this turn. */
static void act(struct scene *scene)
{
    switch (scene->turn) {
    case 1:
        if (scene->state == REPLAYING)
            publish(scene, 20); /* which the history keeps */
        arrive(scene, &scene->other);
        ask(&scene->other, PLAIN, false);
        arrive(scene, &scene->subscriber);
        if (scene->state == REPLAYING)
            scene->subscriber.room = ROOM;
        ask(&scene->subscriber, scene->encoding, scene->state == REPLAYING);
        break;
    case 4:
        if (scene->state != READY)
            scene->subscriber.room = ROOM;
        publish(scene, MESSAGES);
        break;
    case 6:
        if (scene->state == LAGGING || scene->state == SKIPPING)
            publish(scene, MESSAGES);
        if (scene->state == CLOSING) {
            scene->stopped = true;
            worker_stop(scene->worker);
        }
        break;
    case 8:
        scene->drains_first ? drain(scene) : end_connection(scene);
        break;
    case 9:
        publish(scene, 1); /* all that is due is flushed once more */
        scene->drains_first ? end_connection(scene) : drain(scene);
        break;
    case 12:
        if (!scene->stopped)
            worker_stop(scene->worker);
        break;
    default:
        break;
    }
}

static void on_turn(uv_idle_t *idle)
{
    struct scene *scene = container_of(idle, struct scene, idle);

    scene->turn++;
    act(scene);
    memory_end_pump(&scene->subscriber);
    memory_end_pump(&scene->other);
    if (scene->turn == 20) { /* whoever is left answers the goodbye, and goes */
        memory_end_finish(&scene->subscriber, UV_EOF);
        memory_end_finish(&scene->other, UV_EOF);
    }
    if (scene->turn > 12 && scene->worker->peers == 0)
        uv_close((uv_handle_t *) idle, NULL);
    else
        assert_true(scene->turn < TURNS);
}

static void read_options(struct server_options *options, const struct scene *scene)
{
    static char name[] = "test", *arguments[] = {name, NULL};
    struct error error;

    assert_int_equal(server_options_parse(options, 1, arguments, &error), 0);
    options->prefix = "";
    options->compression_min = 0;
    options->skip_slow = scene->state == SKIPPING;
    options->history.messages = scene->state == REPLAYING ? 100 : 0;
}

static void run_worker(struct scene *scene, struct worker_shared *shared)
{
    assert_int_equal(worker_new(&scene->worker, 0, shared), 0);
    if (scene->state == LAGGING || scene->state == SKIPPING)
        scene->worker->fanouts.limits.bytes = MAX_LAG;
    (void) uv_idle_init(&scene->worker->loop, &scene->idle);
    (void) uv_idle_start(&scene->idle, on_turn);
    assert_int_equal(worker_start(scene->worker), 0);
    assert_int_equal(uv_loop_alive(&scene->worker->loop), 0);
    worker_join(scene->worker);
    worker_free(scene->worker);
}

/* How many messages the one who keeps up has got. */
static unsigned count_frames(const struct memory_end *end)
{
    const uint8_t *at = memmem(end->written.data, end->written.len, "\r\n\r\n", 4);
    const uint8_t *behind = end->written.data + end->written.len;
    unsigned count = 0;

    assert_non_null(at);
    for (at += 4; at < behind && (at[0] & 0xf) == FRAME_TEXT; at += frame_length(at))
        count++;
    return count;
}

static void play(struct scene *scene, uv_async_t *done)
{
    struct server_options options;
    struct channels channels;
    struct limits limits;
    struct shortage shortage;
    _Atomic size_t running = 0;
    struct worker_shared shared = {
        .options = &options,
        .limits = &limits,
        .channels = &channels,
        .shortage = &shortage,
        .workers = &scene->worker,
        .worker_count = 1,
        .running = &running,
        .done = done,
    };

    read_options(&options, scene);
    assert_int_equal(channels_init(&channels, &options.history, options.max_channels), 0);
    assert_int_equal(channels_find(&channels, "", 0, &scene->channel), 0);
    assert_int_equal(limits_init(&limits, &options), 0);
    assert_int_equal(shortage_init(&shortage), 0);
    run_worker(scene, &shared);
    shortage_deinit(&shortage);
    assert_int_equal(limits._connections, 0);
    limits_deinit(&limits);
    assert_int_equal(scene->channel->_subscribers, 0);
    assert_int_equal(count_frames(&scene->other),
                     scene->state == CLOSING                               ? MESSAGES
                     : scene->state == LAGGING || scene->state == SKIPPING ? 2 * MESSAGES + 1
                                                                           : MESSAGES + 1);
    channels_unref(&channels, scene->channel);
    channels_deinit(&channels);
    memory_end_deinit(&scene->subscriber);
    memory_end_deinit(&scene->other);
}

static void test_a_subscriber_may_end_in_any_state_in_any_way(void **state)
{
    uv_loop_t main_loop; /* what the worker tells when it is done */
    uv_async_t done;

    (void) state;
    log_init("test", LOG_ERROR);
    assert_int_equal(uv_loop_init(&main_loop), 0);
    assert_int_equal(uv_async_init(&main_loop, &done, NULL), 0);
    for (unsigned n = 0; n < ENCODINGS * STATES * ENDINGS * 2; n++) {
        struct scene scene = {
            .encoding = (enum encoding)(n / (2 * ENDINGS * STATES)),
            .state = (enum state)(n / (2 * ENDINGS) % STATES),
            .ending = (enum ending)(n / 2 % ENDINGS),
            .drains_first = n % 2 != 0,
        };

        print_message("encoding %d, state %d, ending %d, drains first %d\n", (int) scene.encoding,
                      (int) scene.state, (int) scene.ending, scene.drains_first);
        play(&scene, &done);
    }
    uv_close((uv_handle_t *) &done, NULL);
    (void) uv_run(&main_loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&main_loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_subscriber_may_end_in_any_state_in_any_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

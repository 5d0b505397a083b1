/* The life of one subscriber in the real worker, on a stream of memory: whatever state it is in,
 * and however its connection ends meanwhile, it leaves without a trace and nobody else misses
 * anything. Every state is met by every ending, in every encoding and in both orders. */
#include "tests/unit/stage.h"

enum encoding { PLAIN, DEFLATED, EVENTS, IDS, ENCODINGS };
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
    struct stage stage;
    struct memory_end subscriber;
    struct memory_end other; /* it keeps up, as plain WebSocket */
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
        assert_int_equal(channel_publish(scene->stage.channel, &scene->stage.worker->publisher,
                                         FRAME_TEXT, &part, 1, NULL),
                         0);
    }
}

static void ask(struct memory_end *end, enum encoding encoding, bool history)
{
    static const char events[] = "GET /ws%s HTTP/1.1\r\nHost: localhost\r\n"
                                 "Accept: text/event-stream\r\n\r\n";
    const char *query = history ? "?history=20" : "";
    char request[256];

    if (encoding == EVENTS)
        memory_end_send(end, request, (size_t) snprintf(request, sizeof request, events, query));
    else
        stage_upgrade(end, query,
                      encoding == DEFLATED ? "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                      : encoding == IDS    ? "Sec-WebSocket-Protocol: id.wsbroadcast\r\n"
                                           : "");
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
    switch (scene->stage.turn) {
    case 1:
        if (scene->state == REPLAYING)
            publish(scene, 20); /* which the history keeps */
        stage_arrive(&scene->stage, &scene->other, NULL);
        ask(&scene->other, PLAIN, false);
        stage_arrive(&scene->stage, &scene->subscriber, NULL);
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
        if (scene->state == CLOSING)
            stage_stop(&scene->stage);
        break;
    case 8:
        scene->drains_first ? drain(scene) : end_connection(scene);
        break;
    case 9:
        publish(scene, 1); /* all that is due is flushed once more */
        scene->drains_first ? end_connection(scene) : drain(scene);
        break;
    case 12:
        stage_stop(&scene->stage);
        break;
    default:
        break;
    }
}

static void on_turn(struct stage *stage)
{
    struct scene *scene = stage->scene;

    act(scene);
    memory_end_pump(&scene->subscriber);
    memory_end_pump(&scene->other);
    if (stage->turn == 20) { /* whoever is left answers the goodbye, and goes */
        memory_end_finish(&scene->subscriber, UV_EOF);
        memory_end_finish(&scene->other, UV_EOF);
    }
}

static unsigned expected_of(enum state state)
{
    switch (state) {
    case CLOSING:
        return MESSAGES;
    case LAGGING:
    case SKIPPING:
        return 2 * MESSAGES + 1;
    default:
        return MESSAGES + 1;
    }
}

static void play(struct scene *scene)
{
    struct stage *stage = &scene->stage;

    stage_init(stage, on_turn, scene, TURNS);
    stage->options.compression_min = 0;
    stage->options.skip_slow = scene->state == SKIPPING;
    stage->options.history.messages = scene->state == REPLAYING ? 100 : 0;
    stage_open(stage);
    if (scene->state == LAGGING || scene->state == SKIPPING)
        stage->_config.rules.of_default.lag.bytes = MAX_LAG;
    stage_play(stage);
    assert_int_equal(stage_count_texts(&scene->other), expected_of(scene->state));
    memory_end_deinit(&scene->subscriber);
    memory_end_deinit(&scene->other);
}

static void test_a_subscriber_may_end_in_any_state_in_any_way(void **state)
{
    (void) state;
    for (unsigned n = 0; n < ENCODINGS * STATES * ENDINGS * 2; n++) {
        struct scene scene = {
            .encoding = (enum encoding)(n / (2 * ENDINGS * STATES)),
            .state = (enum state)(n / (2 * ENDINGS) % STATES),
            .ending = (enum ending)(n / 2 % ENDINGS),
            .drains_first = n % 2 != 0,
        };

        print_message("encoding %d, state %d, ending %d, drains first %d\n", (int) scene.encoding,
                      (int) scene.state, (int) scene.ending, scene.drains_first);
        play(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_subscriber_may_end_in_any_state_in_any_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

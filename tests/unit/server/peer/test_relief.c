#include "server/peer/peer_memory.h"
#include "tests/unit/stage.h"

enum {
    SMALL = 100 * 1000, /* bytes of a body that never ends, */
    LARGE = 200 * 1000,
    COUNT = 4,
};

static const char *const addresses[COUNT] = {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"};
static const size_t sizes[COUNT] = {SMALL, SMALL, SMALL, LARGE};

struct scene {
    struct memory_end ends[COUNT];
    struct memory_end subscriber; /* it keeps up */
    unsigned dropped; /* whose answers have come, by the end of the wait: a bit for each */
};

static void begin_body(struct memory_end *end, size_t len)
{
    static const char head[] = "POST /ws HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 900000\r\n\r\n";
    char *body = calloc(1, len);

    assert_non_null(body);
    memory_end_send(end, head, sizeof head - 1);
    memory_end_send(end, body, len);
    free(body);
}

static void act(struct stage *stage)
{
    struct scene *scene = stage->scene;

    if (stage->turn == 1) {
        stage_arrive(stage, &scene->subscriber, "192.0.2.3");
        stage_upgrade(&scene->subscriber, "", "");
        for (unsigned i = 0; i < COUNT; i++) {
            stage_arrive(stage, &scene->ends[i], addresses[i]);
            begin_body(&scene->ends[i], sizes[i]);
        }
    }
    memory_end_pump(&scene->subscriber);
    for (unsigned i = 0; i < COUNT; i++) {
        memory_end_pump(&scene->ends[i]);
        if (stage_has(&scene->ends[i], " 503 "))
            scene->dropped |= 1U << i;
    }
    if (stage->turn > 5 && !stage->stopped &&
        !uv_is_active((uv_handle_t *) &stage->worker->relief._step)) {
        stage_stop(stage);
        memory_end_finish(&scene->subscriber, UV_EOF);
        for (unsigned i = 0; i < COUNT; i++)
            memory_end_finish(&scene->ends[i], UV_EOF);
    }
}

/* How many were dropped of those with the small bodies, with so much memory for all. */
static unsigned play(uint64_t max_memory)
{
    struct scene scene = {.dropped = 0};
    struct stage stage;

    stage_init(&stage, act, &scene, 1000000);
    stage.options.max_memory = max_memory;
    stage_open(&stage);
    stage_play(&stage);
    assert_false(stage_has(&scene.subscriber, " 503 "));
    for (unsigned i = 0; i < COUNT; i++)
        memory_end_deinit(&scene.ends[i]);
    memory_end_deinit(&scene.subscriber);
    return scene.dropped;
}

static void test_nobody_is_given_up_below_the_bound(void **state)
{
    (void) state;
    assert_int_equal(play(4 * 1024 * 1024), 0);
}

/* Each of the three costs less than the one, and all together cost more. */
static void test_many_small_ones_of_one_address_go_before_a_larger_one(void **state)
{
    unsigned dropped;

    (void) state;
    dropped = play(600 * 1000);
    assert_int_not_equal(dropped & 7, 0);
    assert_int_equal(dropped & 8, 0);
}

static void test_all_of_them_go_rather_than_one_that_keeps_up(void **state)
{
    (void) state;
    assert_int_equal(play(50 * 1000), 15);
}

/* ---- reading ---- */

struct reading {
    struct memory_end reader;
    size_t reads; /* bytes in its minute */
    bool dropped;
};

static void act_reading(struct stage *stage)
{
    struct reading *reading = stage->scene;
    static const uint8_t text[20000];
    struct frame_part part = {text, sizeof text};
    struct peer *peer;

    if (stage->turn == 1) {
        stage_arrive(stage, &reading->reader, NULL);
        stage_upgrade(&reading->reader, "", "");
    }
    if (stage->turn == 3) {
        reading->reader.room = 100;
        assert_int_equal(channel_publish(stage->channel, &stage->worker->publisher, FRAME_BINARY,
                                         &part, 1, NULL),
                         0);
    }
    if (stage->turn == 6) {
        peer = container_of(reading->reader._stream, struct peer, transport.stream);
        assert_true(transport_is_stalled(&peer->transport));
        peer_memory_check_reading(peer, 1000);
        reading->reader.room = reading->reads;
    }
    if (stage->turn == 9) {
        peer = container_of(reading->reader._stream, struct peer, transport.stream);
        peer_memory_check_reading(peer, 1000 + 59 * 1000);
        assert_true(transport_is_open(&peer->transport));
        peer_memory_check_reading(peer, 1000 + 61 * 1000);
        reading->dropped = !transport_is_open(&peer->transport);
        reading->reader.room = SIZE_MAX;
    }
    memory_end_pump(&reading->reader);
    if (stage->turn == 12) {
        memory_end_finish(&reading->reader, UV_EOF);
        stage_stop(stage);
    }
}

static bool is_dropped_when_it_reads(size_t bytes)
{
    struct reading reading = {.reads = bytes};
    struct stage stage;

    stage_init(&stage, act_reading, &reading, 1000);
    stage_open(&stage);
    stage_play(&stage);
    memory_end_deinit(&reading.reader);
    return reading.dropped;
}

static void test_one_that_is_behind_reads_64_bytes_a_second(void **state)
{
    (void) state;
    assert_true(is_dropped_when_it_reads(0));
    assert_true(is_dropped_when_it_reads(2000));
    assert_false(is_dropped_when_it_reads(4000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_given_up_below_the_bound),
        cmocka_unit_test(test_many_small_ones_of_one_address_go_before_a_larger_one),
        cmocka_unit_test(test_all_of_them_go_rather_than_one_that_keeps_up),
        cmocka_unit_test(test_one_that_is_behind_reads_64_bytes_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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
        !uv_is_active((uv_handle_t *) &stage->worker->relief)) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_given_up_below_the_bound),
        cmocka_unit_test(test_many_small_ones_of_one_address_go_before_a_larger_one),
        cmocka_unit_test(test_all_of_them_go_rather_than_one_that_keeps_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MESSAGE = 1024 * 1024 };

/* One who publishes on this thread, and a worker that is behind. */
struct scene {
    uv_loop_t loop;
    struct channel channel;
    struct frame_encoder *encoder;
    struct block_cursor cursor;
    struct channel_listener own, other;
    struct pace pace;
    struct pace_held *place;
    bool held;
};

static uint8_t payload[MESSAGE];

static void on_published(struct channel_listener *listener)
{
    (void) listener;
}

static void on_held(void *publisher, bool held)
{
    struct scene *scene = publisher;

    assert_int_equal(scene->place != NULL, held);
    scene->held = held;
}

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.held = false};
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    assert_int_equal(channel_init(&scene->channel, "", NULL), 0);
    assert_int_equal(frame_encoder_new(&scene->encoder, false), 0);
    channel_listen(&scene->channel, &scene->own, on_published);
    channel_listen(&scene->channel, &scene->other, on_published);
    channel_join(&scene->channel, CHANNEL_PLAIN, NULL, &scene->cursor, NULL);
    pace_init(&scene->pace, &scene->loop);
}

static void scene_deinit(struct scene *scene)
{
    pace_forget(&scene->place);
    pace_close(&scene->pace);
    assert_int_equal(uv_run(&scene->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    channel_leave(&scene->channel, &scene->cursor, NULL);
    channel_deinit(&scene->channel);
    frame_encoder_free(scene->encoder);
}

static void publish(struct scene *scene, size_t len)
{
    const struct channel_publisher publisher = {.encoder = scene->encoder,
                                                .compression_min = SIZE_MAX};
    const struct frame_part part = {payload, len};

    assert_int_equal(channel_publish(&scene->channel, &publisher, FRAME_BINARY, &part, 1, NULL), 0);
    pace_published(&scene->pace, &(struct pace_publisher){&scene->place, scene, on_held},
                   &scene->channel, &scene->own, len);
}

/* The other worker has delivered all that was appended up to here. */
static void reach(struct scene *scene, uint64_t end)
{
    atomic_store(&scene->other.reached, end);
}

/* Until the pace has looked at the others a few times. */
static void wait_looks(struct scene *scene)
{
    for (int i = 0; i < 3 && uv_is_active((uv_handle_t *) &scene->pace._timer); i++)
        (void) uv_run(&scene->loop, UV_RUN_ONCE);
}

static void a_publisher_goes_on_when_the_others_have_what_was_published_by_then(void **state)
{
    struct scene scene;
    uint64_t end;

    (void) state;
    scene_init(&scene);
    for (int i = 0; i < PACE_BEHIND / MESSAGE; i++) {
        assert_false(scene.held);
        publish(&scene, MESSAGE);
    }
    assert_true(scene.held);
    end = channel_appended(&scene.channel);
    publish(&scene, MESSAGE); /* it was on its way */
    reach(&scene, end - 1);
    wait_looks(&scene);
    assert_true(scene.held);
    reach(&scene, end);
    wait_looks(&scene);
    assert_false(scene.held);
    scene_deinit(&scene);
}

static void many_small_messages_are_held_as_well(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    while (!scene.held && channel_appended(&scene.channel) < 2 * PACE_BEHIND)
        publish(&scene, 64);
    assert_true(channel_appended(&scene.channel) <= PACE_BEHIND + 2 * PACE_LOOK);
    scene_deinit(&scene);
}

static void ones_own_worker_and_one_that_listens_no_more_hold_nobody(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    while (!scene.held)
        publish(&scene, MESSAGE);
    channel_unlisten(&scene.channel, &scene.other);
    wait_looks(&scene);
    assert_false(scene.held);
    for (int i = 0; i < 3 * PACE_BEHIND / MESSAGE; i++)
        publish(&scene, MESSAGE);
    assert_false(scene.held);
    scene_deinit(&scene);
}

static void who_comes_later_is_not_behind(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    channel_unlisten(&scene.channel, &scene.other);
    for (int i = 0; i < 2 * PACE_BEHIND / MESSAGE; i++)
        publish(&scene, MESSAGE);
    channel_listen(&scene.channel, &scene.other, on_published);
    publish(&scene, MESSAGE);
    assert_false(scene.held);
    scene_deinit(&scene);
}

static void who_goes_away_is_forgotten(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    while (!scene.held)
        publish(&scene, MESSAGE);
    pace_forget(&scene.place);
    assert_null(scene.place);
    wait_looks(&scene);
    assert_true(scene.held); /* nobody has told it anything */
    scene_deinit(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publisher_goes_on_when_the_others_have_what_was_published_by_then),
        cmocka_unit_test(many_small_messages_are_held_as_well),
        cmocka_unit_test(ones_own_worker_and_one_that_listens_no_more_hold_nobody),
        cmocka_unit_test(who_comes_later_is_not_behind),
        cmocka_unit_test(who_goes_away_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/broadcast/throttle.h"
#include "tests/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MESSAGE = 1024 * 1024 };

/* One that publishes on this thread, and a worker that is behind. */
struct scene {
    uv_loop_t loop;
    struct channels channels;
    struct channel *channel;
    struct frame_encoder *encoder;
    struct channel_reader reader;
    struct channel_listener own, other;
    enum channel_throttling throttling; /* of the other */
    struct throttle throttle;
    struct throttle_paused *owner;
    bool paused;
};

static uint8_t payload[MESSAGE];

static void on_published(struct channel_listener *listener)
{
    (void) listener;
}

static void on_paused(void *publisher, bool paused)
{
    struct scene *scene = publisher;

    assert_int_equal(scene->owner != NULL, paused);
    scene->paused = paused;
}

static void listen_there(void *argument)
{
    struct scene *scene = argument;

    channel_listen(scene->channel, &scene->other, scene->throttling, on_published);
}

/* On a thread of its own. */
static void listen_elsewhere(struct scene *scene)
{
    uv_thread_t thread;

    assert_int_equal(uv_thread_create(&thread, listen_there, scene), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
}

static void scene_init(struct scene *scene)
{
    const struct history_policy none = {0};

    *scene = (struct scene){.throttling = CHANNEL_THROTTLES};
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    assert_int_equal(channels_init(&scene->channels, rules_keeping(&none), 0), 0);
    assert_int_equal(channels_make(&scene->channels, "a", 1, &scene->channel), 0);
    assert_int_equal(frame_encoder_new(&scene->encoder, false), 0);
    channel_listen(scene->channel, &scene->own, CHANNEL_THROTTLES, on_published);
    listen_elsewhere(scene);
    channel_join(scene->channel, CHANNEL_PLAIN, NULL, &scene->reader, NULL);
    throttle_init(&scene->throttle, &scene->loop, &scene->channels);
}

static void scene_deinit(struct scene *scene)
{
    throttle_forget(&scene->owner);
    throttle_close(&scene->throttle);
    assert_int_equal(uv_run(&scene->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    channel_leave(scene->channel, &scene->reader, NULL);
    channels_unref(&scene->channels, scene->channel);
    assert_int_equal(channels_count(&scene->channels), 0); /* nobody else refers to it */
    channels_deinit(&scene->channels);
    frame_encoder_free(scene->encoder);
}

static void publish(struct scene *scene, size_t len)
{
    const struct channel_publisher publisher = {.encoder = scene->encoder,
                                                .compression_min = SIZE_MAX};
    const struct frame_part part = {payload, len};
    struct channel_receipt receipt;

    assert_int_equal(channel_publish(scene->channel, &publisher, FRAME_BINARY, &part, 1, &receipt),
                     0);
    throttle_published(&scene->throttle,
                       &(struct throttle_publisher){&scene->owner, scene, on_paused},
                       scene->channel, &receipt);
}

/* The other worker has delivered all that was appended up to here. */
static void reach(struct scene *scene, uint64_t end)
{
    atomic_store(&scene->other.delivered, end);
}

/* Until the pace has looked at the others a few times. */
static void wait_looks(struct scene *scene)
{
    for (int i = 0; i < 3 && uv_is_active((uv_handle_t *) &scene->throttle._timer); i++)
        (void) uv_run(&scene->loop, UV_RUN_ONCE);
}

static void a_publisher_goes_on_when_the_others_have_what_was_published_by_then(void **state)
{
    struct scene scene;
    uint64_t end;

    (void) state;
    scene_init(&scene);
    for (int i = 0; i < THROTTLE_BEHIND / MESSAGE; i++) {
        assert_false(scene.paused);
        publish(&scene, MESSAGE);
    }
    assert_true(scene.paused);
    end = channel_appended(scene.channel);
    publish(&scene, MESSAGE); /* it was on its way */
    reach(&scene, end - 1);
    wait_looks(&scene);
    assert_true(scene.paused);
    reach(&scene, end);
    wait_looks(&scene);
    assert_false(scene.paused);
    scene_deinit(&scene);
}

/* What counts is what they take in the log. */
static void many_small_messages_are_held_as_well(void **state)
{
    const size_t sizes[] = {64, 1, 0};

    (void) state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct scene scene;

        scene_init(&scene);
        while (!scene.paused && channel_appended(scene.channel) < 2 * THROTTLE_BEHIND)
            publish(&scene, sizes[i]);
        assert_true(scene.paused);
        assert_true(channel_appended(scene.channel) <= THROTTLE_BEHIND + 2 * THROTTLE_LOOK);
        scene_deinit(&scene);
    }
}

static void a_listener_that_only_follows_holds_nobody(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    channel_unlisten(scene.channel, &scene.other);
    scene.throttling = CHANNEL_FOLLOWS;
    listen_elsewhere(&scene);
    for (int i = 0; i < 3 * THROTTLE_BEHIND / MESSAGE; i++)
        publish(&scene, MESSAGE);
    assert_false(scene.paused);
    scene_deinit(&scene);
}

/* Each channel is looked at by what is appended to it: what goes to others does not hide it. */
static void messages_of_another_channel_in_between_change_nothing(void **state)
{
    struct channel *channel, *other;
    struct channel_reader reader;
    struct scene scene;

    (void) state;
    scene_init(&scene);
    channel = scene.channel;
    assert_int_equal(channels_make(&scene.channels, "b", 1, &other), 0);
    assert_int_equal(channel_join(other, CHANNEL_PLAIN, NULL, &reader, NULL), 0);
    while (!scene.paused && channel_appended(channel) < 2 * THROTTLE_BEHIND) {
        scene.channel = channel;
        publish(&scene, THROTTLE_LOOK * 3 / 4);
        scene.channel = other;
        publish(&scene, THROTTLE_LOOK / 2);
    }
    scene.channel = channel;
    assert_true(scene.paused);
    channel_leave(other, &reader, NULL);
    channels_unref(&scene.channels, other);
    scene_deinit(&scene);
}

/* One that publishes with POST refers to it only for the request. */
static void the_channel_lives_while_somebody_is_held(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    while (!scene.paused)
        publish(&scene, MESSAGE);
    channels_unref(&scene.channels, scene.channel);
    assert_int_equal(channels_count(&scene.channels), 1);
    reach(&scene, channel_appended(scene.channel));
    channels_ref(scene.channel);
    wait_looks(&scene);
    assert_false(scene.paused);
    scene_deinit(&scene);
}

static void ones_own_worker_and_one_that_listens_no_more_hold_nobody(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    while (!scene.paused)
        publish(&scene, MESSAGE);
    channel_unlisten(scene.channel, &scene.other);
    wait_looks(&scene);
    assert_false(scene.paused);
    for (int i = 0; i < 3 * THROTTLE_BEHIND / MESSAGE; i++)
        publish(&scene, MESSAGE);
    assert_false(scene.paused);
    scene_deinit(&scene);
}

static void who_comes_later_is_not_behind(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    channel_unlisten(scene.channel, &scene.other);
    for (int i = 0; i < 2 * THROTTLE_BEHIND / MESSAGE; i++)
        publish(&scene, MESSAGE);
    listen_elsewhere(&scene);
    publish(&scene, MESSAGE);
    assert_false(scene.paused);
    scene_deinit(&scene);
}

static void who_goes_away_is_forgotten(void **state)
{
    struct scene scene;

    (void) state;
    scene_init(&scene);
    while (!scene.paused)
        publish(&scene, MESSAGE);
    throttle_forget(&scene.owner);
    assert_null(scene.owner);
    wait_looks(&scene);
    assert_true(scene.paused); /* nobody has told it anything */
    scene_deinit(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publisher_goes_on_when_the_others_have_what_was_published_by_then),
        cmocka_unit_test(many_small_messages_are_held_as_well),
        cmocka_unit_test(ones_own_worker_and_one_that_listens_no_more_hold_nobody),
        cmocka_unit_test(a_listener_that_only_follows_holds_nobody),
        cmocka_unit_test(messages_of_another_channel_in_between_change_nothing),
        cmocka_unit_test(the_channel_lives_while_somebody_is_held),
        cmocka_unit_test(who_comes_later_is_not_behind),
        cmocka_unit_test(who_goes_away_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

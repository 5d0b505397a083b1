#include "server/stdio/sink.h"
#include "tests/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/publishing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MESSAGE = 4000, BATCH_BYTES = 256 * 1024 };

/* Standard output is a file of its own. */
struct scene {
    uv_loop_t loop;
    struct server_options options;
    struct channel_settings settings;
    struct channels channels;
    struct channel *channel;
    struct channel_publisher publisher;
    struct sink sink;
    FILE *file;
    int before; /* what standard output was */
};

static struct scene scene;

static int set_up(void **state)
{
    const struct history_policy none = {0};

    (void) state;
    scene = (struct scene){.options = {.stdout_channel = "", .close_timeout = 10000}};
    scene.file = tmpfile();
    scene.before = dup(STDOUT_FILENO);
    if (scene.file == NULL || scene.before < 0 || uv_loop_init(&scene.loop) != 0 ||
        channels_init(&scene.channels, rules_keeping(&none), 0) != 0 ||
        channels_make(&scene.channels, "", 0, &scene.channel) != 0 ||
        !publishing_init(&scene.publisher))
        return -1;
    (void) fflush(stdout);
    if (dup2(fileno(scene.file), STDOUT_FILENO) < 0)
        return -1;
    return sink_start(&scene.sink, &scene.loop, &scene.options, &scene.channels);
}

static int tear_down(void **state)
{
    (void) state;
    sink_finish(&scene.sink);
    (void) uv_run(&scene.loop, UV_RUN_DEFAULT);
    (void) dup2(scene.before, STDOUT_FILENO);
    (void) close(scene.before);
    (void) fclose(scene.file);
    publishing_deinit(&scene.publisher);
    channels_unref(&scene.channels, scene.channel);
    channels_deinit(&scene.channels);
    return uv_loop_close(&scene.loop);
}

static size_t printed(void)
{
    struct stat status;

    assert_int_equal(fstat(fileno(scene.file), &status), 0);
    return (size_t) status.st_size;
}

static void publish(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(publishing_number(scene.channel, &scene.publisher, i, MESSAGE), 0);
}

static void a_file_gets_a_batch_in_each_turn_of_the_loop(void **state)
{
    const unsigned count = 4 * BATCH_BYTES / MESSAGE;
    unsigned turns = 0;

    (void) state;
    publish(count);
    while (printed() < (size_t) count * (MESSAGE + 1)) {
        size_t before = printed();

        (void) uv_run(&scene.loop, UV_RUN_NOWAIT);
        assert_true(printed() - before <= BATCH_BYTES + MESSAGE);
        assert_true(++turns < 100);
    }
    assert_true(turns >= 4);
}

static void what_is_left_at_the_end_is_printed(void **state)
{
    const unsigned count = 4 * BATCH_BYTES / MESSAGE;

    (void) state;
    publish(count);
    sink_finish(&scene.sink);
    (void) uv_run(&scene.loop, UV_RUN_DEFAULT);
    assert_int_equal(printed(), (size_t) count * (MESSAGE + 1));
}

/* Its writes block the thread: what is published meanwhile is not held without a bound. */
static void a_file_that_is_too_slow_misses_messages(void **state)
{
    (void) state;
    scene.settings = (struct channel_settings){.lag = {.bytes = BATCH_BYTES}};
    channel_set_settings(scene.channel, &scene.settings);
    publish(2 * BATCH_BYTES / MESSAGE);
    (void) uv_run(&scene.loop, UV_RUN_NOWAIT);
    assert_int_equal(sink_behind(&scene.sink, scene.channel).bytes, 0);
    publish(1);
    sink_finish(&scene.sink);
    (void) uv_run(&scene.loop, UV_RUN_DEFAULT);
    assert_int_equal(printed(), MESSAGE + 1);
}

static void it_is_behind_in_its_own_channel_alone(void **state)
{
    struct channel *other;

    (void) state;
    assert_int_equal(channels_make(&scene.channels, "a", 1, &other), 0);
    publish(3);
    assert_true(sink_behind(&scene.sink, scene.channel).bytes >= (size_t) 3 * MESSAGE);
    assert_int_equal(sink_behind(&scene.sink, other).bytes, 0);
    channels_unref(&scene.channels, other);
}

static void look_from_there(void *delivered)
{
    *(uint64_t *) delivered = channel_delivered(scene.channel);
}

/* Otherwise a paused pager silences all that publish. */
static void no_publisher_waits_for_it(void **state)
{
    uint64_t delivered = 0;
    uv_thread_t thread;

    (void) state;
    publish(1000);
    assert_int_equal(uv_thread_create(&thread, look_from_there, &delivered), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_true(delivered == UINT64_MAX);
}

#define WITH_SINK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_SINK(a_file_gets_a_batch_in_each_turn_of_the_loop),
        WITH_SINK(what_is_left_at_the_end_is_printed),
        WITH_SINK(a_file_that_is_too_slow_misses_messages),
        WITH_SINK(it_is_behind_in_its_own_channel_alone),
        WITH_SINK(no_publisher_waits_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/journal/submit.h"

#include <stdlib.h>
#include <string.h>

#include "server/journal/journal.h"
#include "tests/rules.h"
#include "tests/unit/publishing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A channel with one that reads, and another worker that delivers nothing. */
struct scene {
    uv_loop_t loop;
    struct channel_settings settings;
    struct channels channels;
    struct channel *channel;
    struct channel_publisher publisher;
    struct channel_reader reader;
    struct channel_listener listener;
    struct throttle throttle;
    struct submit_context means;
    struct journal journal;
    struct limits_rate *rate;
    struct throttle_paused *throttled;
    struct submit_outstanding outstanding;
    bool paused;
};

static void on_published(struct channel_listener *listener)
{
    (void) listener;
}

static void on_paused(void *publisher, bool paused)
{
    ((struct scene *) publisher)->paused = paused;
}

static void listen_there(void *argument)
{
    struct scene *scene = argument;

    channel_listen(scene->channel, &scene->listener, CHANNEL_THROTTLES, on_published);
}

static void scene_init(struct scene *scene, const char *channel)
{
    const struct history_policy none = {0};
    uv_thread_t thread;

    *scene = (struct scene){
        .settings = {.publish = CHANNEL_BY_WS | CHANNEL_BY_HTTP,
                     .prefix = *channel == '\0' ? "said: " : ""},
    };
    scene->means =
        (struct submit_context){&scene->journal, &scene->publisher, &scene->throttle, NULL, NULL};
    journal_init_memory(&scene->journal);
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    assert_int_equal(channels_init(&scene->channels, rules_keeping(&none), 0), 0);
    assert_int_equal(channels_make(&scene->channels, channel, strlen(channel), &scene->channel), 0);
    channel_set_settings(scene->channel, &scene->settings);
    assert_true(publishing_init(&scene->publisher));
    assert_int_equal(uv_thread_create(&thread, listen_there, scene), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(channel_join(scene->channel, CHANNEL_PLAIN, NULL, &scene->reader, NULL), 0);
    throttle_init(&scene->throttle, &scene->loop, &scene->channels);
}

static void scene_deinit(struct scene *scene)
{
    throttle_forget(&scene->throttled);
    throttle_close(&scene->throttle);
    (void) uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    channel_unlisten(scene->channel, &scene->listener);
    channel_leave(scene->channel, &scene->reader, NULL);
    channels_unref(&scene->channels, scene->channel);
    channels_deinit(&scene->channels);
    publishing_deinit(&scene->publisher);
    free(scene->rate);
}

static struct submit_client client(struct scene *scene, enum submit_way way)
{
    return (struct submit_client){
        way, {NULL, &scene->rate}, 1000, {&scene->throttled, scene, on_paused}, NULL};
}

/* What became of a submission. */
struct result {
    const char *limit;
    unsigned receipts;
    struct submit_receipt receipt;
};

static void on_receipt(void *owner, const struct submit_receipt *receipt)
{
    struct result *result = owner;

    result->receipts++;
    result->receipt = *receipt;
}

/* Submits the same text so many times at once; returns the receipt's status, or why there is
 * none. */
static int say(struct scene *scene, enum submit_way way, enum frame_opcode opcode, const char *text,
               size_t count, struct result *result)
{
    const struct submit_client one = client(scene, way);
    const struct frame_part part = {text, strlen(text)};
    const struct channel_item item = {opcode, &part, 1, 0};
    struct channel_item items[] = {item, item, item};
    int status;

    *result = (struct result){.limit = NULL};
    status = submit_messages(
        &scene->means, &one,
        &(struct submit_batch){scene->channel, items, count, on_receipt, result, NULL},
        &result->limit);
    assert_int_equal(result->receipts, status == 0 ? 1 : 0);
    return status == 0 ? result->receipt.status : status;
}

static void check_heard(struct scene *scene, const char *expected)
{
    struct channel_message message;

    assert_true(channel_next(&scene->reader.cursor, &message));
    assert_int_equal(message.len, strlen(expected));
    assert_memory_equal(message.payload, expected, message.len);
}

static void check_silence(struct scene *scene)
{
    struct channel_message message;

    assert_false(channel_next(&scene->reader.cursor, &message));
}

static void a_way_that_is_not_open_publishes_nothing(void **state)
{
    const struct {
        enum submit_way way;
        unsigned publish;
        int status;
    } cases[] = {
        {SUBMIT_WS, CHANNEL_BY_HTTP, UV_EACCES},
        {SUBMIT_HTTP, CHANNEL_BY_WS, UV_EACCES},
        {SUBMIT_WS, CHANNEL_BY_WS, 0},
        {SUBMIT_HTTP, CHANNEL_BY_HTTP, 0},
        {SUBMIT_STDIN, 0, 0}, /* the operator's own */
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct result result;
        struct scene scene;

        scene_init(&scene, "a");
        scene.settings.publish = cases[i].publish;
        assert_int_equal(say(&scene, cases[i].way, FRAME_TEXT, "x", 1, &result), cases[i].status);
        assert_int_equal(result.receipt.published, cases[i].status == 0 ? 1 : 0);
        if (cases[i].status == 0)
            check_heard(&scene, "x");
        check_silence(&scene);
        scene_deinit(&scene);
    }
}

static void the_prefix_is_for_text_of_websocket_clients_in_the_default_channel(void **state)
{
    const struct {
        enum submit_way way;
        const char *channel;
        enum frame_opcode opcode;
        const char *heard;
    } cases[] = {
        {SUBMIT_WS, "", FRAME_TEXT, "said: x"}, {SUBMIT_WS, "", FRAME_BINARY, "x"},
        {SUBMIT_WS, "a", FRAME_TEXT, "x"},      {SUBMIT_HTTP, "", FRAME_TEXT, "x"},
        {SUBMIT_STDIN, "", FRAME_TEXT, "x"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct result result;
        struct scene scene;

        scene_init(&scene, cases[i].channel);
        assert_int_equal(say(&scene, cases[i].way, cases[i].opcode, "x", 1, &result), 0);
        check_heard(&scene, cases[i].heard);
        scene_deinit(&scene);
    }
}

static void a_limit_that_one_message_exceeds_keeps_all_of_them_back(void **state)
{
    struct result result;
    struct scene scene;

    (void) state;
    scene_init(&scene, "");
    scene.settings.max_messages_per_second = 2;
    assert_int_equal(say(&scene, SUBMIT_HTTP, FRAME_TEXT, "x", 3, &result), UV_E2BIG);
    assert_string_equal(result.limit, "max-messages-per-second");
    assert_int_equal(result.receipt.published, 0);
    check_silence(&scene);
    assert_int_equal(say(&scene, SUBMIT_HTTP, FRAME_TEXT, "x", 1, &result), 0);
    check_heard(&scene, "x");
    assert_int_equal(say(&scene, SUBMIT_HTTP, FRAME_TEXT, "x", 2, &result), UV_EAGAIN);
    assert_string_equal(result.limit, "max-messages-per-second");
    assert_int_equal(result.receipt.published, 0);
    check_silence(&scene);
    for (int i = 0; i < 3; i++)
        assert_int_equal(say(&scene, SUBMIT_STDIN, FRAME_TEXT, "x", 1, &result), 0);
    scene_deinit(&scene);
}

/* The prefix is the server's own. */
static void the_limit_on_bytes_is_of_what_was_said(void **state)
{
    struct result result;
    struct scene scene;

    (void) state;
    scene_init(&scene, "");
    scene.settings.max_bytes_per_second = 4;
    for (int i = 0; i < 4; i++)
        assert_int_equal(say(&scene, SUBMIT_WS, FRAME_TEXT, "x", 1, &result), 0);
    assert_int_equal(say(&scene, SUBMIT_WS, FRAME_TEXT, "x", 1, &result), UV_EAGAIN);
    assert_string_equal(result.limit, "max-bytes-per-second");
    scene_deinit(&scene);
}

static void whoever_publishes_more_than_others_deliver_is_paused_also_with_empty_messages(
    void **state)
{
    static const struct {
        enum submit_way way;
        size_t count; /* at a time */
        bool paused;
    } cases[] = {
        {SUBMIT_WS, 1, true},
        {SUBMIT_HTTP, 1, true},
        {SUBMIT_HTTP, 3, true},
        {SUBMIT_STDIN, 1, false}, /* it asks the workers itself */
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct result result;
        struct scene scene;

        scene_init(&scene, "a");
        while (!scene.paused &&
               channel_appended(scene.channel) < THROTTLE_BEHIND + 2 * THROTTLE_LOOK)
            assert_int_equal(say(&scene, cases[i].way, FRAME_TEXT, "", cases[i].count, &result), 0);
        assert_int_equal(scene.paused, cases[i].paused);
        scene_deinit(&scene);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_way_that_is_not_open_publishes_nothing),
        cmocka_unit_test(the_prefix_is_for_text_of_websocket_clients_in_the_default_channel),
        cmocka_unit_test(a_limit_that_one_message_exceeds_keeps_all_of_them_back),
        cmocka_unit_test(the_limit_on_bytes_is_of_what_was_said),
        cmocka_unit_test(
            whoever_publishes_more_than_others_deliver_is_paused_also_with_empty_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

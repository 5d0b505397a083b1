#include "server/broadcast/fanout.h"

#include "tests/unit/publishing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { BUDGET = 128, COUNT = 2 * BUDGET };

/* Subscribers without a socket: their flush reads what there is. */
struct scene {
    struct list due;
    uv_loop_t loop;
    struct inbox inbox;
    struct channel channel;
    struct channel_publisher publisher;
    struct channel_settings settings;
    struct fanout fanout;
    struct subscriber subscribers[COUNT];
    unsigned visits;
    bool publishes; /* the next flush of one of them does */
};

static struct scene scene;

static void publish(void)
{
    assert_int_equal(publishing_number(&scene.channel, &scene.publisher, 1, 10), 0);
}

static void flush_here(struct subscriber *subscriber)
{
    uint64_t lag = channel_lag(scene.fanout.channel, &subscriber->reader);

    scene.visits++;
    if (lag > 0)
        block_log_advance(&subscriber->reader.cursor, (size_t) lag);
    if (!scene.publishes)
        return;
    scene.publishes = false;
    publish();
}

static bool is_stalled(const struct subscriber *subscriber)
{
    (void) subscriber;
    return false;
}

static const struct subscriber_ops ops = {.flush = flush_here, .is_stalled = is_stalled};

/* As a worker does at the end of a turn. */
static void flush_due(void)
{
    struct fanout_budget budget = {.visits = BUDGET, .most = 8 * BUDGET};

    while (budget.visits > 0 && !list_empty(&scene.due))
        fanout_flush(container_of(scene.due.next, struct fanout, _due), &budget);
}

static int set_up(void **state)
{
    (void) state;
    scene = (struct scene){.visits = 0};
    list_init(&scene.due);
    if (uv_loop_init(&scene.loop) != 0 || inbox_init(&scene.inbox, &scene.loop) != 0 ||
        channel_init(&scene.channel, "", NULL) != 0 || !publishing_init(&scene.publisher))
        return -1;
    fanout_init(&scene.fanout, &scene.channel, &ops, &scene.inbox, &scene.due);
    channel_set_settings(&scene.channel, &scene.settings);
    for (unsigned i = 0; i < COUNT; i++) {
        list_init(&scene.subscribers[i].node);
        if (fanout_join(&scene.fanout, &scene.subscribers[i], CHANNEL_PLAIN, NULL, NULL) != 0)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    for (unsigned i = 0; i < COUNT; i++)
        fanout_leave(&scene.fanout, &scene.subscribers[i], NULL);
    fanout_deinit(&scene.fanout);
    publishing_deinit(&scene.publisher);
    channel_deinit(&scene.channel);
    inbox_close(&scene.inbox);
    (void) uv_run(&scene.loop, UV_RUN_DEFAULT);
    inbox_deinit(&scene.inbox);
    return uv_loop_close(&scene.loop);
}

static size_t count_due(void)
{
    size_t count = 0;

    for (struct list *node = scene.due.next; node != &scene.due && count < 3; node = node->next)
        count++;
    return count;
}

static void what_is_published_within_a_flush_makes_it_due_once(void **state)
{
    (void) state;
    publish();
    assert_int_equal(count_due(), 1);
    scene.publishes = true;
    flush_due(); /* the budget ends before all are visited */
    assert_int_equal(scene.visits, BUDGET);
    assert_int_equal(count_due(), 1);
    while (count_due() > 0)
        flush_due();
    assert_in_range(scene.visits, COUNT + 1, 2 * COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(channel_lag(&scene.channel, &scene.subscribers[i].reader), 0);
}

static uint64_t reached(void)
{
    return atomic_load(&scene.fanout._listener.delivered);
}

static void the_channel_is_told_how_far_all_have_got(void **state)
{
    uint64_t one;

    (void) state;
    publish();
    one = channel_appended(&scene.channel);
    flush_due();
    assert_int_equal(reached(), 0); /* half of them */
    publish();
    flush_due();
    assert_int_equal(reached(), one);
    flush_due();
    assert_int_equal(reached(), 2 * one);
    assert_int_equal(count_due(), 0);
}

#define WITH_SUBSCRIBERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_SUBSCRIBERS(what_is_published_within_a_flush_makes_it_due_once),
        WITH_SUBSCRIBERS(the_channel_is_told_how_far_all_have_got),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The fanout with peers whose flush is this file's own. */
#include "tests/worker_here.h"

#include "server/peer/peer.h"

static void flush_here(struct peer *peer);

#define peer_flush flush_here
#include "server/broadcast/fanout.c" // NOLINT(bugprone-suspicious-include): to reach inside

#include "tests/unit/publishing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PEERS = 2 * FLUSH_BUDGET };

/* A worker that is no more than its list of what is due. */
struct scene {
    struct worker worker;
    uv_loop_t loop;
    struct inbox inbox;
    struct channel channel;
    struct channel_publisher publisher;
    struct fanout_limits limits;
    struct fanout fanout;
    struct peer peers[PEERS];
    unsigned visits;
    bool publishes; /* the next flush of a peer does */
};

static struct scene scene;

static void publish(void)
{
    assert_int_equal(publishing_number(&scene.channel, &scene.publisher, 1, 10), 0);
}

static void flush_here(struct peer *peer)
{
    uint64_t lag = channel_lag(scene.fanout.channel, &peer->cursor);

    scene.visits++;
    if (lag > 0)
        block_log_advance(&peer->cursor, (size_t) lag);
    if (!scene.publishes)
        return;
    scene.publishes = false;
    publish();
}

static int set_up(void **state)
{
    (void) state;
    scene = (struct scene){.visits = 0};
    list_init(&scene.worker.due);
    if (uv_loop_init(&scene.loop) != 0 || inbox_init(&scene.inbox, &scene.loop) != 0 ||
        channel_init(&scene.channel, "", NULL) != 0 || !publishing_init(&scene.publisher))
        return -1;
    fanout_init(&scene.fanout, &scene.channel, &scene.inbox, &scene.worker.due, &scene.limits);
    for (unsigned i = 0; i < PEERS; i++) {
        list_init(&scene.peers[i].place);
        if (fanout_join(&scene.fanout, &scene.peers[i], CHANNEL_PLAIN, NULL, NULL) != 0)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    for (unsigned i = 0; i < PEERS; i++)
        fanout_leave(&scene.fanout, &scene.peers[i], NULL);
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

    for (struct list *node = scene.worker.due.next; node != &scene.worker.due && count < 3;
         node = node->next)
        count++;
    return count;
}

static void what_is_published_within_a_flush_makes_it_due_once(void **state)
{
    (void) state;
    publish();
    assert_int_equal(count_due(), 1);
    scene.publishes = true;
    flush_due(&scene.worker); /* the budget ends before all are visited */
    assert_int_equal(scene.visits, FLUSH_BUDGET);
    assert_int_equal(count_due(), 1);
    while (count_due() > 0)
        flush_due(&scene.worker);
    assert_in_range(scene.visits, PEERS + 1, 2 * PEERS);
    for (unsigned i = 0; i < PEERS; i++)
        assert_int_equal(channel_lag(&scene.channel, &scene.peers[i].cursor), 0);
}

static uint64_t reached(void)
{
    return atomic_load(&scene.fanout._listener.reached);
}

static void the_channel_is_told_how_far_all_have_got(void **state)
{
    uint64_t one;

    (void) state;
    publish();
    one = channel_appended(&scene.channel);
    flush_due(&scene.worker);
    assert_int_equal(reached(), 0); /* half of them */
    publish();
    flush_due(&scene.worker);
    assert_int_equal(reached(), one);
    flush_due(&scene.worker);
    assert_int_equal(reached(), 2 * one);
    assert_int_equal(count_due(), 0);
}

#define WITH_PEERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_PEERS(what_is_published_within_a_flush_makes_it_due_once),
        WITH_PEERS(the_channel_is_told_how_far_all_have_got),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

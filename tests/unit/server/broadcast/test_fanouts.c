#include "server/broadcast/fanouts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/peer/peer.h"
#include "tests/rules.h"
#include "tests/unit/publishing.h"

enum { PEERS = 1000, BUDGET = 256, MESSAGES = 2000 };

/* A worker's fanout with peers, whose sockets nobody writes to. */
struct audience {
    uv_loop_t loop;
    struct inbox inbox;
    struct list due;
    struct channels channels;
    struct channel_publisher publisher;
    struct fanouts fanouts;
    struct fanout *fanout;
    struct peer *peers; /* the n-th has acknowledged all up to message 100 + n */
};

static void gather(struct audience *audience)
{

    assert_int_equal(uv_loop_init(&audience->loop), 0);
    assert_int_equal(inbox_init(&audience->inbox, &audience->loop), 0);
    list_init(&audience->due);
    assert_int_equal(
        channels_init(&audience->channels, rules_keeping(&(struct history_policy){0}), 0), 0);
    assert_true(publishing_init(&audience->publisher));
    fanouts_init(&audience->fanouts, &audience->channels, &peer_subscriber_ops, &audience->inbox,
                 &audience->due);
    audience->peers = calloc(PEERS, sizeof *audience->peers);
    assert_non_null(audience->peers);
    for (unsigned i = 0; i < PEERS; i++) {
        struct peer *peer = &audience->peers[i];
        struct event_id start;

        list_init(&peer->subscriber.node);
        assert_int_equal(fanouts_get(&audience->fanouts, "a", 1, true, &peer->_fanout), 0);
        assert_int_equal(fanout_join(peer->_fanout, &peer->subscriber, CHANNEL_PLAIN, NULL, &start),
                         0);
        peer->transport.note = 100 + i;
    }
    audience->fanout = audience->peers[0]._fanout;
    for (unsigned i = 1; i <= MESSAGES; i++)
        assert_int_equal(publishing_number(audience->fanout->channel, &audience->publisher, i, 8),
                         0);
}

static void disperse(struct audience *audience)
{
    for (unsigned i = 0; i < PEERS; i++) {
        if (fanout_has(&audience->peers[i].subscriber))
            fanout_leave(audience->fanout, &audience->peers[i].subscriber, NULL);
        fanouts_put(&audience->fanouts, audience->fanout);
    }
    fanouts_clean(&audience->fanouts);
    free(audience->peers);
    publishing_deinit(&audience->publisher);
    channels_deinit(&audience->channels);
    inbox_close(&audience->inbox);
    (void) uv_run(&audience->loop, UV_RUN_DEFAULT);
    inbox_deinit(&audience->inbox);
    assert_int_equal(uv_loop_close(&audience->loop), 0);
}

/* One turn's part of a look: no more than the budget. True with the last. */
static bool look(struct audience *audience, struct fanout_lag *lag)
{
    unsigned budget = BUDGET;
    bool done = fanouts_look(&audience->fanouts, audience->fanout->channel, &budget, lag);

    assert_true(budget <= BUDGET);
    assert_true(done || budget == 0);
    return done;
}

static void a_look_takes_as_many_turns_as_its_budget_needs(void **state)
{
    struct audience audience;
    struct fanout_lag lag = {0};
    unsigned turns = 1;

    (void) state;
    gather(&audience);
    while (!look(&audience, &lag))
        turns++;
    assert_int_equal(turns, (PEERS + BUDGET - 1) / BUDGET);
    assert_true(lag.acknowledges);
    assert_int_equal(lag.acknowledged, 100);
    assert_int_equal(lag.messages, MESSAGES);
    assert_int_equal(lag.bytes, channel_appended(audience.fanout->channel));
    disperse(&audience);
}

/* The furthest behind is stalled, and drains when all the others that are ready have been seen. */
static void who_goes_where_all_were_seen_is_not_missed(void **state)
{
    struct audience audience;
    struct fanout_lag lag = {0};
    struct peer *last;

    (void) state;
    gather(&audience);
    last = &audience.peers[PEERS - 1];
    last->transport.note = 50;
    for (unsigned i = BUDGET; i < PEERS; i++)
        fanout_stall(audience.fanout, &audience.peers[i].subscriber);
    assert_false(look(&audience, &lag));
    fanout_resume(audience.fanout, &last->subscriber);
    while (!look(&audience, &lag)) {
    }
    assert_int_equal(lag.acknowledged, 50);
    disperse(&audience);
}

/* Peers stall, drain and leave between two turns, as they like. */
static void who_stays_is_looked_at_whoever_moves(void **state)
{
    (void) state;
    for (unsigned seed = 1; seed < 20; seed++) {
        struct audience audience;
        struct fanout_lag lag = {0};
        unsigned turns = 0, chance = seed;

        gather(&audience);
        audience.peers[seed * 50].transport.note = 50;
        while (!look(&audience, &lag)) {
            assert_true(++turns < 100);
            for (unsigned i = 0; i < 300; i++) {
                unsigned number = (unsigned) rand_r(&chance) % PEERS;
                struct peer *peer = &audience.peers[number];

                if (fanout_has(&peer->subscriber) && i % 7 == 0 && number != seed * 50)
                    fanout_leave(audience.fanout, &peer->subscriber, NULL);
                else if (fanout_has(&peer->subscriber) && i % 2 == 0)
                    fanout_stall(audience.fanout, &peer->subscriber);
                else if (fanout_has(&peer->subscriber))
                    fanout_resume(audience.fanout, &peer->subscriber);
            }
        }
        assert_int_equal(lag.acknowledged, 50);
        disperse(&audience);
    }
}

static void the_peer_that_is_next_may_leave(void **state)
{
    struct audience audience;
    struct fanout_lag lag = {0};

    (void) state;
    gather(&audience);
    assert_false(look(&audience, &lag));
    for (unsigned i = 1; i < PEERS; i++) /* all but the first, which has been looked at */
        fanout_leave(audience.fanout, &audience.peers[i].subscriber, NULL);
    assert_true(look(&audience, &lag));
    assert_int_equal(lag.acknowledged, 100);
    disperse(&audience);
}

static void a_channel_without_peers_is_seen_at_once(void **state)
{
    struct audience audience;
    struct fanout_lag lag = {0};
    struct channel *channel;
    unsigned budget = 1;

    (void) state;
    gather(&audience);
    assert_int_equal(channels_make(&audience.channels, "b", 1, &channel), 0);
    assert_true(fanouts_look(&audience.fanouts, channel, &budget, &lag));
    assert_false(lag.acknowledges);
    channels_unref(&audience.channels, channel);
    disperse(&audience);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_takes_as_many_turns_as_its_budget_needs),
        cmocka_unit_test(who_goes_where_all_were_seen_is_not_missed),
        cmocka_unit_test(who_stays_is_looked_at_whoever_moves),
        cmocka_unit_test(the_peer_that_is_next_may_leave),
        cmocka_unit_test(a_channel_without_peers_is_seen_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

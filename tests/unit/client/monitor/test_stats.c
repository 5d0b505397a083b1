#include "client/monitor/stats.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint64_t SECOND = 1000000000;
static const uint64_t MICROSECOND = 1000;

static void check(const struct stats *stats, uint64_t now, const char *expected)
{
    char line[400];

    assert_string_equal(stats_write(stats, now, line, sizeof line), expected);
}

static void messages_and_bytes_are_counted_with_their_rates(void **state)
{
    struct stats stats;

    (void) state;
    stats_init(&stats, 5 * SECOND);
    stats_connected(&stats);
    for (int i = 0; i < 10; i++)
        stats_message(&stats, 100);
    stats_wire(&stats, 400);
    check(&stats, 7 * SECOND,
          "10 messages (5.0/s), 1000 bytes (500/s) in 2.0 s, compression 2.50, pings none, 0 "
          "reconnects, 0 gaps");
}

static void before_anything_has_come_there_is_nothing_to_divide_by(void **state)
{
    struct stats stats;

    (void) state;
    stats_init(&stats, 0);
    check(&stats, 0,
          "0 messages (0.0/s), 0 bytes (0/s) in 0.0 s, compression 1.00, pings none, "
          "0 reconnects, 0 gaps");
}

static void trip(struct stats *stats, uint64_t microseconds)
{
    stats_ping(stats, SECOND);
    stats_pong(stats, SECOND + microseconds * MICROSECOND);
}

static void percentiles_are_those_of_the_last_round_trips(void **state)
{
    struct stats stats;

    (void) state;
    stats_init(&stats, 0);
    for (unsigned i = 0; i < 1000; i++) /* these are forgotten */
        trip(&stats, 9999999);
    for (unsigned i = STATS_PINGS; i > 0; i--)
        trip(&stats, i * 10);
    check(&stats, SECOND,
          "0 messages (0.0/s), 0 bytes (0/s) in 1.0 s, compression 1.00, pings p50 2.56 ms p99 "
          "5.07 ms of 1512, 0 reconnects, 0 gaps");
}

static void a_pong_that_nobody_asked_for_is_none(void **state)
{
    struct stats stats;

    (void) state;
    stats_init(&stats, 0);
    stats_pong(&stats, SECOND);
    stats_ping(&stats, SECOND);
    stats_connected(&stats); /* the one that was asked is gone */
    stats_pong(&stats, SECOND);
    trip(&stats, 1000);
    stats_pong(&stats, 9 * SECOND);
    stats_gap(&stats);
    stats_gap(&stats);
    stats_connected(&stats);
    check(&stats, SECOND,
          "0 messages (0.0/s), 0 bytes (0/s) in 1.0 s, compression 1.00, pings p50 1.00 ms p99 "
          "1.00 ms of 1, 1 reconnect, 2 gaps");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_and_bytes_are_counted_with_their_rates),
        cmocka_unit_test(before_anything_has_come_there_is_nothing_to_divide_by),
        cmocka_unit_test(percentiles_are_those_of_the_last_round_trips),
        cmocka_unit_test(a_pong_that_nobody_asked_for_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

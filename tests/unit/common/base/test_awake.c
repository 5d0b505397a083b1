#include "common/base/awake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void while_the_timer_is_on_time_or_nearly_it_is_the_loops_clock(void **state)
{
    struct awake awake = {0};

    (void) state;
    awake_expect(&awake, 1000, 250);
    assert_false(awake_look(&awake, 1250));
    awake_expect(&awake, 1250, 250);
    assert_false(awake_look(&awake, 1500 + AWAKE_LATE));
    assert_int_equal(awake_clock(&awake, 2000), 2000);
}

static void what_a_timer_is_late_by_does_not_count(void **state)
{
    struct awake awake = {0};

    (void) state;
    awake_expect(&awake, 1000, 250);
    assert_true(awake_look(&awake, 61250));
    assert_int_equal(awake_clock(&awake, 61250), 1250);
    awake_expect(&awake, 61250, 250);
    assert_false(awake_look(&awake, 61500));
    awake_expect(&awake, 61500, 250);
    assert_true(awake_look(&awake, 62750));
    assert_int_equal(awake_clock(&awake, 62750), 1750);
}

static void an_early_timer_takes_nothing_away(void **state)
{
    struct awake awake = {0};

    (void) state;
    awake_expect(&awake, 1000, 250);
    assert_false(awake_look(&awake, 1249));
    assert_int_equal(awake_clock(&awake, 1249), 1249);
}

/* The loop may come to its I/O before the timer that is late. */
static void before_the_late_timer_runs_it_is_the_same_clock(void **state)
{
    struct awake awake = {0};

    (void) state;
    assert_int_equal(awake_clock(&awake, 5000), 5000); /* no timer runs */
    awake_expect(&awake, 1000, 250);
    assert_int_equal(awake_clock(&awake, 61250), 1250);
    assert_true(awake_look(&awake, 61300));
    assert_int_equal(awake_clock(&awake, 61300), 1250);
    awake_rest(&awake);
    assert_int_equal(awake_clock(&awake, 161300), 101250);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_the_timer_is_on_time_or_nearly_it_is_the_loops_clock),
        cmocka_unit_test(what_a_timer_is_late_by_does_not_count),
        cmocka_unit_test(an_early_timer_takes_nothing_away),
        cmocka_unit_test(before_the_late_timer_runs_it_is_the_same_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

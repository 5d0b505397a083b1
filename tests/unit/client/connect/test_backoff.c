#include "client/connect/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX = 8 * 1000 };

/* The next wait, and that there is one. */
static uint64_t next(struct backoff *backoff, uint64_t asked, uint32_t random)
{
    uint64_t delay = 0;

    assert_true(backoff_next(backoff, asked, random, &delay));
    return delay;
}

static void the_longest_wait_doubles_up_to_the_maximum(void **state)
{
    static const uint64_t longest[] = {1000, 2000, 4000, 8000, 8000, 8000};
    struct backoff backoff;

    (void) state;
    backoff_init(&backoff, MAX, 0);
    for (size_t i = 0; i < sizeof longest / sizeof *longest; i++)
        assert_int_equal(next(&backoff, 0, UINT32_MAX), longest[i]);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(next(&backoff, 0, UINT32_MAX), MAX);
}

static void it_never_spins_however_the_dice_fall(void **state)
{
    struct backoff backoff;

    (void) state;
    backoff_init(&backoff, 1, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(next(&backoff, 0, 0), BACKOFF_LEAST);
        assert_int_equal(next(&backoff, 0, UINT32_MAX), BACKOFF_LEAST);
    }
}

/* Full jitter: the waits of many listeners are spread over the whole range. */
static void waits_are_spread_evenly(void **state)
{
    (void) state;
    for (uint32_t i = 0; i < 10; i++) {
        struct backoff backoff;

        backoff_init(&backoff, MAX, 0);
        assert_in_range(next(&backoff, 0, i * (UINT32_MAX / 10)), BACKOFF_LEAST + i * 90,
                        BACKOFF_LEAST + i * 90 + 1);
    }
}

static void what_the_server_asks_for_comes_on_top_within_reason(void **state)
{
    struct backoff backoff;

    (void) state;
    backoff_init(&backoff, MAX, 0);
    assert_int_equal(next(&backoff, 30 * 1000, 0), 30 * 1000 + BACKOFF_LEAST);
    assert_int_equal(next(&backoff, UINT64_MAX, 0), BACKOFF_ASKED_MOST + BACKOFF_LEAST);
}

static void retries_are_counted_in_a_row(void **state)
{
    struct backoff backoff;
    uint64_t delay;

    (void) state;
    backoff_init(&backoff, MAX, 2);
    (void) next(&backoff, 0, 0);
    (void) next(&backoff, 0, 0);
    assert_false(backoff_next(&backoff, 0, 0, &delay));
    assert_int_equal(backoff_failed(&backoff), 2);
    backoff_held(&backoff, BACKOFF_HELD);
    (void) next(&backoff, 0, 0);
    (void) next(&backoff, 0, 0);
    assert_false(backoff_next(&backoff, 0, 0, &delay));
}

/* A server that accepts and drops is not hammered. */
static void only_a_connection_that_held_begins_anew(void **state)
{
    struct backoff backoff;

    (void) state;
    backoff_init(&backoff, 1000 * 1000, 0);
    for (int i = 0; i < 5; i++)
        (void) next(&backoff, 0, UINT32_MAX);
    backoff_held(&backoff, BACKOFF_HELD - 1);
    assert_int_equal(next(&backoff, 0, UINT32_MAX), 32 * 1000);
    backoff_held(&backoff, 32 * 1000); /* no longer than the wait before it */
    assert_int_equal(next(&backoff, 0, UINT32_MAX), 64 * 1000);
    backoff_held(&backoff, 64 * 1000 + 1);
    assert_int_equal(next(&backoff, 0, UINT32_MAX), 1000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_wait_doubles_up_to_the_maximum),
        cmocka_unit_test(it_never_spins_however_the_dice_fall),
        cmocka_unit_test(waits_are_spread_evenly),
        cmocka_unit_test(what_the_server_asks_for_comes_on_top_within_reason),
        cmocka_unit_test(retries_are_counted_in_a_row),
        cmocka_unit_test(only_a_connection_that_held_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

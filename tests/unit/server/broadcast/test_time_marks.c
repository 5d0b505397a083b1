#include "server/broadcast/time_marks.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { CAPACITY = 3, STEP = 10, AGE = 100 };

static int set_up(void **state)
{
    *state = time_marks_new(CAPACITY);
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void add(struct time_marks *marks, uint64_t time, uint64_t sequence)
{
    time_marks_add(marks, (struct time_mark){time, sequence}, STEP);
}

static void what_is_within_a_step_needs_no_mark_of_its_own(void **state)
{
    struct time_mark taken;

    add(*state, 1000, 1);
    add(*state, 1009, 2);
    add(*state, 1010, 3);
    assert_true(time_marks_take(*state, 2000, AGE, &taken));
    assert_int_equal(taken.sequence, 1);
    assert_true(time_marks_take(*state, 2000, AGE, &taken));
    assert_int_equal(taken.sequence, 3);
    assert_false(time_marks_take(*state, 2000, AGE, &taken));
}

static void a_mark_is_taken_once_it_is_old_enough(void **state)
{
    struct time_mark taken;

    assert_null(time_marks_oldest(*state));
    assert_false(time_marks_take(*state, 1000, AGE, &taken));
    add(*state, 1000, 7);
    assert_false(time_marks_take(*state, 1099, AGE, &taken));
    assert_int_equal(time_marks_oldest(*state)->sequence, 7);
    assert_true(time_marks_take(*state, 1100, AGE, &taken));
    assert_int_equal(taken.time, 1000);
    assert_null(time_marks_oldest(*state));
}

static void the_oldest_come_first_also_once_the_ring_has_wrapped(void **state)
{
    struct time_mark taken;

    for (uint64_t i = 0; i < 20; i++) {
        add(*state, i * STEP, i);
        if (i < 2)
            continue;
        assert_int_equal(time_marks_oldest(*state)->sequence, i - 2);
        assert_true(time_marks_take(*state, UINT64_MAX / 2, AGE, &taken));
        assert_int_equal(taken.sequence, i - 2);
    }
}

static void a_full_ring_keeps_what_it_has(void **state)
{
    struct time_mark taken;

    for (uint64_t i = 0; i < 5; i++)
        add(*state, i * STEP, i);
    for (uint64_t i = 0; i < CAPACITY; i++) {
        assert_true(time_marks_take(*state, UINT64_MAX / 2, AGE, &taken));
        assert_int_equal(taken.sequence, i);
    }
    assert_false(time_marks_take(*state, UINT64_MAX / 2, AGE, &taken));
}

#define WITH_MARKS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_MARKS(what_is_within_a_step_needs_no_mark_of_its_own),
        WITH_MARKS(a_mark_is_taken_once_it_is_old_enough),
        WITH_MARKS(the_oldest_come_first_also_once_the_ring_has_wrapped),
        WITH_MARKS(a_full_ring_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

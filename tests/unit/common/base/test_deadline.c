#include "common/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct deadline first, second, third;

static void start_three(struct deadline_list *deadlines, uint32_t timeout, uint64_t now)
{
    deadline_list_init(deadlines, timeout);
    deadline_init(&first);
    deadline_init(&second);
    deadline_init(&third);
    deadline_start(deadlines, &first, now);
    deadline_start(deadlines, &second, now + 10);
    deadline_start(deadlines, &third, now + 10);
}

static void members_expire_in_order_at_their_time_and_not_before(void **state)
{
    struct deadline_list deadlines;

    (void) state;
    start_three(&deadlines, 1000, 5);
    assert_null(deadline_expired(&deadlines, 1004));
    assert_ptr_equal(deadline_expired(&deadlines, 1005), &first);
    assert_null(deadline_expired(&deadlines, 1014));
    assert_ptr_equal(deadline_expired(&deadlines, 1015), &second);
    assert_ptr_equal(deadline_expired(&deadlines, 1015), &third);
    assert_null(deadline_expired(&deadlines, 1000000));
}

static void a_start_anew_puts_the_deadline_off(void **state)
{
    struct deadline_list deadlines;

    (void) state;
    start_three(&deadlines, 1000, 0);
    deadline_start(&deadlines, &first, 500);
    assert_ptr_equal(deadline_expired(&deadlines, 1200), &second);
    assert_ptr_equal(deadline_expired(&deadlines, 1200), &third);
    assert_null(deadline_expired(&deadlines, 1499));
    assert_ptr_equal(deadline_expired(&deadlines, 1500), &first);
}

static void a_start_in_another_list_leaves_the_first(void **state)
{
    struct deadline_list deadlines, slower;

    (void) state;
    start_three(&deadlines, 1000, 0);
    deadline_list_init(&slower, 5000);
    deadline_start(&slower, &first, 0);
    assert_ptr_equal(deadline_expired(&deadlines, 4000), &second);
    assert_ptr_equal(deadline_expired(&deadlines, 4000), &third);
    assert_null(deadline_expired(&deadlines, 4000));
    assert_null(deadline_expired(&slower, 4000));
    assert_ptr_equal(deadline_expired(&slower, 5000), &first);
}

static void a_stopped_deadline_never_expires(void **state)
{
    struct deadline_list deadlines;

    (void) state;
    start_three(&deadlines, 1000, 0);
    deadline_stop(&first);
    deadline_stop(&first); /* harmless */
    assert_ptr_equal(deadline_expired(&deadlines, 5000), &second);
}

static void without_a_timeout_nobody_expires(void **state)
{
    struct deadline_list deadlines;

    (void) state;
    start_three(&deadlines, 0, 0);
    assert_null(deadline_expired(&deadlines, UINT32_MAX));
    assert_ptr_equal(deadline_any(&deadlines), &first);
}

static void the_clock_may_pass_32_bits(void **state)
{
    struct deadline_list deadlines;
    uint64_t now = (uint64_t) 7 << 32;

    (void) state;
    start_three(&deadlines, 1000, now - 5);
    assert_null(deadline_expired(&deadlines, now + 994));
    assert_ptr_equal(deadline_expired(&deadlines, now + 995), &first);
    assert_null(deadline_expired(&deadlines, now + 1004));
    assert_ptr_equal(deadline_expired(&deadlines, now + 1005), &second);
}

static void any_takes_out_who_has_not_expired(void **state)
{
    struct deadline_list deadlines;

    (void) state;
    start_three(&deadlines, 1000, 0);
    assert_ptr_equal(deadline_any(&deadlines), &first);
    assert_ptr_equal(deadline_any(&deadlines), &second);
    assert_false(deadline_list_is_idle(&deadlines));
    assert_ptr_equal(deadline_any(&deadlines), &third);
    assert_true(deadline_list_is_idle(&deadlines));
    assert_null(deadline_any(&deadlines));
}

static void a_start_later_than_the_look_is_not_an_age_ago(void **state)
{
    struct deadline_list deadlines;
    struct deadline deadline;

    (void) state;
    deadline_list_init(&deadlines, 1000);
    deadline_init(&deadline);
    deadline_start(&deadlines, &deadline, 5001);
    assert_null(deadline_expired(&deadlines, 5000));
    assert_ptr_equal(deadline_expired(&deadlines, 6001), &deadline);
}

static void a_new_timeout_is_for_those_that_have_started_too(void **state)
{
    struct deadline_list deadlines;

    (void) state;
    start_three(&deadlines, 0, 0);
    assert_false(deadline_is_due(&deadlines, 1000000));
    deadline_list_set_timeout(&deadlines, 1000);
    assert_false(deadline_is_due(&deadlines, 999));
    assert_true(deadline_is_due(&deadlines, 1000));
    assert_ptr_equal(deadline_expired(&deadlines, 1000), &first);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_expire_in_order_at_their_time_and_not_before),
        cmocka_unit_test(a_start_anew_puts_the_deadline_off),
        cmocka_unit_test(a_start_in_another_list_leaves_the_first),
        cmocka_unit_test(a_stopped_deadline_never_expires),
        cmocka_unit_test(without_a_timeout_nobody_expires),
        cmocka_unit_test(the_clock_may_pass_32_bits),
        cmocka_unit_test(any_takes_out_who_has_not_expired),
        cmocka_unit_test(a_start_later_than_the_look_is_not_an_age_ago),
        cmocka_unit_test(a_new_timeout_is_for_those_that_have_started_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

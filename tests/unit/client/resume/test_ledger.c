#include "client/resume/ledger.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add(struct ledger *ledger, uint64_t sequence, uint64_t expected)
{
    struct event_id id = {.epoch = 1, .sequence = sequence};
    uint64_t number;

    assert_int_equal(ledger_add(ledger, id, &number), 0);
    assert_int_equal(number, expected);
}

static void in_order_each_arrival_is_the_new_place(void **state)
{
    struct ledger ledger;
    struct event_id id;

    (void) state;
    ledger_init(&ledger);
    for (uint64_t i = 0; i < 10; i++)
        add(&ledger, 100 + i, i);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(ledger_first(&ledger), i);
        assert_true(ledger_arrive(&ledger, i, &id));
        assert_int_equal(id.sequence, 100 + i);
    }
    add(&ledger, 7, 10); /* numbers go on, whatever the IDs do */
    assert_true(ledger_arrive(&ledger, 10, &id));
    assert_int_equal(id.sequence, 7);
    ledger_deinit(&ledger);
}

static void what_arrives_early_waits_for_what_is_before_it(void **state)
{
    struct ledger ledger = {0};
    struct event_id id = {.sequence = 99};

    (void) state;
    for (uint64_t i = 0; i < 4; i++)
        add(&ledger, i + 1, i);
    assert_false(ledger_arrive(&ledger, 2, &id));
    assert_false(ledger_arrive(&ledger, 1, &id));
    assert_int_equal(id.sequence, 99);
    assert_true(ledger_arrive(&ledger, 0, &id));
    assert_int_equal(id.sequence, 3);
    assert_true(ledger_arrive(&ledger, 3, &id));
    assert_int_equal(id.sequence, 4);
    ledger_deinit(&ledger);
}

static void while_it_is_never_empty_it_stays_small(void **state)
{
    struct ledger ledger = {0};
    struct event_id id;

    (void) state;
    add(&ledger, 0, 0);
    for (uint64_t i = 1; i < 100000; i++) {
        add(&ledger, i, i);
        assert_true(ledger_arrive(&ledger, i - 1, &id));
        assert_int_equal(id.sequence, i - 1);
        assert_in_range(ledger._entries.len, 1, 64 * 1024);
    }
    ledger_deinit(&ledger);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_each_arrival_is_the_new_place),
        cmocka_unit_test(what_arrives_early_waits_for_what_is_before_it),
        cmocka_unit_test(while_it_is_never_empty_it_stays_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

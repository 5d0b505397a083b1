#include "server/broadcast/channel_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_first_rule_that_matches_holds(void **state)
{
    const struct channel_rule list[] = {
        {"news/sport", {.max_message = 1}},
        {"news/*", {.max_message = 2}},
        {"**", {.max_message = 3}},
    };
    struct channel_rules rules = {list, 3, {.max_message = 4}, {.max_message = 5}};

    (void) state;
    assert_int_equal(channel_rules_find(&rules, "news/sport")->max_message, 1);
    assert_int_equal(channel_rules_find(&rules, "news/world")->max_message, 2);
    assert_int_equal(channel_rules_find(&rules, "news/world/x")->max_message, 3);
    assert_int_equal(channel_rules_find(&rules, "")->max_message, 5);
    rules.count = 2;
    assert_int_equal(channel_rules_find(&rules, "other")->max_message, 4);
}

static void what_all_rules_come_to_counts_each_of_them(void **state)
{
    struct channel_rule list[] = {{"a", {.lag.time = 0}}, {"b", {.lag.time = 3000}}};
    struct channel_rules rules = {list, 2, {.lag.time = 5000}, {0}};

    (void) state;
    assert_int_equal(channel_rules_least_lag_time(&rules), 3000);
    rules.count = 1;
    assert_int_equal(channel_rules_least_lag_time(&rules), 5000);
    rules.others.lag.time = 0;
    assert_int_equal(channel_rules_least_lag_time(&rules), 0);
    assert_false(channel_rules_have_age(&rules));
    list[0].settings.history.age = 1;
    assert_true(channel_rules_have_age(&rules));
    assert_false(channel_rules_have_rates(&rules));
    rules.of_default.max_bytes_per_second = 1;
    assert_true(channel_rules_have_rates(&rules));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_matches_holds),
        cmocka_unit_test(what_all_rules_come_to_counts_each_of_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/log_rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct log_rate rate;

static int set_up(void **state)
{
    (void) state;
    log_rate_init(&rate);
    return 0;
}

/* How many of so many lines are admitted. */
static unsigned offer(const char *kind, const char *address, uint64_t now, unsigned count)
{
    unsigned admitted = 0;

    for (unsigned i = 0; i < count; i++)
        admitted += log_rate_admits(&rate, kind, address, now) ? 1 : 0;
    return admitted;
}

static void the_first_lines_are_admitted_and_the_others_are_counted(void **state)
{
    char text[128];

    (void) state;
    assert_int_equal(offer("refused", "192.0.2.1 port 1", 1000, 25), LOG_RATE_LINES);
    assert_int_equal(log_rate_due(&rate), 1000 + LOG_RATE_TIME);
    assert_false(log_rate_tell(&rate, 999 + LOG_RATE_TIME, text, sizeof text));
    assert_true(log_rate_tell(&rate, 1000 + LOG_RATE_TIME, text, sizeof text));
    assert_string_equal(text, "192.0.2.1: refused: 15 more such lines within 10 s not logged");
    assert_false(log_rate_tell(&rate, 1000 + LOG_RATE_TIME, text, sizeof text));
    assert_int_equal(log_rate_due(&rate), UINT64_MAX);
    assert_int_equal(offer("refused", "192.0.2.1 port 1", 1000 + LOG_RATE_TIME, 1), 1);
}

static void another_port_is_the_same_client_another_kind_or_address_is_not(void **state)
{
    (void) state;
    assert_int_equal(offer("refused", "192.0.2.1 port 1", 0, 10), 10);
    assert_int_equal(offer("refused", "192.0.2.1 port 2", 0, 1), 0);
    assert_int_equal(offer("max-lag", "192.0.2.1 port 1", 0, 1), 1);
    assert_int_equal(offer("refused", "192.0.2.2 port 1", 0, 1), 1);
    assert_int_equal(offer("refused", "a Unix socket", 0, 11), 10);
}

static void a_client_that_stays_below_is_never_left_out(void **state)
{
    (void) state;
    for (uint64_t now = 0; now < 100 * LOG_RATE_TIME; now += LOG_RATE_TIME)
        assert_int_equal(offer("refused", "192.0.2.1 port 1", now, 10), 10);
    assert_int_equal(log_rate_pending(&rate), 0);
}

/* Nothing is lost of the count, however many there are, and the lines stay few. */
static void a_crowd_that_finds_no_room_shares_what_is_left(void **state)
{
    enum { CROWD = 100 * LOG_RATE_ENTRIES };
    unsigned long admitted = 0, told = 0;
    char address[64], text[128];

    (void) state;
    for (unsigned i = 0; i < CROWD; i++) {
        (void) snprintf(address, sizeof address, "2001:db8::%x port %u", i, i);
        admitted += offer("refused", address, 0, 1);
    }
    assert_in_range(admitted, 1, LOG_RATE_ENTRIES + LOG_RATE_LINES);
    while (log_rate_tell(&rate, UINT64_MAX, text, sizeof text))
        told += strtoul(strrchr(text, ':') + 2, NULL, 10);
    assert_int_equal(admitted + told, CROWD);
    assert_int_equal(log_rate_pending(&rate), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_lines_are_admitted_and_the_others_are_counted, set_up),
        cmocka_unit_test_setup(another_port_is_the_same_client_another_kind_or_address_is_not,
                               set_up),
        cmocka_unit_test_setup(a_client_that_stays_below_is_never_left_out, set_up),
        cmocka_unit_test_setup(a_crowd_that_finds_no_room_shares_what_is_left, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "client/connect/retry_after.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 9110, 5.6.7: its example, 1994-11-06 08:49:37 */
enum { THEN = 784111777 };

static void it_is_seconds_or_a_date_in_three_forms(void **state)
{
    (void) state;
    assert_int_equal(retry_after_parse("0", THEN), 0);
    assert_int_equal(retry_after_parse("120", THEN), 120 * 1000);
    assert_int_equal(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", THEN - 5), 5000);
    assert_int_equal(retry_after_parse("Sunday, 06-Nov-94 08:49:37 GMT", THEN - 5), 5000);
    assert_int_equal(retry_after_parse("Sun Nov  6 08:49:37 1994", THEN - 5), 5000);
}

static void a_date_that_is_over_asks_for_nothing(void **state)
{
    (void) state;
    assert_int_equal(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", THEN), 0);
    assert_int_equal(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", THEN + 1), 0);
}

static void nonsense_asks_for_nothing_and_too_much_for_much(void **state)
{
    static const char *const nonsense[] = {
        "", "-1", "1.5", "1 ", "soon", "Sun, 06 Nov 1994 08:49:37 GMT, 3", "Sun, 99 Nov 1994"};

    (void) state;
    assert_int_equal(retry_after_parse(NULL, THEN), 0);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        assert_int_equal(retry_after_parse(nonsense[i], THEN), 0);
    assert_int_equal(retry_after_parse("99999999999999999999999", THEN), 1000000000000);
    assert_int_equal(retry_after_parse("999999999", THEN), 999999999000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_seconds_or_a_date_in_three_forms),
        cmocka_unit_test(a_date_that_is_over_asks_for_nothing),
        cmocka_unit_test(nonsense_asks_for_nothing_and_too_much_for_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/decimal.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_digits_at_the_front_are_read(void **state)
{
    static const struct {
        const char *text;
        size_t digits;
        uint64_t number;
    } cases[] = {
        {"", 0, 0},
        {"x", 0, 0},
        {"-1", 0, 0},
        {" 1", 0, 0},
        {"0", 1, 0},
        {"12x", 2, 12},
        {"007", 3, 7},
        {"18446744073709551614", 20, UINT64_MAX - 1},
        {"18446744073709551615", 20, UINT64_MAX},
        {"18446744073709551616", 20, UINT64_MAX},
        {"99999999999999999999999999999x", 29, UINT64_MAX},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t number;

        assert_int_equal(decimal_read(cases[i].text, strlen(cases[i].text), &number),
                         cases[i].digits);
        assert_true(number == cases[i].number);
    }
}

static void no_byte_behind_the_text_is_read(void **state)
{
    uint64_t number;

    (void) state;
    assert_int_equal(decimal_read("123", 2, &number), 2);
    assert_int_equal(number, 12);
}

static void a_whole_text_is_a_number_up_to_a_bound(void **state)
{
    uint64_t number;

    (void) state;
    assert_true(decimal_parse("65535", 5, 65535, &number));
    assert_int_equal(number, 65535);
    assert_false(decimal_parse("65536", 5, 65535, &number));
    assert_false(decimal_parse("", 0, 65535, &number));
    assert_false(decimal_parse("1x", 2, 65535, &number));
    assert_true(decimal_parse("18446744073709551615", 20, UINT64_MAX, &number));
    assert_false(decimal_parse("18446744073709551616", 20, UINT64_MAX, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digits_at_the_front_are_read),
        cmocka_unit_test(no_byte_behind_the_text_is_read),
        cmocka_unit_test(a_whole_text_is_a_number_up_to_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

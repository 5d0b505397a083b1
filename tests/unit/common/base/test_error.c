#include "common/base/error.h"

#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_code_passes_through_and_the_text_is_formatted(void **state)
{
    struct error error;

    (void) state;
    assert_int_equal(error_set(&error, UV_EINVAL, "%s is %d", "x", 7), UV_EINVAL);
    assert_string_equal(error.text, "x is 7");
}

static void a_text_that_is_too_long_is_cut_and_ended(void **state)
{
    struct error error;
    char longer[2 * sizeof error.text];

    (void) state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(error_set(&error, UV_ENOMEM, "%s", longer), UV_ENOMEM);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_memory_equal(error.text, longer, sizeof error.text - 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_code_passes_through_and_the_text_is_formatted),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_and_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

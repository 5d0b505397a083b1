#include "common/base/encode.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_buffer(struct buffer *buffer, const char *text)
{
    assert_int_equal(buffer->len, strlen(text));
    assert_memory_equal(buffer->data, text, buffer->len);
    buffer_deinit(buffer);
}

static void hexadecimal_is_two_digits_a_byte_in_either_case(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xab, 0xff};
    struct buffer out = {0};

    (void) state;
    assert_int_equal(encode_hex(&out, bytes, sizeof bytes, false), 0);
    assert_buffer(&out, "00017f80abff");
    assert_int_equal(buffer_append(&out, "x", 1), 0);
    assert_int_equal(encode_hex(&out, bytes, sizeof bytes, true), 0);
    assert_int_equal(encode_hex(&out, NULL, 0, true), 0);
    assert_buffer(&out, "x00017F80ABFF");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_is_two_digits_a_byte_in_either_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* RFC 4648, 10 */
static void base64_is_as_the_rfc_has_it(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd", "//79"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer out = {0};

        assert_int_equal(buffer_append(&out, "=", 1), 0);
        assert_int_equal(encode_base64(&out, (const uint8_t *) cases[i][0], strlen(cases[i][0])),
                         0);
        buffer_drop(&out, 1);
        assert_buffer(&out, cases[i][1]);
    }
}

/* It is encoded in steps, whose seams must not show. */
static void base64_of_much_has_no_padding_in_the_middle(void **state)
{
    size_t len = 7 * 1024 * 1024 + 1;
    uint8_t *bytes = calloc(1, len);
    struct buffer out = {0};

    (void) state;
    assert_non_null(bytes);
    assert_int_equal(encode_base64(&out, bytes, len), 0);
    assert_int_equal(out.len, (len + 2) / 3 * 4);
    assert_true(memchr(out.data, 0x3d, out.len) == out.data + out.len - 1);
    free(bytes);
    buffer_deinit(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_is_two_digits_a_byte_in_either_case),
        cmocka_unit_test(base64_is_as_the_rfc_has_it),
        cmocka_unit_test(base64_of_much_has_no_padding_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

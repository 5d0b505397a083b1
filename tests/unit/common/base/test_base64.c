#include "common/base/base64.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

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
        assert_int_equal(base64_append(&out, (const uint8_t *) cases[i][0], strlen(cases[i][0])),
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
    assert_int_equal(base64_append(&out, bytes, len), 0);
    assert_int_equal(out.len, (len + 2) / 3 * 4);
    assert_true(memchr(out.data, 0x3d, out.len) == out.data + out.len - 1);
    free(bytes);
    buffer_deinit(&out);
}

static void pieces_put_together_are_the_whole(void **state)
{
    static const char text[] = "any carnal pleas";
    uint8_t out[sizeof text * 2];

    (void) state;
    for (size_t room = 0; room <= 25; room++) {
        size_t len = sizeof text - 1, at = 0, written = 0, used;

        do {
            size_t n =
                base64_write(out + written, room, (const uint8_t *) text + at, len - at, &used);

            assert_true(n == 0 || n < room);
            written += n;
            at += used;
        } while (used > 0);
        if (room < 5) { /* a group, and the NUL behind it */
            assert_int_equal(at, 0);
            continue;
        }
        assert_int_equal(at, len);
        assert_int_equal(written, base64_size(len));
        assert_memory_equal(out, "YW55IGNhcm5hbCBwbGVhcw==", written);
    }
}

static void the_kind_for_urls_comes_back(void **state)
{
    unsigned char bytes[256], back[256];

    (void) state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char) (i * 7);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        char *text = base64url_encode(bytes, len);
        size_t got;

        assert_non_null(text);
        assert_null(strpbrk(text, "+/="));
        assert_int_equal(base64url_decode(text, strlen(text), back, sizeof back, &got), 0);
        assert_int_equal(got, len);
        assert_memory_equal(back, bytes, len);
        free(text);
    }
}

static void the_kind_for_urls_is_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "Z", "Zg==", "Zm9v Zm9v", "Zm9v\n", "Zm+v", "Zm/v", "Zh", "Zm9vYmG", "Zm9v\x80",
    };
    unsigned char out[8];
    size_t len;

    (void) state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(base64url_decode(wrong[i], strlen(wrong[i]), out, sizeof out, &len),
                         UV_EINVAL);
    assert_int_equal(base64url_decode("Zg\0", 3, out, sizeof out, &len), UV_EINVAL);
    assert_int_equal(base64url_decode("Zm9v", 4, out, 2, &len), UV_EINVAL);
    assert_int_equal(base64url_decode("Zm9v", 4, out, 3, &len), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_as_the_rfc_has_it),
        cmocka_unit_test(base64_of_much_has_no_padding_in_the_middle),
        cmocka_unit_test(pieces_put_together_are_the_whole),
        cmocka_unit_test(the_kind_for_urls_comes_back),
        cmocka_unit_test(the_kind_for_urls_is_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

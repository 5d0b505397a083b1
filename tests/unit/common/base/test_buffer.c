#include "common/base/buffer.h"

#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void an_empty_buffer_holds_no_memory(void **state)
{
    struct buffer buffer;

    (void) state;
    buffer_init(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer_append(&buffer, "", 0), 0);
    assert_null(buffer.data);
    buffer_drop(&buffer, 5);
    assert_int_equal(buffer.len, 0);
    buffer_deinit(&buffer);
}

static void what_is_appended_is_kept_in_order(void **state)
{
    struct buffer buffer = {0};

    (void) state;
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t pair[2] = {(uint8_t) (i >> 8), (uint8_t) i};

        assert_int_equal(buffer_append(&buffer, pair, sizeof pair), 0);
    }
    assert_int_equal(buffer.len, 20000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(buffer.data[2 * i] << 8 | buffer.data[2 * i + 1], i);
    buffer_deinit(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.len, 0);
}

static void appending_moves_the_bytes_only_as_often_as_the_size_doubles(void **state)
{
    struct buffer buffer = {0};
    size_t size = 0;
    unsigned growths = 0;

    (void) state;
    for (unsigned i = 0; i < 1U << 16; i++) {
        assert_int_equal(buffer_append(&buffer, "x", 1), 0);
        growths += buffer._size != size;
        size = buffer._size;
    }
    assert_in_range(growths, 1, 16);
    assert_in_range(size, 1U << 16, 2U << 16);
    buffer_deinit(&buffer);
}

static void reserved_room_stores_nothing_and_does_not_move(void **state)
{
    struct buffer buffer = {0};
    const uint8_t *data;

    (void) state;
    assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
    assert_int_equal(buffer_reserve(&buffer, 5000), 0);
    assert_int_equal(buffer.len, 2);
    assert_memory_equal(buffer.data, "ab", 2);
    data = buffer.data;
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(buffer_append(&buffer, "c", 1), 0);
    assert_ptr_equal(buffer.data, data);
    buffer_deinit(&buffer);
}

static void an_impossible_size_is_refused_and_changes_nothing(void **state)
{
    struct buffer buffer = {0};

    (void) state;
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), UV_ENOMEM);
    assert_null(buffer.data);
    assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), UV_ENOMEM);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 3), UV_ENOMEM);
    assert_int_equal(buffer.len, 3);
    assert_memory_equal(buffer.data, "abc", 3);
    buffer_deinit(&buffer);
}

static void formatted_text_is_appended_without_its_nul(void **state)
{
    static const char longer[] = "a text that is longer than the first allocation of a buffer: "
                                 "0123456789 0123456789 0123456789 0123456789 0123456789";
    struct buffer buffer = {0};

    (void) state;
    assert_int_equal(buffer_printf(&buffer, "%s-%d", "a", 1), 0);
    assert_int_equal(buffer_printf(&buffer, "%s", ""), 0);
    assert_int_equal(buffer_printf(&buffer, "%s", longer), 0);
    assert_int_equal(buffer.len, 3 + strlen(longer));
    assert_memory_equal(buffer.data, "a-1", 3);
    assert_memory_equal(buffer.data + 3, longer, strlen(longer));
    buffer_deinit(&buffer);
}

static void a_drop_moves_the_rest_to_the_front(void **state)
{
    struct buffer buffer = {0};

    (void) state;
    assert_int_equal(buffer_append(&buffer, "abcdef", 6), 0);
    buffer_drop(&buffer, 0);
    assert_int_equal(buffer.len, 6);
    buffer_drop(&buffer, 2);
    assert_int_equal(buffer.len, 4);
    assert_memory_equal(buffer.data, "cdef", 4);
    buffer_drop(&buffer, 5); /* more than there is */
    assert_int_equal(buffer.len, 0);
    assert_int_equal(buffer_append(&buffer, "g", 1), 0);
    assert_memory_equal(buffer.data, "g", 1);
    buffer_deinit(&buffer);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_holds_no_memory),
        cmocka_unit_test(what_is_appended_is_kept_in_order),
        cmocka_unit_test(appending_moves_the_bytes_only_as_often_as_the_size_doubles),
        cmocka_unit_test(reserved_room_stores_nothing_and_does_not_move),
        cmocka_unit_test(an_impossible_size_is_refused_and_changes_nothing),
        cmocka_unit_test(formatted_text_is_appended_without_its_nul),
        cmocka_unit_test(a_drop_moves_the_rest_to_the_front),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

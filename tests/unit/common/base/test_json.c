#include "common/base/json.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_json(const void *text, size_t len, const char *json)
{
    struct buffer out = {0};

    assert_int_equal(json_append_string(&out, text, len), 0);
    if (out.len != strlen(json) || memcmp(out.data, json, out.len) != 0)
        fail_msg("%.*s instead of %s", (int) out.len, (const char *) out.data, json);
    assert_int_equal(json_string_size(text, len, SIZE_MAX), out.len);
    buffer_deinit(&out);
}

static void what_must_be_escaped_is_and_the_rest_is_left_alone(void **state)
{
    static const char *const cases[][2] = {
        {"", "\"\""},
        {"plain text, ~ / and all", "\"plain text, ~ / and all\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"a\\b", "\"a\\\\b\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x1b[2J", "\"\\u0001\\u001f\\u001b[2J\""},
        {"\x7f", "\"\\u007f\""},
        {"gr\xc3\xbc\xc3\x9f"
         "e \xe4\xb8\xad \xf0\x9f\x8c\x8d",
         "\"gr\xc3\xbc\xc3\x9f"
         "e \xe4\xb8\xad \xf0\x9f\x8c\x8d\""},
        {"\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0", "\"\\u0080\\u0085\\u009f\xc2\xa0\""},
        /* NOLINTBEGIN(misc-misleading-bidirectional): to mislead is what they are here for */
        {"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""},
        {"\xe2\x80\xae\xe2\x81\xa6\xd8\x9c", "\"\\u202e\\u2066\\u061c\""},
        /* NOLINTEND(misc-misleading-bidirectional) */
        {"\xe2\x80\xa7\xe2\x80\xaf", "\"\xe2\x80\xa7\xe2\x80\xaf\""}, /* their neighbours */
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_json(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void a_nul_does_not_end_the_string(void **state)
{
    (void) state;
    assert_json("a\0b", 3, "\"a\\u0000b\"");
}

/* Text messages are valid; an event ID is what a server writes in a header. */
static void what_is_not_utf8_becomes_the_replacement_character(void **state)
{
    (void) state;
    assert_json("a\xff", 2, "\"a\xef\xbf\xbd\"");
    assert_json("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_json("\xf5x", 2, "\"\xef\xbf\xbdx\"");
}

static void pieces_of_any_size_make_the_same_string(void **state)
{
    static const char text[] =
        "plain \0\x1f\"\\\n \xc3\xbc\xe2\x80\xa8\xf0\x9f\x8c\x8d\xff\xe2\x82 and the end";
    struct buffer whole = {0};

    (void) state;
    assert_int_equal(json_append_string(&whole, text, sizeof text), 0);
    for (size_t room = JSON_MAX_ESCAPE; room <= whole.len; room++) {
        struct buffer pieces = {0};
        size_t at = 0;

        while (at < sizeof text) {
            uint8_t *piece = malloc(room); /* of its own: a sanitizer sees what is behind it */
            size_t used, written;

            assert_non_null(piece);
            written = json_escape(piece, room, text + at, sizeof text - at, &used);
            assert_in_range(written, 1, room);
            assert_int_equal(buffer_append(&pieces, piece, written), 0);
            at += used;
            free(piece);
        }
        assert_int_equal(pieces.len, whole.len - 2);
        assert_memory_equal(pieces.data, whole.data + 1, pieces.len);
        buffer_deinit(&pieces);
    }
    buffer_deinit(&whole);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_must_be_escaped_is_and_the_rest_is_left_alone),
        cmocka_unit_test(a_nul_does_not_end_the_string),
        cmocka_unit_test(what_is_not_utf8_becomes_the_replacement_character),
        cmocka_unit_test(pieces_of_any_size_make_the_same_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

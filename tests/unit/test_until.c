#include "client/until.h"

#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool matches(const char *expression, enum frame_opcode opcode, const char *data, size_t len)
{
    struct message message = {.opcode = opcode, .data = (const uint8_t *) data, .len = len};
    struct until *until;
    struct error error;
    bool matched;

    if (until_new(&until, expression, &error) != 0)
        fail_msg("'%s': %s", expression, error.text);
    matched = until_matches(until, &message);
    until_free(until);
    return matched;
}

static void an_extended_expression_is_searched_in_the_text(void **state)
{
    (void) state;
    assert_true(matches("b+c|^z", FRAME_TEXT, "abbbc", 5));
    assert_false(matches("b+c|^z", FRAME_TEXT, "abz", 3));
    assert_true(matches("^(a|b){3}$", FRAME_TEXT, "aba", 3));
    assert_true(matches("^$", FRAME_TEXT, NULL, 0));
    assert_true(matches("", FRAME_TEXT, "x", 1));
}

static void only_the_messages_own_bytes_are_looked_at(void **state)
{
    (void) state;
    assert_false(matches("cd", FRAME_TEXT, "abcd", 3));
    assert_true(matches("c$", FRAME_TEXT, "abcd", 3));
    assert_true(matches("b.d", FRAME_TEXT, "a\0b\nd", 5));
    assert_true(matches("d$", FRAME_TEXT, "a\0d", 3));
}

static void characters_are_utf8_whatever_the_locale(void **state)
{
    (void) state;
    assert_true(matches("^h.y$", FRAME_TEXT, "h\xc3\xaby", 4));
    assert_true(matches("^[\xc3\xa4\xc3\xb6]$", FRAME_TEXT, "\xc3\xb6", 2));
}

static void a_binary_message_never_matches(void **state)
{
    (void) state;
    assert_false(matches("a", FRAME_BINARY, "a", 1));
}

static void a_bad_expression_is_refused_with_the_reason(void **state)
{
    static const char *const cases[] = {"(", "[a", "a{2,1}"};
    struct until *until;
    struct error error;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error.text[0] = '\0';
        assert_int_equal(until_new(&until, cases[i], &error), UV_EINVAL);
        assert_non_null(strstr(error.text, cases[i]));
        assert_true(strlen(error.text) > strlen(cases[i]) + 40);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_extended_expression_is_searched_in_the_text),
        cmocka_unit_test(only_the_messages_own_bytes_are_looked_at),
        cmocka_unit_test(characters_are_utf8_whatever_the_locale),
        cmocka_unit_test(a_binary_message_never_matches),
        cmocka_unit_test(a_bad_expression_is_refused_with_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

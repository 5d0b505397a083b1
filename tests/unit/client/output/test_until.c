#include "client/output/until.h"

#include <stdlib.h>
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
    matched = until_matches(until, &message, 1);
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

/* What POSIX extended expressions have is there, and what Perl's have. */
static void the_syntax_is_that_of_perl(void **state)
{
    (void) state;
    assert_true(matches("^[[:alpha:]]+[[:digit:]]$", FRAME_TEXT, "\xc3\xa4z1", 4));
    assert_true(matches("(ab)\\1", FRAME_TEXT, "xabab", 5));
    assert_true(matches("\\bdisk\\s+9\\d%", FRAME_TEXT, "the disk 95%", 12));
    assert_true(matches("(?i)error(?!s)", FRAME_TEXT, "An ERROR", 8));
    assert_false(matches("(?i)error(?!s)", FRAME_TEXT, "ERRORS", 6));
    assert_true(matches("[<>`'{,3]\\{,[[:space:]\\]]", FRAME_TEXT, "<{,]", 4));
    assert_false(matches("a$", FRAME_TEXT, "a\n", 2));
    assert_false(matches("^b", FRAME_TEXT, "a\nb", 3));
}

/* What backtracks for ever, or takes memory without end, ends in time as no match; and so do all
 * messages of a turn. */
static void what_needs_too_much_is_no_match(void **state)
{
    static const struct {
        const char *expression;
        size_t len;
    } cases[] = {
        {"(.*)\\1c", 1 << 20},    {"(.*)\\1[cd]", 1 << 20},
        {"a+[:;]", 1 << 20},      {"(a+)+$", 1 << 10},
        {"(a|aa)+$", 1 << 16},    {"a+:", 1 << 20},
        {"(a*)*(a*)*b", 1 << 16}, {"(?:a?){50}(?:a?){50}b", 1 << 20},
    };
    char *text = malloc(1 << 20);

    (void) state;
    assert_non_null(text);
    memset(text, 'a', 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message message = {
            .opcode = FRAME_TEXT, .data = (const uint8_t *) text, .len = cases[i].len};
        struct error error = {""};
        struct until *until;
        uint64_t begun;

        text[cases[i].len - 1] = 'x';
        assert_int_equal(until_new(&until, cases[i].expression, &error), 0);
        begun = uv_hrtime();
        for (size_t len = 0; len < 1 << 20; len += cases[i].len) /* what a turn reads */
            assert_false(until_matches(until, &message, 1));
        if (uv_hrtime() - begun > (uint64_t) 5 * 1000 * 1000 * 1000)
            fail_msg("'%s': %g s", cases[i].expression, (double) (uv_hrtime() - begun) / 1e9);
        until_free(until);
        text[cases[i].len - 1] = 'a';
    }
    free(text);
}

static void a_binary_message_never_matches(void **state)
{
    (void) state;
    assert_false(matches("a", FRAME_BINARY, "a", 1));
}

static void a_bad_expression_is_refused_with_the_reason(void **state)
{
    static const char *const cases[] = {
        "(",
        "[a",
        "a{2,1}",
        "\xff",
        "*a",
        "[[.hyphen.]]",
        "(?C",
        "\\C",
        /* what regcomp(3) takes for something else */
        "\\<a",
        "a\\>",
        "\\`a",
        "a\\'",
        "a{,3}",
        "[]\\<]\\>",
    };
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
        cmocka_unit_test(the_syntax_is_that_of_perl),
        cmocka_unit_test(what_needs_too_much_is_no_match),
        cmocka_unit_test(a_binary_message_never_matches),
        cmocka_unit_test(a_bad_expression_is_refused_with_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/json_check.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Checks a text that comes in pieces of `piece` bytes. Returns 0, the error, or UV_EOF when the
 * text is only the beginning of JSON. */
static int check(const void *text, size_t len, size_t piece, size_t *at)
{
    struct json_check checked = {0};
    int status = 0;

    *at = 0;
    for (size_t i = 0; i < len && status == 0; i += piece) {
        size_t within;

        status = json_check_feed(&checked, (const uint8_t *) text + i,
                                 piece < len - i ? piece : len - i, &within);
        *at = i + within;
    }
    return status == 0 && !json_check_complete(&checked) ? UV_EOF : status;
}

/* Whole, and byte by byte. */
static void assert_checked(const void *text, size_t len, int expected)
{
    static const size_t pieces[] = {SIZE_MAX / 2, 1, 2, 3};

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t at;
        int status = check(text, len, pieces[i], &at);

        if (status != expected)
            fail_msg("'%.*s' in pieces of %zu: %d instead of %d", (int) len, (const char *) text,
                     pieces[i], status, expected);
    }
}

static void what_the_grammar_has_is_json(void **state)
{
    static const char *const cases[] = {
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "1234567890",
        "0.0",
        "-0.5",
        "1.25",
        "0e0",
        "1e5",
        "1E5",
        "1e+5",
        "1e-5",
        "1.5e007",
        "1e999",
        "-1e-999",
        "123456789012345678901234567890123456789012345678901234567890.1",
        "true",
        "false",
        "null",
        "\"\"",
        "\"text\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        " \t\r\n0\t ",
        "[0]",
        "[0,1 , 2]",
        "[[],[[]],{}]",
        "{\"a\":1}",
        "{\"a\":1,\"b\":[{\"c\":null}]}",
        "{\"\":0}",
        "{\"a\":1,\"a\":2}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0000\\u00e9\\uABCD\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\ude00\\ud83d\"",
        "\"\\udead tail\"",
        "\"gr\xc3\xbc\xc3\x9f\x65 \xf0\x9f\x8c\x8d\"",
        "\"\x7f\xe2\x80\xa8\"",
        "[1,\n2]",
        "[true,false,null]",
        "{\"a\" : \"b\" }",
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_checked(cases[i], strlen(cases[i]), 0);
}

static const char *const no_json[] = {
    "00",
    "01",
    "-01",
    "-a",
    "+1",
    ".5",
    "1.a",
    "1.e5",
    "1ea",
    "1e+a",
    "1e5.0",
    "0x10",
    "1 2",
    "1,",
    "--1",
    "1-",
    "1.2.3",
    "Infinity",
    "NaN",
    "-Infinity",
    "inf",
    "True",
    "tru ",
    "nul]",
    "nulll",
    "falsey",
    "truetrue",
    "'a'",
    "a",
    "]",
    "}",
    ",",
    ":",
    "[,",
    "[1,]",
    "[1 2]",
    "[1}",
    "{1",
    "{\"a\"}",
    "{\"a\" 1",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1]",
    "{,",
    "{\"a\":1,,",
    "{\"a\":1 \"b\"",
    "{null",
    "{[",
    "[]]",
    "{}}",
    "[:",
    "{\"a\"::1}",
    "{\"a\":1:",
    "\"a\"\"b\"",
    "\"a\" b",
    "[] []",
    "\"\n",
    "\"\t\"",
    "\"\x1f\"",
    "\"\\x",
    "\"\\a",
    "\"\\'",
    "\"\\U0041",
    "\"\\u00g0",
    "\"\\u 041",
    "\"\\u-041",
    "// a comment",
    "/* one */ 1",
    "1 # one",
    "[1, // one",
    "\f1",
    "\v1",
    "\xef\xbb\xbf 1",
    "\xc2\xa0 1",
    "[\xe2\x80\xa8",
};

static void what_it_does_not_have_is_not(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof no_json / sizeof *no_json; i++)
        assert_checked(no_json[i], strlen(no_json[i]), UV_EINVAL);
}

static void what_is_cut_off_is_not_complete(void **state)
{
    static const char *const cases[] = {
        "",        " \n",      "-",         "1.",        "1e",       "1e+",
        "-0.",     "t",        "tru",       "fals",      "n",        "\"",
        "\"a",     "\"\\",     "\"\\u",     "\"\\u12",   "\"\\u123", "[",
        "[1",      "[1,",      "[[]",       "{",         "{\"a",     "{\"a\"",
        "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":{}", "\"\xc3",   "\"\xf0\x9f\x8c",
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_checked(cases[i], strlen(cases[i]), UV_EOF);
}

static void a_nul_is_no_white_space(void **state)
{
    (void) state;
    assert_checked("1\0", 2, UV_EINVAL);
    assert_checked("{}\0", 3, UV_EINVAL);
    assert_checked("\0"
                   "1",
                   2, UV_EINVAL);
    assert_checked("\"\0\"", 3, UV_EINVAL);
    assert_checked("\"\\\0\"", 4, UV_EINVAL);
    assert_checked("tr\0e", 4, UV_EINVAL);
}

static void what_is_no_utf8_is_not_json_either(void **state)
{
    static const char *const cases[] = {
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\x80\"",
        "\"\xe2\x82\"",
        "\"\xf0\x82\x82\xac\"",
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_checked(cases[i], strlen(cases[i]), UV_EILSEQ);
}

/* `depth` times the one, a value, and `depth` times the other. */
static size_t nest(char *text, const char *begin, const char *value, const char *end, size_t depth)
{
    char *at = text;

    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, begin);
    at = stpcpy(at, value);
    for (size_t i = 0; i < depth; i++)
        at = stpcpy(at, end);
    return (size_t) (at - text);
}

static void the_deepest_that_is_taken_is_512(void **state)
{
    static char text[8 * (JSON_CHECK_MAX_DEPTH + 1)];
    const size_t most = JSON_CHECK_MAX_DEPTH;

    (void) state;
    assert_int_equal(most, 512);
    assert_checked(text, nest(text, "[", "", "]", most), 0);
    assert_checked(text, nest(text, "{\"\":", "0", "}", most), 0);
    assert_checked(text, nest(text, "[{\"\":", "[]", "}]", most / 2 - 1), 0);
    assert_checked(text, nest(text, "[", "", "]", most + 1), UV_E2BIG);
    assert_checked(text, nest(text, "{\"\":", "0", "}", most + 1), UV_E2BIG);
    assert_checked(text, nest(text, "[{\"\":", "{}", "}]", most / 2), UV_E2BIG);
}

/* Each level remembers what it is. */
static void every_level_is_closed_by_its_own_kind(void **state)
{
    static char text[16 * JSON_CHECK_MAX_DEPTH];
    size_t len = nest(text, "[{\"\":", "", "", JSON_CHECK_MAX_DEPTH / 2 - 1);

    (void) state;
    for (size_t i = 0; i < JSON_CHECK_MAX_DEPTH / 2 - 1; i++) {
        len = (size_t) (stpcpy(text + len, i == 0 ? "0}" : "}") - text);
        text[len] = '}';
        assert_checked(text, len + 1, UV_EINVAL);
        text[len++] = ']';
    }
    assert_checked(text, len, 0);
}

static void the_place_of_the_error_is_told(void **state)
{
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {{"x", 0}, {"[1, x]", 4}, {"{\"a\": tru3}", 9}, {"1 2", 2}, {"\"long text\n", 10}};

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t at;

        for (size_t piece = 1; piece < 12; piece++) {
            assert_int_equal(check(cases[i].text, strlen(cases[i].text), piece, &at), UV_EINVAL);
            assert_int_equal(at, cases[i].at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_grammar_has_is_json),
        cmocka_unit_test(what_it_does_not_have_is_not),
        cmocka_unit_test(what_is_cut_off_is_not_complete),
        cmocka_unit_test(a_nul_is_no_white_space),
        cmocka_unit_test(what_is_no_utf8_is_not_json_either),
        cmocka_unit_test(the_deepest_that_is_taken_is_512),
        cmocka_unit_test(every_level_is_closed_by_its_own_kind),
        cmocka_unit_test(the_place_of_the_error_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/syntax/pattern.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_pattern_matches_its_names_and_no_others(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"=", "", true},         {"=", "a", false},        {"*", "", false},
        {"**", "", false},       {"a", "a", true},         {"a", "ab", false},
        {"a", "a/b", false},     {"a/b", "a", false},      {"*", "abc", true},
        {"*", "a/b", false},     {"a*", "a", true},        {"a*c", "abc", true},
        {"a*c", "ab", false},    {"a*c", "ac", true},      {"*b*", "abc", true},
        {"*b*d", "abcbd", true}, {"*b*d", "abcbe", false}, {"a/*", "a/b", true},
        {"a/*", "a", false},     {"a/*", "a/b/c", false},  {"a/*/c", "a/b/c", true},
        {"a/**", "a/b", true},   {"a/**", "a/b/c", true},  {"a/**", "a", false},
        {"**", "a/b/c", true},   {"*/x", "a/x", true},     {"A", "a", false},
        {"a*b*", "aXbY", true},  {"*ab", "aab", true},     {"\xc3\xa4*", "\xc3\xa4x", true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(pattern_is_valid(cases[i].pattern));
        if (pattern_matches(cases[i].pattern, cases[i].name) != cases[i].matches)
            fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].name);
    }
}

static void what_no_name_can_match_is_no_pattern(void **state)
{
    static const char *const texts[] = {"",    "/",     "a/",   "/a",  "a//b", "**/a", "a**",
                                        "**b", "a/**b", "a=b",  "==",  "a b",  "a\n",  "a?",
                                        "a[b", ".",     "a/..", "a%b", "a,b",  "a;b",  "\xff"};

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (pattern_is_valid(texts[i]))
            fail_msg("'%s' is taken for a pattern", texts[i]);
    }
}

static void a_pattern_of_many_stars_takes_no_time_to_speak_of(void **state)
{
    char pattern[PATTERN_MAX + 1] = "", name[129];

    (void) state;
    for (size_t i = 0; i < PATTERN_MAX / 2; i++)
        memcpy(pattern + 2 * i, "*a", 3);
    pattern[PATTERN_MAX - 1] = 'b';
    memset(name, 'a', 128);
    name[128] = '\0';
    assert_true(pattern_is_valid(pattern));
    assert_false(pattern_matches(pattern, name));
}

static void a_pattern_covers_those_that_match_nothing_else(void **state)
{
    (void) state;
    assert_true(pattern_covers("**", "a/*"));
    assert_true(pattern_covers("**", "a/**"));
    assert_true(pattern_covers("a/*", "a/b*"));
    assert_true(pattern_covers("a", "a"));
    assert_true(pattern_covers("=", "="));
    assert_false(pattern_covers("**", "="));
    assert_false(pattern_covers("a/*", "a/**"));
    assert_false(pattern_covers("a/b", "a/*"));
    assert_false(pattern_covers("a/b*", "a/*"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_its_names_and_no_others),
        cmocka_unit_test(what_no_name_can_match_is_no_pattern),
        cmocka_unit_test(a_pattern_of_many_stars_takes_no_time_to_speak_of),
        cmocka_unit_test(a_pattern_covers_those_that_match_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "client/output/json_view.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_seen(struct json_view view, const char *text, const char *seen)
{
    struct buffer out = {0};

    assert_true(json_view_is_for(text, strlen(text)));
    assert_int_equal(json_view_append(&view, &out, text, strlen(text)), 0);
    if (out.len != strlen(seen) || memcmp(out.data, seen, out.len) != 0)
        fail_msg("'%s' is shown as '%.*s'", text, (int) out.len, (const char *) out.data);
    buffer_deinit(&out);
}

static void on_one_line_only_white_space_goes(void **state)
{
    const struct json_view line = {.pretty = false};

    (void) state;
    assert_seen(line, " {\n\t\"a b\" : [ 1.50e+3, -0 ,true,null ] , \"a b\":{ } }\n",
                "{\"a b\":[1.50e+3,-0,true,null],\"a b\":{}}");
    assert_seen(line, "[\"}],:\\\"\\\\\", \"\"]", "[\"}],:\\\"\\\\\",\"\"]");
}

static void pretty_is_a_member_a_line(void **state)
{
    const struct json_view pretty = {.pretty = true};

    (void) state;
    assert_seen(pretty, "{\"a\":[1,{\"b\":[]}],\"c\":\"d\"}",
                "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": \"d\"\n}");
    assert_seen(pretty, "[ ]", "[]");
}

static void colour_tells_keys_from_strings(void **state)
{
    const struct json_view colour = {.colour = true};

    (void) state;
    assert_seen(colour, "{\"k\":\"s\",\"n\":1,\"t\":true}",
                "{\x1b[34m\"k\"\x1b[0m:\x1b[32m\"s\"\x1b[0m,\x1b[34m\"n\"\x1b[0m:\x1b[36m1\x1b[0m,"
                "\x1b[34m\"t\"\x1b[0m:\x1b[35mtrue\x1b[0m}");
}

static void a_terminal_is_left_alone(void **state)
{
    const struct json_view escaped = {.escaped = true};

    (void) state;
    assert_seen(escaped, "[\"\x7f\xc2\x9b\"]", "[\"\\x7f\\xc2\\x9b\"]");
}

static void what_is_no_object_or_array_is_not_for_it(void **state)
{
    static const char *const others[] = {"",  " ",    "1",    "\"a\"", "true",
                                         "{", "[1,]", "{} x", "[\xff]"};

    (void) state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(json_view_is_for(others[i], strlen(others[i])));
}

static void the_output_is_bounded_whatever_nests(void **state)
{
    static char text[4096];
    const struct json_view pretty = {.pretty = true};
    struct buffer out = {0};

    (void) state;
    memset(text, '[', 500);
    for (size_t i = 500; i < sizeof text - 500; i += 2)
        memcpy(text + i, "1,", 2);
    text[sizeof text - 501] = '1';
    memset(text + sizeof text - 500, ']', 500);
    assert_true(json_view_is_for(text, sizeof text));
    assert_int_equal(json_view_append(&pretty, &out, text, sizeof text), 0);
    assert_true(out.len < 70 * sizeof text);
    buffer_deinit(&out);
}

static void the_environment_decides_about_colour(void **state)
{
    (void) state;
    (void) unsetenv("NO_COLOR");
    (void) unsetenv("CLICOLOR");
    (void) unsetenv("CLICOLOR_FORCE");
    (void) setenv("TERM", "xterm", 1);
    assert_true(json_view_wants_colour(true));
    assert_false(json_view_wants_colour(false));
    (void) setenv("TERM", "dumb", 1);
    assert_false(json_view_wants_colour(true));
    (void) setenv("TERM", "xterm", 1);
    (void) setenv("CLICOLOR", "0", 1);
    assert_false(json_view_wants_colour(true));
    (void) setenv("CLICOLOR_FORCE", "1", 1);
    assert_true(json_view_wants_colour(false));
    (void) setenv("NO_COLOR", "1", 1);
    assert_false(json_view_wants_colour(true));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_one_line_only_white_space_goes),
        cmocka_unit_test(pretty_is_a_member_a_line),
        cmocka_unit_test(colour_tells_keys_from_strings),
        cmocka_unit_test(a_terminal_is_left_alone),
        cmocka_unit_test(what_is_no_object_or_array_is_not_for_it),
        cmocka_unit_test(the_output_is_bounded_whatever_nests),
        cmocka_unit_test(the_environment_decides_about_colour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

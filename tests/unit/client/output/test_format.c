#include "client/output/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct message text = {
    .opcode = FRAME_TEXT,
    .data = (const uint8_t *) "\xc3\xa9\n",
    .len = 3,
    .id = "ab-7",
    .time = 1795397527186611367,
    .since_start = 2500000000,
};

static const struct message binary = {
    .opcode = FRAME_BINARY, .data = (const uint8_t *) "\xff\x00", .len = 2, .id = ""};

static void assert_made(const char *format, const struct message *message, bool escaped,
                        const void *made, size_t len)
{
    struct stamp_cache stamps = {0};
    struct format_context context = {
        .url = "ws://h/", .escaped = escaped, .number = 42, .stamps = &stamps};
    struct buffer out = {0};
    struct error error;
    struct format compiled;

    if (format_init(&compiled, format, &error) != 0)
        fail_msg("'%s': %s", format, error.text);
    assert_int_equal(format_append(&compiled, &out, message, &context), 0);
    if (out.len != len || (len > 0 && memcmp(out.data, made, len) != 0))
        fail_msg("'%s' makes '%.*s'", format, (int) out.len, (const char *) out.data);
    buffer_deinit(&out);
    format_deinit(&compiled);
}

static void each_escape_stands_for_what_it_says(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"just words", "just words"},
        {"%p", "\xc3\xa9\n"},
        {"%x|%X|%b", "c3a90a|C3A90A|w6kK"},
        {"%l %t", "3 text"},
        {"%I", "2026-11-23T01:32:07.186611Z"},
        {"%U %r", "1795397527.186611367 2.500000"},
        {"%{%Y-%m-%d}%{%H:%M:%S%z}%p", "2026-11-2307:02:07+0530\xc3\xa9\n"},
        {"a%{%%}b}", "a%b}"},
        {"%i %u %n", "ab-7 ws://h/ 42"},
        {"%%p 100%%", "%p 100%"},
        {"<\\a\\e\\n\\r\\t\\v\\\\>", "<\a\x1b\n\r\t\v\\>"},
        {"%l\\n%l", "3\n3"},
        {"end\\c", "end"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_made(cases[i][0], &text, false, cases[i][1], strlen(cases[i][1]));
    assert_made("a\\0b", &text, false, "a\0b", 3);
}

static void a_binary_payload_is_never_bare(void **state)
{
    (void) state;
    assert_made("%p", &binary, false, "base64:/wA=", strlen("base64:/wA="));
    assert_made("%t %l %x[%i]", &binary, true, "binary 2 ff00[]", strlen("binary 2 ff00[]"));
}

static void a_terminal_is_shown_what_would_act_on_it_but_for_the_users_own_words(void **state)
{
    (void) state;
    assert_made("%p\\e[0m", &text, true, "\xc3\xa9\\x0a\x1b[0m", 10);
}

static void what_is_unknown_is_named(void **state)
{
    static const char *const cases[][2] = {
        {"%z", "'%z' is unknown"},   {"a%", "ends in '%'"},        {"%P", "'%P' is unknown"},
        {"\\q", "'\\q' is unknown"}, {"a\\", "ends in '\\'"},      {"%p%%%", "ends in '%'"},
        {"% p", "'% ' is unknown"},  {"a\\cb", "and 'b' follows"}, {"\\N", "'\\N' is unknown"},
        {"%-p", "'%-' is unknown"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        struct format format;

        assert_int_equal(format_init(&format, cases[i][0], &error), UV_EINVAL);
        if (strstr(error.text, cases[i][1]) == NULL)
            fail_msg("'%s': %s", cases[i][0], error.text);
    }
}

static void it_knows_whether_it_tells_a_time_and_whether_a_newline_follows(void **state)
{
    static const struct {
        const char *format;
        bool timed, ended;
    } cases[] = {
        {"%p", false, true}, {"%I", true, true},      {"%U", true, true},
        {"%r", true, true},  {"%p\\c", false, false}, {"%%I", false, true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct format format;
        struct error error;

        assert_int_equal(format_init(&format, cases[i].format, &error), 0);
        assert_int_equal(format_is_timed(&format), cases[i].timed);
        assert_int_equal(format_is_ended(&format), cases[i].ended);
        format_deinit(&format);
    }
}

int main(void)
{
    (void) setenv("TZ", "<+0530>-5:30", 1);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_escape_stands_for_what_it_says),
        cmocka_unit_test(a_binary_payload_is_never_bare),
        cmocka_unit_test(a_terminal_is_shown_what_would_act_on_it_but_for_the_users_own_words),
        cmocka_unit_test(what_is_unknown_is_named),
        cmocka_unit_test(it_knows_whether_it_tells_a_time_and_whether_a_newline_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

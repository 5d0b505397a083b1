#include "server/config/ini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char events[8192];

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add(const char *format, ...)
{
    size_t len = strlen(events);
    va_list arguments;

    va_start(arguments, format);
    (void) vsnprintf(events + len, sizeof events - len, format, arguments);
    va_end(arguments);
}

static void on_section(void *context, size_t line, const char *name, const char *argument)
{
    (void) context;
    add("%zu[%s|%s] ", line, name, argument);
}

static void on_setting(void *context, size_t line, const char *name, const char *value)
{
    (void) context;
    add("%zu(%s|%s) ", line, name, value);
}

static void on_error(void *context, size_t line, const char *what)
{
    (void) context;
    assert_true(strlen(what) > 0);
    add("%zu! ", line);
}

static const struct ini_handler handler = {NULL, on_section, on_setting, on_error};

static void reads_bytes(const char *text, size_t len, const char *expected)
{
    char *copy = malloc(len + 1);

    assert_non_null(copy);
    memcpy(copy, text, len + 1);
    *events = '\0';
    ini_read(copy, len, &handler);
    free(copy);
    assert_string_equal(events, expected);
}

static void reads(const char *text, const char *expected)
{
    reads_bytes(text, strlen(text), expected);
}

static void settings_and_sections_are_told_with_their_lines(void **state)
{
    (void) state;
    reads("# a\n; b\n\n[server]\nname = value\n  other=1 2 \n[channel a/*]\nx =\n",
          "4[server|] 5(name|value) 6(other|1 2) 7[channel|a/*] 8(x|) ");
    reads("a = 1", "1(a|1) ");
    reads("\xef\xbb\xbf[s]\r\na = 1\r\n", "1[s|] 2(a|1) ");
    reads("[ channel  ** ] # all", "1[channel|**] ");
    reads("", "");
}

static void comments_stand_behind_white_space(void **state)
{
    (void) state;
    reads("a = 1 # x\nb = 2\t; x\nc = 1#2;3\nd = # x\n", "1(a|1) 2(b|2) 3(c|1#2;3) 4(d|) ");
}

static void quotes_keep_everything(void **state)
{
    (void) state;
    reads("a = \"  x # ; [y] = \" # z\n", "1(a|  x # ; [y] = ) ");
    reads("a = \"\\\"\\\\\\n\\t\"\n", "1(a|\"\\\n\t) ");
    reads("a = \"\"\n", "1(a|) ");
    reads("a = x\"y\"\n", "1(a|x\"y\") ");
}

static void a_malformed_line_is_an_error_and_the_next_is_read(void **state)
{
    (void) state;
    reads("a\n= 1\na b = 1\n\"a\" = 1\n[\n[]\n[a] b\na = \"b\na = \"b\" c\na = \"\\x\"\nz = 1\n",
          "1! 2! 3! 4! 5! 6! 7! 8! 9! 10! 11(z|1) ");
    reads("a = \xff\nb = 1\n", "1! 2(b|1) ");
    reads_bytes("a = 1\0\nb = 1\n", 13, "1! 2(b|1) ");
}

static void a_line_is_read_whole_or_not_at_all(void **state)
{
    char *text = malloc(INI_MAX_LINE + 16);

    (void) state;
    assert_non_null(text);
    memset(text, 'x', INI_MAX_LINE + 1);
    text[1] = '=';
    memcpy(text + INI_MAX_LINE + 1, "\nb=1", 5);
    reads(text, "1! 2(b|1) ");
    memcpy(text + INI_MAX_LINE, "\nb=1", 5);
    *events = '\0';
    ini_read(text, strlen(text), &handler);
    assert_int_equal(strncmp(events, "1(x|xxx", 7), 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_and_sections_are_told_with_their_lines),
        cmocka_unit_test(comments_stand_behind_white_space),
        cmocka_unit_test(quotes_keep_everything),
        cmocka_unit_test(a_malformed_line_is_an_error_and_the_next_is_read),
        cmocka_unit_test(a_line_is_read_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

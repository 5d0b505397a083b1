#include "common/base/log_line.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct log_form plain = {false, LOG_PREFIX_PROGRAM};
static const struct log_form timed = {false, LOG_PREFIX_TIME};
static const struct log_form journal = {false, LOG_PREFIX_JOURNAL};
static const struct log_form json = {true, LOG_PREFIX_PROGRAM};
static const struct log_form json_journal = {true, LOG_PREFIX_JOURNAL};

static char line[LOG_LINE_MAX + 1];

static const char *write_line(const struct log_form *form, const struct log_entry *entry)
{
    size_t len = log_line_write(line, form, entry);

    assert_in_range(len, 1, LOG_LINE_MAX);
    line[len] = '\0';
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
    return line;
}

static void each_form_has_its_own_beginning(void **state)
{
    struct log_entry entry = {
        .program = "prog", .level = LOG_WARN, .time = 1764240243007, .text = "it rains"};

    (void) state;
    assert_string_equal(write_line(&plain, &entry), "prog: it rains\n");
    assert_string_equal(write_line(&timed, &entry),
                        "2025-11-27T10:44:03.007Z warn prog: it rains\n");
    assert_string_equal(write_line(&journal, &entry), "<4>it rains\n");
    assert_string_equal(write_line(&json, &entry),
                        "{\"time\":\"2025-11-27T10:44:03.007Z\",\"level\":\"warn\","
                        "\"program\":\"prog\",\"message\":\"it rains\"}\n");
    assert_string_equal(write_line(&json_journal, &entry),
                        "<4>{\"time\":\"2025-11-27T10:44:03.007Z\",\"level\":\"warn\","
                        "\"program\":\"prog\",\"message\":\"it rains\"}\n");
}

static void levels_are_priorities_of_syslog(void **state)
{
    static const char *const expected[] = {"<3>x\n", "<4>x\n", "<6>x\n", "<7>x\n"};

    (void) state;
    for (enum log_level level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        struct log_entry entry = {.program = "p", .level = level, .text = "x"};

        assert_string_equal(write_line(&journal, &entry), expected[level]);
    }
}

static void fields_can_be_told_apart(void **state)
{
    const struct log_field fields[] = {
        {"a", LOG_FIELD_NUMBER, NULL, UINT64_MAX},
        {"b", LOG_FIELD_MILLISECONDS, NULL, 12034},
        {"c", LOG_FIELD_TEXT, "bare-1.2:/x", 0},
        {"d", LOG_FIELD_TEXT, "two words", 0},
        {"e", LOG_FIELD_TEXT, "", 0},
        {"f", LOG_FIELD_TEXT, "k=\"\\v\"", 0},
        {"g", LOG_FIELD_TEXT, "\n\xff\xc3\xa9", 0},
    };
    struct log_entry entry = {.program = "p", .text = "t", .fields = fields, .field_count = 7};

    (void) state;
    assert_string_equal(write_line(&plain, &entry),
                        "p: t a=18446744073709551615 b=12.034 c=bare-1.2:/x d=\"two words\" e=\"\" "
                        "f=\"k=\\\"\\\\v\\\"\" g=\"\\\\x0a\\\\xff\xc3\xa9\"\n");
    assert_non_null(strstr(write_line(&json, &entry),
                           "\"message\":\"t\",\"a\":18446744073709551615,\"b\":12.034,"
                           "\"c\":\"bare-1.2:/x\",\"d\":\"two words\",\"e\":\"\","
                           "\"f\":\"k=\\\"\\\\v\\\"\",\"g\":\"\\n\xef\xbf\xbd\xc3\xa9\"}\n"));
    entry.fields_in_json = true;
    assert_string_equal(write_line(&plain, &entry), "p: t\n");
    assert_non_null(strstr(write_line(&json, &entry), "\"c\":\"bare-1.2:/x\""));
}

static void a_text_never_splits_a_line(void **state)
{
    struct log_entry entry = {.program = "p", .text = "one\ntwo\r\033[2J\xe2\x80\xa8"};

    (void) state;
    assert_string_equal(write_line(&plain, &entry), "p: one\\x0atwo\\x0d\\x1b[2J\\xe2\\x80\\xa8\n");
    assert_non_null(strstr(write_line(&json, &entry), "one\\ntwo\\r\\u001b[2J\\u2028"));
}

/* Whatever is too long is cut, and JSON remains JSON. */
static void a_line_is_bounded(void **state)
{
    static const struct log_form *const forms[] = {&plain, &timed, &journal, &json, &json_journal};
    static char text[8192], value[8192];
    struct log_field fields[20];
    struct log_entry entry = {.program = "p", .text = text, .fields = fields, .field_count = 20};
    static const char units[] = {'x', '"', '\n', '\xff', '\\'};

    (void) state;
    for (size_t unit = 0; unit < sizeof units; unit++) {
        memset(text, units[unit], sizeof text - 1);
        memset(value, units[unit], sizeof value - 1);
        for (size_t i = 0; i < 20; i++)
            fields[i] = (struct log_field){"name", LOG_FIELD_TEXT, value, 0};
        for (size_t form = 0; form < 5; form++) {
            const char *written = write_line(forms[form], &entry);

            assert_non_null(strstr(written, "..."));
            if (forms[form]->json)
                assert_string_equal(written + strlen(written) - 3, "\"}\n");
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_has_its_own_beginning),
        cmocka_unit_test(levels_are_priorities_of_syslog),
        cmocka_unit_test(fields_can_be_told_apart),
        cmocka_unit_test(a_text_never_splits_a_line),
        cmocka_unit_test(a_line_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int pipe_ends[2], real_stderr;
static char captured[8192];

/* From here on what is written to stderr is kept in a pipe. */
static void capture(void)
{
    assert_int_equal(pipe(pipe_ends), 0);
    (void) fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    assert_int_not_equal(dup2(pipe_ends[1], STDERR_FILENO), -1);
    close(pipe_ends[1]);
}

/* Ends the capture and returns what was written. */
static const char *release(void)
{
    ssize_t n;

    dup2(real_stderr, STDERR_FILENO); /* closes the pipe's last writing end */
    close(real_stderr);
    n = read(pipe_ends[0], captured, sizeof captured - 1);
    close(pipe_ends[0]);
    assert_true(n >= 0);
    captured[n] = '\0';
    return captured;
}

static void a_line_has_the_program_before_and_a_newline_behind(void **state)
{
    (void) state;
    log_init("prog", LOG_INFO);
    capture();
    log_info("%s is %d", "x", 7);
    assert_string_equal(release(), "prog: x is 7\n");
}

static void what_is_above_the_level_is_not_written(void **state)
{
    static const char *const expected[] = {
        [LOG_ERROR] = "p: e\n",
        [LOG_WARN] = "p: e\np: w\n",
        [LOG_INFO] = "p: e\np: w\np: i\n",
        [LOG_DEBUG] = "p: e\np: w\np: i\np: d\n",
    };

    (void) state;
    for (enum log_level level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        log_init("p", level);
        capture();
        log_error("e");
        log_warn("w");
        log_info("i");
        log_debug("d");
        assert_string_equal(release(), expected[level]);
        for (enum log_level asked = LOG_ERROR; asked <= LOG_DEBUG; asked++)
            assert_int_equal(log_enabled(asked), asked <= level);
    }
}

static void debug_arguments_are_not_evaluated_in_vain(void **state)
{
    int evaluated = 0;

    (void) state;
    log_init("p", LOG_INFO);
    capture();
    log_debug("%d", ++evaluated);
    assert_string_equal(release(), "");
    assert_int_equal(evaluated, 0);
}

static void a_line_that_is_too_long_is_cut_and_still_ends(void **state)
{
    char text[3000];
    const char *line;
    size_t len;

    (void) state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_init("p", LOG_INFO);
    for (size_t cut = sizeof text - 1; cut > 900; cut--) {
        text[cut] = '\0';
        capture();
        log_info("%s", text);
        line = release();
        len = strlen(line);
        assert_in_range(len, 900, LOG_MAX_TEXT + 3);
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
        assert_memory_equal(line, "p: ", 3);
        assert_int_equal(strspn(line + 3, "x"), len - 4);
    }
}

static void levels_have_names(void **state)
{
    static const char *const bad[] = {"", "Error", "errors", "err", "2", " info", "fatal"};
    enum log_level level = LOG_ERROR;

    (void) state;
    assert_int_equal(log_parse_level("debug", &level), 0);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_parse_level("error", &level), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_parse_level("info", &level), 0);
    assert_int_equal(level, LOG_INFO);
    assert_int_equal(log_parse_level("warn", &level), 0);
    assert_int_equal(level, LOG_WARN);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(log_parse_level(bad[i], &level), UV_EINVAL);
        assert_int_equal(level, LOG_WARN);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_the_program_before_and_a_newline_behind),
        cmocka_unit_test(what_is_above_the_level_is_not_written),
        cmocka_unit_test(debug_arguments_are_not_evaluated_in_vain),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_still_ends),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

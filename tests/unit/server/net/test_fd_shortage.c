#include "server/net/fd_shortage.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/log.h"

static struct fd_shortage shortage;
static int real_stderr, said_pipe[2];

static int set_up(void **state)
{
    (void) state;
    log_init("test", LOG_INFO);
    if (pipe2(said_pipe, O_NONBLOCK) != 0)
        return -1;
    real_stderr = dup(STDERR_FILENO);
    (void) dup2(said_pipe[1], STDERR_FILENO);
    return fd_shortage_init(&shortage);
}

static int tear_down(void **state)
{
    (void) state;
    (void) dup2(real_stderr, STDERR_FILENO);
    (void) close(real_stderr);
    (void) close(said_pipe[0]);
    (void) close(said_pipe[1]);
    fd_shortage_deinit(&shortage);
    return 0;
}

/* What was logged since the last call; "" for nothing. */
static const char *said(void)
{
    static char text[4096];
    ssize_t len = read(said_pipe[0], text, sizeof text - 1);

    text[len > 0 ? len : 0] = '\0';
    return text;
}

static void the_limit_and_what_to_raise_are_named(void **state)
{
    static const struct {
        int status;
        const char *name;
    } cases[] = {
        {UV_EMFILE, "ulimit -n"}, {UV_ENFILE, "file-max"},         {UV_ENOMEM, "memory"},
        {UV_ENOBUFS, "memory"},   {UV_EINVAL, "invalid argument"},
    };

    (void) state;
    for (uint64_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fd_shortage_begin(&shortage, cases[i].status, i * 10000);
        assert_non_null(strstr(said(), cases[i].name));
        fd_shortage_end(&shortage);
        assert_non_null(strstr(said(), "again"));
    }
}

static void it_is_told_once_in_ten_seconds(void **state)
{
    (void) state;
    fd_shortage_begin(&shortage, UV_EMFILE, 5000);
    assert_string_not_equal(said(), "");
    fd_shortage_end(&shortage);
    assert_string_not_equal(said(), "");
    fd_shortage_begin(&shortage, UV_EMFILE, 14999);
    fd_shortage_end(&shortage);
    assert_string_equal(said(), ""); /* nor the end of what nobody read of */
    fd_shortage_begin(&shortage, UV_EMFILE, 15000);
    assert_string_not_equal(said(), "");
}

static void the_end_is_told_when_no_listener_waits_any_more(void **state)
{
    (void) state;
    fd_shortage_begin(&shortage, UV_EMFILE, 0);
    fd_shortage_begin(&shortage, UV_EMFILE, 0);
    (void) said();
    fd_shortage_end(&shortage);
    assert_string_equal(said(), "");
    fd_shortage_end(&shortage);
    assert_non_null(strstr(said(), "again"));
}

#define LISTENING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        LISTENING(the_limit_and_what_to_raise_are_named),
        LISTENING(it_is_told_once_in_ten_seconds),
        LISTENING(the_end_is_told_when_no_listener_waits_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

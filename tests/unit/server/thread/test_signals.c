#include "server/thread/signals.h"

#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct signals signals;
static int seen[4];
static size_t seen_count;

static void on_signal(void *context, int number)
{
    assert_ptr_equal(context, seen);
    seen[seen_count++] = number;
    if (number == SIGTERM)
        signals_close(&signals);
}

static void start(void)
{
    sigset_t set;

    seen_count = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGHUP);
    (void) sigaddset(&set, SIGTERM);
    assert_int_equal(signals_start(&signals, &loop, &set, on_signal, seen), 0);
}

static void end(void)
{
    (void) uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_a_signal_before_the_loop_runs_is_not_lost(void **state)
{
    (void) state;
    start();
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    end();
    assert_int_equal(seen_count, 2);
    assert_int_equal(seen[0], SIGHUP);
    assert_int_equal(seen[1], SIGTERM);
}

static void send_term(void *argument)
{
    (void) argument;
    (void) kill(getpid(), SIGTERM);
}

static void test_a_signal_that_another_thread_sends_wakes_the_loop(void **state)
{
    uv_thread_t thread;

    (void) state;
    start();
    assert_int_equal(uv_thread_create(&thread, send_term, NULL), 0);
    end();
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(seen_count, 1);
}

static void test_closing_twice_does_nothing(void **state)
{
    (void) state;
    start();
    signals_close(&signals);
    signals_close(&signals);
    end();
    assert_int_equal(seen_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_signal_before_the_loop_runs_is_not_lost),
        cmocka_unit_test(test_a_signal_that_another_thread_sends_wakes_the_loop),
        cmocka_unit_test(test_closing_twice_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

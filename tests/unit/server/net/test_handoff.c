#include "server/net/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MANY = 100 };

static uv_loop_t loop;
static struct inbox inbox;
static struct handoff handoff;
static struct handoff_connection came[MANY];
static size_t came_count;

static void on_arrival(struct handoff *from, const struct handoff_connection *arrival)
{
    assert_ptr_equal(from, &handoff);
    came[came_count++] = *arrival;
}

static int set_up(void **state)
{
    (void) state;
    came_count = 0;
    if (uv_loop_init(&loop) != 0 || inbox_init(&inbox, &loop) != 0)
        return -1;
    return handoff_init(&handoff, &inbox, on_arrival);
}

static int tear_down(void **state)
{
    (void) state;
    handoff_close(&handoff);
    inbox_close(&inbox);
    (void) uv_run(&loop, UV_RUN_DEFAULT);
    handoff_deinit(&handoff);
    inbox_deinit(&inbox);
    return uv_loop_close(&loop);
}

static int open_one(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void all_arrive_in_order_and_open(void **state)
{
    (void) state;
    for (int i = 0; i < MANY; i++) {
        struct handoff_connection arrival = {open_one(), i % 3 == 0, i % 5 == 0, i % 7 == 0, false};

        assert_int_equal(handoff_give(&handoff, &arrival), 0);
        if (i == MANY / 2)
            (void) uv_run(&loop, UV_RUN_NOWAIT);
    }
    (void) uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(came_count, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(came[i].loopback, i % 3 == 0);
        assert_int_equal(came[i].tls, i % 5 == 0);
        assert_int_equal(close(came[i].fd), 0);
    }
}

static void what_waits_at_the_close_is_closed(void **state)
{
    int fd = open_one();

    (void) state;
    assert_int_equal(handoff_give(&handoff, &(struct handoff_connection){.fd = fd}), 0);
    handoff_close(&handoff);
    assert_false(is_open(fd));
    (void) uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(came_count, 0);
}

static void what_comes_after_the_close_is_closed(void **state)
{
    int fd = open_one();

    (void) state;
    handoff_close(&handoff);
    assert_int_equal(handoff_give(&handoff, &(struct handoff_connection){.fd = fd}), 0);
    assert_false(is_open(fd));
}

static void *run_giver(void *argument)
{
    (void) argument;
    for (int i = 0; i < MANY / 2; i++)
        (void) handoff_give(&handoff, &(struct handoff_connection){.fd = open_one()});
    return NULL;
}

static void other_threads_may_give(void **state)
{
    pthread_t threads[2];

    (void) state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_giver, NULL), 0);
    while (came_count < MANY) /* without a wake-up, CTest's timeout ends it */
        (void) uv_run(&loop, UV_RUN_ONCE);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(close(came[i].fd), 0);
}

#define IN_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_LOOP(all_arrive_in_order_and_open),
        IN_LOOP(what_waits_at_the_close_is_closed),
        IN_LOOP(what_comes_after_the_close_is_closed),
        IN_LOOP(other_threads_may_give),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

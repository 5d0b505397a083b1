#include "server/thread/watchdog.h"

#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WORKERS = 2 };

/* A worker: a thread with a loop and an inbox, which can be made to stand still. */
struct turner {
    uv_loop_t loop;
    struct inbox inbox;
    struct inbox_item still, stop;
    uv_sem_t stands, goes_on;
    uv_thread_t thread;
};

static uv_loop_t loop;
static struct turner turners[WORKERS];
static struct watchdog watchdog;
static unsigned fed, wanted;

static void on_still(struct inbox_item *item)
{
    struct turner *turner = container_of(item, struct turner, still);

    uv_sem_post(&turner->stands);
    uv_sem_wait(&turner->goes_on);
}

static void on_stop(struct inbox_item *item)
{
    inbox_close(&container_of(item, struct turner, stop)->inbox);
}

static void run(void *argument)
{
    (void) uv_run(&((struct turner *) argument)->loop, UV_RUN_DEFAULT);
}

static struct inbox *inbox_at(void *context, size_t i)
{
    return &((struct turner *) context)[i].inbox;
}

static void on_feed(void *context)
{
    assert_ptr_equal(context, &fed);
    if (++fed >= wanted)
        uv_stop(&loop);
}

/* Runs the loop until it was fed `count` times more. */
static void until_fed(unsigned count)
{
    wanted = fed + count;
    while (fed < wanted)
        (void) uv_run(&loop, UV_RUN_DEFAULT);
}

static void on_time(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Runs the loop for so long that it would have been fed many times. */
static void for_many_intervals(void)
{
    uv_timer_t timer;

    wanted = UINT32_MAX;
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_time, 50, 0), 0);
    (void) uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *) &timer, NULL);
    (void) uv_run(&loop, UV_RUN_NOWAIT);
}

static int set_up(void **state)
{
    struct watchdog_workers workers = {inbox_at, turners, WORKERS};

    (void) state;
    fed = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        struct turner *turner = &turners[i];

        assert_int_equal(uv_loop_init(&turner->loop), 0);
        assert_int_equal(inbox_init(&turner->inbox, &turner->loop), 0);
        inbox_item_init(&turner->still, on_still);
        inbox_item_init(&turner->stop, on_stop);
        assert_int_equal(uv_sem_init(&turner->stands, 0), 0);
        assert_int_equal(uv_sem_init(&turner->goes_on, 0), 0);
        assert_int_equal(uv_thread_create(&turner->thread, run, turner), 0);
    }
    assert_int_equal(watchdog_start(&watchdog, &loop, &workers, 1, on_feed, &fed), 0);
    return 0;
}

static void end(struct turner *turner)
{
    inbox_post(&turner->inbox, &turner->stop);
    assert_int_equal(uv_thread_join(&turner->thread), 0);
}

/* Also sees to it that the watchdog, once closed, holds the loop open no longer. */
static int tear_down(void **state)
{
    (void) state;
    for (size_t i = 0; i < WORKERS; i++) {
        if (!inbox_is_closed(&turners[i].inbox))
            end(&turners[i]);
    }
    watchdog_close(&watchdog);
    (void) uv_run(&loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < WORKERS; i++) {
        inbox_deinit(&turners[i].inbox);
        uv_sem_destroy(&turners[i].stands);
        uv_sem_destroy(&turners[i].goes_on);
        assert_int_equal(uv_loop_close(&turners[i].loop), 0);
    }
    return uv_loop_close(&loop);
}

static void it_is_fed_while_every_worker_turns(void **state)
{
    (void) state;
    until_fed(3);
}

static void it_is_not_fed_while_one_worker_stands_still(void **state)
{
    struct turner *turner = &turners[1];
    unsigned before;

    (void) state;
    until_fed(1);
    inbox_post(&turner->inbox, &turner->still);
    uv_sem_wait(&turner->stands);
    for_many_intervals(); /* the answer that was on its way is in */
    before = fed;
    for_many_intervals();
    assert_int_equal(fed, before);
    uv_sem_post(&turner->goes_on);
    until_fed(2);
}

static void a_worker_that_has_ended_is_not_waited_for(void **state)
{
    (void) state;
    end(&turners[0]);
    until_fed(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_fed_while_every_worker_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_not_fed_while_one_worker_stands_still, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_has_ended_is_not_waited_for, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/thread/inbox.h"

#include <pthread.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct inbox inbox;

struct task {
    struct inbox_item item;
    unsigned runs;
    unsigned order; /* of its last run among all */
    unsigned again; /* how often it still posts itself */
    atomic_uint asked;
    unsigned seen; /* what it saw of `asked` */
    uv_thread_t thread;
};

static unsigned runs_of_all;

static void on_run(struct inbox_item *item)
{
    struct task *task = container_of(item, struct task, item);

    task->runs++;
    task->order = ++runs_of_all;
    task->thread = uv_thread_self();
    task->seen = atomic_load_explicit(&task->asked, memory_order_relaxed);
    if (task->again > 0) {
        task->again--;
        inbox_post(&inbox, item);
    }
}

static int set_up(void **state)
{
    (void) state;
    runs_of_all = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    return inbox_init(&inbox, &loop);
}

/* Also sees to it that a closed inbox holds the loop open no longer. */
static int tear_down(void **state)
{
    (void) state;
    if (!uv_is_closing((uv_handle_t *) &inbox._async))
        inbox_close(&inbox);
    uv_run(&loop, UV_RUN_DEFAULT);
    inbox_deinit(&inbox);
    return uv_loop_close(&loop);
}

static void init_task(struct task *task)
{
    *task = (struct task){.runs = 0};
    inbox_item_init(&task->item, on_run);
}

static void an_item_runs_once_however_often_it_was_posted(void **state)
{
    struct task task;

    (void) state;
    init_task(&task);
    for (unsigned i = 0; i < 3; i++)
        inbox_post(&inbox, &task.item);
    assert_int_equal(task.runs, 0); /* not within the post */
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(task.runs, 1);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(task.runs, 1);
}

static void an_item_that_has_run_can_be_posted_again(void **state)
{
    struct task task;

    (void) state;
    init_task(&task);
    for (unsigned i = 1; i <= 3; i++) {
        inbox_post(&inbox, &task.item);
        uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(task.runs, i);
    }
}

/* A deadlock, if the promise is broken. */
static void posting_what_waits_already_takes_no_lock(void **state)
{
    struct task task;

    (void) state;
    init_task(&task);
    inbox_post(&inbox, &task.item);
    uv_mutex_lock(&inbox._lock);
    inbox_post(&inbox, &task.item);
    uv_mutex_unlock(&inbox._lock);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(task.runs, 1);
}

static void items_run_in_the_order_of_their_first_post(void **state)
{
    struct task tasks[3];

    (void) state;
    for (unsigned i = 0; i < 3; i++)
        init_task(&tasks[i]);
    inbox_post(&inbox, &tasks[2].item);
    inbox_post(&inbox, &tasks[0].item);
    inbox_post(&inbox, &tasks[2].item);
    inbox_post(&inbox, &tasks[1].item);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(tasks[2].order, 1);
    assert_int_equal(tasks[0].order, 2);
    assert_int_equal(tasks[1].order, 3);
}

static void an_item_may_post_itself_while_it_runs(void **state)
{
    struct task task;

    (void) state;
    init_task(&task);
    task.again = 4;
    inbox_post(&inbox, &task.item);
    for (unsigned i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(task.runs, 5);
}

/* Otherwise whoever posts all the time keeps the loop from everything else. */
static void what_is_posted_while_items_run_waits_for_the_next_turn(void **state)
{
    struct task task;

    (void) state;
    init_task(&task);
    task.again = 4;
    inbox_post(&inbox, &task.item);
    for (unsigned i = 1; i <= 5; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(task.runs, i);
    }
}

static void withdraw_next(struct inbox_item *item)
{
    struct task *task = container_of(item, struct task, item);

    inbox_withdraw(&inbox, &task[1].item);
}

static void an_item_may_withdraw_one_that_is_to_run_behind_it(void **state)
{
    struct task tasks[3];

    (void) state;
    for (unsigned i = 0; i < 3; i++)
        init_task(&tasks[i]);
    inbox_item_init(&tasks[0].item, withdraw_next);
    for (unsigned i = 0; i < 3; i++)
        inbox_post(&inbox, &tasks[i].item);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(tasks[1].runs, 0);
    assert_int_equal(tasks[2].runs, 1);
}

static void a_withdrawn_item_does_not_run_and_the_others_do(void **state)
{
    struct task withdrawn, other;

    (void) state;
    init_task(&withdrawn);
    init_task(&other);
    inbox_withdraw(&inbox, &withdrawn.item); /* not posted: harmless */
    inbox_post(&inbox, &withdrawn.item);
    inbox_post(&inbox, &other.item);
    inbox_withdraw(&inbox, &withdrawn.item);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(withdrawn.runs, 0);
    assert_int_equal(other.runs, 1);
    inbox_post(&inbox, &withdrawn.item);
    inbox_withdraw(&inbox, &withdrawn.item);
    inbox_post(&inbox, &withdrawn.item); /* after all */
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(withdrawn.runs, 1);
}

static void after_the_close_nothing_runs(void **state)
{
    struct task task;

    (void) state;
    init_task(&task);
    inbox_close(&inbox);
    inbox_post(&inbox, &task.item);
    uv_run(&loop, UV_RUN_DEFAULT);
    inbox_post(&inbox, &task.item); /* the handle is closed by now */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(task.runs, 0);
}

/* ---- threads ---- */

enum { THREADS = 4, POSTS = 2000 };

static atomic_uint posters_left;

/* Tells its task something new and posts it, again and again. */
static void *run_poster(void *argument)
{
    struct task *task = argument;

    for (unsigned i = 0; i < POSTS; i++) {
        atomic_fetch_add_explicit(&task->asked, 1, memory_order_relaxed);
        inbox_post(&inbox, &task->item);
    }
    atomic_fetch_sub(&posters_left, 1);
    return NULL;
}

static void posts_of_other_threads_run_on_the_loops_own_and_none_is_lost(void **state)
{
    struct task tasks[2];
    pthread_t threads[THREADS];
    uv_thread_t self = uv_thread_self();

    (void) state;
    init_task(&tasks[0]);
    init_task(&tasks[1]);
    atomic_store(&posters_left, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_poster, &tasks[i % 2]), 0);
    while (atomic_load(&posters_left) > 0)
        uv_run(&loop, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < 2; i++) {
        assert_in_range(tasks[i].runs, 1, THREADS / 2 * POSTS);
        /* The last post ran after what was said before it. */
        assert_int_equal(tasks[i].seen, THREADS / 2 * POSTS);
        assert_true(uv_thread_equal(&tasks[i].thread, &self));
    }
}

static void *run_post(void *argument)
{
    inbox_post(&inbox, argument);
    return NULL;
}

static void a_post_wakes_a_loop_that_waits(void **state)
{
    struct task task;
    pthread_t thread;

    (void) state;
    init_task(&task);
    assert_int_equal(pthread_create(&thread, NULL, run_post, &task.item), 0);
    uv_run(&loop, UV_RUN_ONCE); /* without the wake-up, CTest's timeout ends it */
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(task.runs, 1);
}

#define IN_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_LOOP(an_item_runs_once_however_often_it_was_posted),
        IN_LOOP(an_item_that_has_run_can_be_posted_again),
        IN_LOOP(posting_what_waits_already_takes_no_lock),
        IN_LOOP(items_run_in_the_order_of_their_first_post),
        IN_LOOP(an_item_may_post_itself_while_it_runs),
        IN_LOOP(what_is_posted_while_items_run_waits_for_the_next_turn),
        IN_LOOP(an_item_may_withdraw_one_that_is_to_run_behind_it),
        IN_LOOP(a_withdrawn_item_does_not_run_and_the_others_do),
        IN_LOOP(after_the_close_nothing_runs),
        IN_LOOP(posts_of_other_threads_run_on_the_loops_own_and_none_is_lost),
        IN_LOOP(a_post_wakes_a_loop_that_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

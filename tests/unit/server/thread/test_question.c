#include "server/thread/question.h"

#include <stdint.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { WORKERS = 3 };

/* Workers with inboxes and desks of their own, on one loop. */
struct worker {
    struct inbox inbox;
    struct question_desk desk;
    struct office *office;
    unsigned pieces;   /* of work that are left of what is asked now; 0: a new one begins */
    unsigned begun;    /* how often something was begun */
    unsigned last_sum; /* budget that the last turn took */
};

struct office {
    uv_loop_t loop;
    struct worker workers[WORKERS];
    unsigned released;
    unsigned size; /* pieces of a worker's share */
};

struct asker {
    unsigned answers;
    unsigned sum;
};

static struct question_desk *desk_at(void *context, size_t i)
{
    const struct worker *worker = context;

    return &worker->office->workers[i].desk;
}

/* A share is the worker's number and one, after `size` pieces of work. */
static bool work(void *context, void *subject, void *share, unsigned *budget)
{
    struct worker *worker = context;

    assert_ptr_equal(subject, worker->office);
    if (worker->pieces == 0) {
        worker->pieces = worker->office->size;
        worker->begun++;
    }
    while (*budget > 0) {
        --*budget;
        worker->last_sum++;
        if (--worker->pieces == 0) {
            *(unsigned *) share = (unsigned) (worker - worker->office->workers) + 1;
            return true;
        }
    }
    return false;
}

static void release(void *context, void *subject)
{
    const struct worker *worker = context;

    assert_ptr_equal(subject, worker->office);
    worker->office->released++;
}

static const struct question_kind kind = {sizeof(unsigned), work, release, NULL};

static void on_answered(void *context, const struct question *question)
{
    struct asker *asker = context;

    assert_int_equal(question_count(question), WORKERS);
    asker->answers++;
    for (size_t i = 0; i < WORKERS; i++)
        asker->sum += *(const unsigned *) question_share(question, i);
}

static void open_office(struct office *office, unsigned size)
{
    *office = (struct office){.size = size};
    assert_int_equal(uv_loop_init(&office->loop), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *worker = &office->workers[i];

        worker->office = office;
        assert_int_equal(inbox_init(&worker->inbox, &office->loop), 0);
        question_desk_init(&worker->desk, &worker->inbox, worker, desk_at, WORKERS);
    }
}

static void close_office(struct office *office)
{
    for (size_t i = 0; i < WORKERS; i++)
        inbox_close(&office->workers[i].inbox);
    (void) uv_run(&office->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < WORKERS; i++) {
        question_desk_deinit(&office->workers[i].desk);
        inbox_deinit(&office->workers[i].inbox);
    }
    assert_int_equal(uv_loop_close(&office->loop), 0);
}

/* One turn of every worker. True when nobody has anything to do. */
static bool turn(struct office *office, unsigned budget)
{
    bool idle = true;

    (void) uv_run(&office->loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < WORKERS; i++) {
        office->workers[i].last_sum = 0;
        idle = question_desk_work(&office->workers[i].desk, budget) && idle;
        assert_true(office->workers[i].last_sum <= budget);
    }
    return idle;
}

static struct question *ask(struct office *office, size_t worker, struct asker *asker)
{
    struct question *question;

    assert_int_equal(
        question_ask(&question, &office->workers[worker].desk, &kind, office, asker, on_answered),
        0);
    return question;
}

static void every_worker_gives_its_share_within_its_budget(void **state)
{
    struct office office;
    struct asker asker = {0};
    unsigned turns = 0;

    (void) state;
    open_office(&office, 100);
    (void) ask(&office, 1, &asker);
    assert_int_equal(asker.answers, 0);
    for (; asker.answers == 0 && turns < 100; turns++)
        (void) turn(&office, 10);
    assert_in_range(turns, 10, 13);
    assert_int_equal(asker.answers, 1);
    assert_int_equal(asker.sum, 1 + 2 + 3);
    assert_int_equal(office.released, 1);
    assert_true(question_desk_is_idle(&office.workers[0].desk));
    close_office(&office);
}

/* However many ask, a worker does the work once for those who came before it began. */
static void who_ask_the_same_share_the_answer(void **state)
{
    enum { ASKERS = 200 };
    struct asker askers[ASKERS] = {0};
    struct office office;

    (void) state;
    open_office(&office, 100);
    (void) ask(&office, 0, &askers[0]);
    (void) turn(&office, 10); /* it has begun */
    for (size_t i = 1; i < ASKERS; i++)
        (void) ask(&office, i % WORKERS, &askers[i]);
    for (unsigned turns = 0; turns < 40; turns++)
        (void) turn(&office, 10);
    for (size_t i = 0; i < ASKERS; i++) {
        assert_int_equal(askers[i].answers, 1);
        assert_int_equal(askers[i].sum, 1 + 2 + 3);
    }
    for (size_t i = 0; i < WORKERS; i++)
        assert_in_range(office.workers[i].begun, 1, 3);
    assert_int_equal(office.released, ASKERS);
    close_office(&office);
}

static void who_is_gone_is_not_answered(void **state)
{
    struct asker asker = {0};
    struct office office;

    (void) state;
    open_office(&office, 5);
    question_forget(NULL);
    question_forget(ask(&office, 2, &asker));
    for (unsigned turns = 0; turns < 5; turns++)
        (void) turn(&office, 10);
    assert_int_equal(asker.answers, 0);
    assert_int_equal(office.released, 1);
    close_office(&office);
}

/* In whatever state a question is when the workers end, it is released once. */
static void what_is_on_its_way_at_the_end_is_freed(void **state)
{
    (void) state;
    for (unsigned turns = 0; turns < 4; turns++) {
        struct asker asker = {0};
        struct office office;

        open_office(&office, 15);
        (void) ask(&office, 0, &asker);
        (void) ask(&office, 1, &asker);
        for (unsigned i = 0; i < turns; i++)
            (void) turn(&office, 10);
        close_office(&office);
        assert_int_equal(office.released, 2);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worker_gives_its_share_within_its_budget),
        cmocka_unit_test(who_ask_the_same_share_the_answer),
        cmocka_unit_test(who_is_gone_is_not_answered),
        cmocka_unit_test(what_is_on_its_way_at_the_end_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

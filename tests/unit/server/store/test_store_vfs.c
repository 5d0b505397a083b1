/* A disk that fails at every single call, one after the other: the store never says yes to what is
 * not there afterwards, says "not written" of nothing that a power cut could bring back, and goes
 * on by itself when the disk works again. */
#include "server/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faulty_disk.h"
#include "store_play.h"

enum { SEEDS = 4 };

struct plan {
    enum disk_call call;
    enum disk_fault fault;
    unsigned count; /* of calls that fail */
    unsigned step;  /* from one n to the next */
    size_t size;    /* bytes of a message */
    bool waits;
};

static struct play play;

static void cut(void *context)
{
    char path[PLAY_PATH + 16];

    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        disk_image(play_image, seed);
        (void) snprintf(path, sizeof path, "%s/messages", play_image);
        (void) play_verify(context, path, false);
        play_empty(play_image);
    }
}

/* True if a call failed: the next n may have one too. */
static bool fail_at(const struct plan *plan, unsigned nth)
{
    const struct store_config config = {.vfs = disk_name(), .patience = 10000};
    unsigned failed;

    play_init(&play);
    PLAY_MUST(play_open(&play, config) == 0);
    play_submit(&play, 2, 64, false);
    play_wait(&play);
    PLAY_MUST(play.misses == 0);
    disk_fail(plan->call, plan->fault, nth, plan->count);
    for (int i = 0; i < 3; i++) {
        play_submit(&play, 2, plan->size, plan->waits);
        play_submit(&play, 1, plan->size, plan->waits);
        play_wait(&play);
        if (play.misses > 0 && i < 2 && !plan->waits)
            disk_look(cut, &play);
    }
    failed = disk_failed();
    PLAY_MUST(!plan->waits || play.misses == 0);
    disk_fail(plan->call, DISK_NO_FAULT, 0, 0);
    play_submit(&play, 1, 64, true);
    play_wait(&play);
    PLAY_MUST(play.batches[play.count - 1].batch.result == STORE_COMMITTED);
    disk_look(cut, &play);
    play_close(&play);
    (void) play_verify(&play, play.path, false);
    play_deinit(&play);
    disk_forget();
    return failed > 0;
}

static void fail_everywhere(const struct plan *plan)
{
    unsigned nth = 1;

    while (fail_at(plan, nth))
        nth += plan->step;
    print_message("          call %d, fault %d, %u in a row: up to the %u-th\n", (int) plan->call,
                  (int) plan->fault, plan->count, nth);
}

static void writes_fail(void **state)
{
    static const struct plan plans[] = {
        {DISK_WRITE, DISK_EIO, 1, 1, 64, false},
        {DISK_WRITE, DISK_EIO_DONE, 1, 2, 64, false},
        {DISK_WRITE, DISK_FULL, 1, 2, 9000, false},
        {DISK_WRITE, DISK_SHORT_WRITE, 1, 2, 9000, false},
        {DISK_WRITE, DISK_FULL, 5, 3, 64, true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        fail_everywhere(&plans[i]);
}

static void syncs_fail(void **state)
{
    static const struct plan plans[] = {
        {DISK_SYNC, DISK_EIO, 1, 1, 64, false},      {DISK_SYNC, DISK_EIO_DONE, 1, 1, 64, false},
        {DISK_SYNC, DISK_EIO_DONE, 2, 1, 64, false}, {DISK_SYNC, DISK_EIO, 3, 1, 64, false},
        {DISK_SYNC, DISK_EIO, 4, 1, 64, true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        fail_everywhere(&plans[i]);
}

static void other_calls_fail(void **state)
{
    static const struct plan plans[] = {
        {DISK_READ, DISK_EIO, 1, 1, 64, false},     {DISK_SHM_LOCK, DISK_EIO, 1, 2, 64, false},
        {DISK_SHM_LOCK, DISK_BUSY, 1, 2, 64, true}, {DISK_SIZE, DISK_EIO, 1, 1, 64, false},
        {DISK_TRUNCATE, DISK_EIO, 1, 1, 64, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        fail_everywhere(&plans[i]);
}

static void checkpoints_fail(void **state)
{
    static const struct plan plans[] = {
        {DISK_WRITE, DISK_EIO, 1, 601, 1 << 20, false},
        {DISK_SYNC, DISK_EIO, 1, 3, 1 << 20, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        fail_everywhere(&plans[i]);
}

/* A first attempt may be in the WAL for ever, as it could not be taken back; a second one fails
 * before it has written anything. */
static void not_written_is_not_said_of_what_an_earlier_attempt_has_written(void **state)
{
    const struct store_config config = {.vfs = disk_name(), .patience = 600};

    (void) state;
    play_init(&play);
    PLAY_MUST(play_open(&play, config) == 0);
    play_submit(&play, 1, 64, false);
    play_wait(&play);
    disk_fail(DISK_SYNC, DISK_EIO_FIRST_DONE, 1, UINT32_MAX);
    play_submit(&play, 1, 64, true);
    while (disk_failed() < 2) /* of the commit, and of taking it back */
        (void) usleep(1000);
    disk_fail(DISK_SHM_LOCK, DISK_EIO, 1, UINT32_MAX); /* BEGIN fails */
    play_wait(&play);
    PLAY_MUST(play.misses == 1);
    disk_look(cut, &play);
    disk_fail(DISK_SHM_LOCK, DISK_NO_FAULT, 0, 0);
    play_close(&play);
    play_deinit(&play);
    disk_forget();
}

static void whoever_waits_keeps_the_order_of_submission(void **state)
{
    const struct store_config config = {.vfs = disk_name(), .patience = 10000};

    (void) state;
    play_init(&play);
    PLAY_MUST(play_open(&play, config) == 0);
    disk_fail(DISK_WRITE, DISK_FULL, 1, 12);
    for (int i = 0; i < 100; i++) {
        play_submit(&play, 1, 64, true);
        (void) usleep(2000);
    }
    disk_fail(DISK_WRITE, DISK_NO_FAULT, 0, 0);
    play_wait(&play);
    PLAY_MUST(play.misses == 0);
    for (size_t i = 0; i < play.count; i++)
        PLAY_MUST(play.batches[i].batch.first == i + 1);
    play_close(&play);
    PLAY_MUST(play_verify(&play, play.path, false) == 100);
    play_deinit(&play);
    disk_forget();
}

static void a_store_that_could_not_be_opened_can_be_opened_later(void **state)
{
    static const struct plan plans[] = {
        {DISK_OPEN, DISK_EIO, 1, 1, 0, false},          {DISK_READ, DISK_EIO, 1, 1, 0, false},
        {DISK_WRITE, DISK_SHORT_WRITE, 1, 1, 0, false}, {DISK_SYNC, DISK_EIO, 1, 1, 0, false},
        {DISK_SHM_MAP, DISK_EIO, 1, 1, 0, false},       {DISK_SHM_LOCK, DISK_EIO, 1, 1, 0, false},
        {DISK_TRUNCATE, DISK_EIO, 1, 1, 0, false},      {DISK_SIZE, DISK_EIO, 1, 1, 0, false},
    };
    const struct store_config config = {.vfs = disk_name()};
    bool failed;

    (void) state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        unsigned nth = 0;

        do {
            play_init(&play);
            if (nth % 2 == 0) { /* half of them: a store that there is */
                PLAY_MUST(play_open(&play, config) == 0);
                play_submit(&play, 3, 64, false);
                play_wait(&play);
                play_close(&play);
            }
            disk_fail(plans[i].call, plans[i].fault, ++nth, 1);
            if (play_open(&play, config) == 0)
                play_close(&play);
            failed = disk_failed() > 0;
            disk_fail(plans[i].call, DISK_NO_FAULT, 0, 0);
            PLAY_MUST(play_verify(&play, play.path, false) == 3 * play.count);
            play_deinit(&play);
            disk_forget();
        } while (failed || nth < 2);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_could_not_be_opened_can_be_opened_later),
        cmocka_unit_test(whoever_waits_keeps_the_order_of_submission),
        cmocka_unit_test(not_written_is_not_said_of_what_an_earlier_attempt_has_written),
        cmocka_unit_test(writes_fail),
        cmocka_unit_test(syncs_fail),
        cmocka_unit_test(other_calls_fail),
        cmocka_unit_test(checkpoints_fail),
    };

    return cmocka_run_group_tests(tests, play_make_image, play_remove_image);
}

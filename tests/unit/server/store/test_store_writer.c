/* Power cuts: at any moment the disk holds what was synced, and some part of what was written
 * since. A store that is opened from that has everything that was acknowledged, with the number
 * that was told, and gives no number twice. */
#include "server/store/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faulty_disk.h"
#include "store_play.h"

static struct play play;
static unsigned cuts;
static bool is_fast;

/* The machine has been started anew since. */
static void change_boot(const char *path)
{
    sqlite3 *db;

    PLAY_MUST(sqlite3_open(path, &db) == SQLITE_OK);
    (void) sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void) sqlite3_exec(db, "UPDATE state SET value = 'another' WHERE name = 'fast'", NULL, NULL,
                        NULL); /* fails if there is no such table yet */
    (void) sqlite3_close(db);
}

static void look(void *context)
{
    char path[PLAY_PATH + 16];

    (void) context;
    disk_image(play_image, ++cuts);
    (void) snprintf(path, sizeof path, "%s/messages", play_image);
    if (is_fast)
        change_boot(path);
    (void) play_verify(&play, path, is_fast);
    play_empty(play_image);
}

static void cut_during(struct store_config config, unsigned stride, size_t batches, size_t size)
{
    cuts = 0;
    play_init(&play);
    config.vfs = disk_name();
    if (config.fast) { /* there are messages already, and numbers that may be given twice */
        PLAY_MUST(play_open(&play, (struct store_config){.vfs = config.vfs}) == 0);
        play_submit(&play, 3, 64, false);
        play_wait(&play);
        play_close(&play);
    }
    disk_cut_every(stride, look, NULL);
    PLAY_MUST(play_open(&play, config) == 0);
    for (size_t i = 0; i < batches; i++) {
        play_submit(&play, 1 + i % 3, size, false);
        if (i % 4 == 3)
            play_wait(&play);
    }
    play_wait(&play);
    PLAY_MUST(play.misses == 0);
    play_close(&play);
    disk_cut_every(0, NULL, NULL);
    (void) play_verify(&play, play.path, false);
    print_message("          %u cuts\n", cuts);
    play_deinit(&play);
    disk_forget();
}

static void what_was_acknowledged_survives_a_power_cut(void **state)
{
    (void) state;
    is_fast = false;
    cut_during((struct store_config){0}, 1, 60, 64);
}

static void also_while_the_wal_is_moved_and_begun_anew(void **state)
{
    (void) state;
    is_fast = false;
    cut_during((struct store_config){0}, 61, 100, 50000);
}

static void a_fast_store_keeps_it_or_changes_its_epochs(void **state)
{
    (void) state;
    is_fast = true;
    cut_during((struct store_config){.fast = true}, 1, 60, 64);
    cut_during((struct store_config){.fast = true}, 61, 100, 50000);
}

static void a_fast_store_that_was_closed_keeps_its_epochs(void **state)
{
    (void) state;
    play_init(&play);
    PLAY_MUST(play_open(&play, (struct store_config){.fast = true}) == 0);
    play_submit(&play, 3, 64, false);
    play_wait(&play);
    play_close(&play);
    change_boot(play.path);
    PLAY_MUST(play_verify(&play, play.path, false) == 3);
    play_deinit(&play);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_power_cut),
        cmocka_unit_test(also_while_the_wal_is_moved_and_begun_anew),
        cmocka_unit_test(a_fast_store_keeps_it_or_changes_its_epochs),
        cmocka_unit_test(a_fast_store_that_was_closed_keeps_its_epochs),
    };

    return cmocka_run_group_tests(tests, play_make_image, play_remove_image);
}

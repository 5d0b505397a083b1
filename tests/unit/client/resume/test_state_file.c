#include "client/resume/state_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_FILE = 4096, RECORD = 64 };

static const char url[] = "ws://h/ws";
static char directory[] = "/tmp/wsbroadcast-state-XXXXXX";
static char name[sizeof directory + 2];

static int set_up(void **state)
{
    (void) state;
    (void) unlink(name);
    return 0;
}

static int set_up_all(void **state)
{
    (void) state;
    assert_non_null(mkdtemp(directory));
    (void) snprintf(name, sizeof name, "%s/f", directory);
    return 0;
}

static int tear_down_all(void **state)
{
    (void) state;
    (void) unlink(name);
    return rmdir(directory);
}

/* ---- what a run of wsrecv does ---- */

static const struct event_id none = {0};

/* Opens, expects a position (or `none`), stores sequences up to `last`, and closes. */
static void run(struct event_id expected, uint64_t last)
{
    struct state_file file;
    struct event_id id = none;
    struct error error = {""};
    bool known;

    if (state_file_open(&file, name, url, &id, &known, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(known, expected.epoch != 0);
    assert_int_equal(id.epoch, expected.epoch);
    assert_int_equal(id.sequence, expected.sequence);
    for (uint64_t i = id.sequence + 1; i <= last; i++)
        assert_int_equal(state_file_store(&file, (struct event_id){7, i}), 0);
    state_file_close(&file);
}

static void assert_refused(const char *of_url, const char *why)
{
    struct state_file file;
    struct event_id id;
    struct error error = {""};
    bool known;

    assert_true(state_file_open(&file, name, of_url, &id, &known, &error) < 0);
    if (strstr(error.text, why) == NULL || strstr(error.text, name) == NULL)
        fail_msg("refused with: %s", error.text);
    state_file_close(&file); /* harmless */
}

/* ---- files as others may leave them ---- */

static size_t load(char text[MAX_FILE])
{
    FILE *in = fopen(name, "re");
    size_t len;

    assert_non_null(in);
    len = fread(text, 1, MAX_FILE, in);
    assert_int_equal(fclose(in), 0);
    return len;
}

static void save(const char *text, size_t len)
{
    FILE *out = fopen(name, "we");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

/* ---- tests ---- */

static void a_place_is_there_for_the_next_run(void **state)
{
    (void) state;
    run(none, 0);
    run(none, 1);
    run((struct event_id){7, 1}, 2);
    run((struct event_id){7, 2}, 1000);
    run((struct event_id){7, 1000}, 0);
}

static void the_last_stored_holds_whatever_its_number(void **state)
{
    struct state_file file;
    struct event_id id;
    struct error error;
    bool known;

    (void) state;
    assert_int_equal(state_file_open(&file, name, url, &id, &known, &error), 0);
    assert_int_equal(state_file_store(&file, (struct event_id){UINT64_MAX, INT64_MAX}), 0);
    assert_int_equal(state_file_store(&file, (struct event_id){7, 9}), 0);
    assert_int_equal(state_file_store(&file, (struct event_id){7, 3}), 0);
    state_file_close(&file);
    run((struct event_id){7, 3}, 0);
}

/* Whatever byte of the newer record a loss of power has spared or not. */
static void a_torn_record_leaves_the_other(void **state)
{
    char text[MAX_FILE];
    size_t len, at;

    (void) state;
    run(none, 6);
    len = load(text);
    at = strstr(text, "-6 ") < strstr(text, "-5 ") ? RECORD : 2 * RECORD;
    for (size_t i = 0; i < RECORD; i++) {
        char torn[MAX_FILE];

        memcpy(torn, text, len);
        torn[at + i] ^= 1;
        save(torn, len);
        run((struct event_id){7, 5}, 0);
    }
    memset(text + at, 0, RECORD);
    save(text, len);
    run((struct event_id){7, 5}, 0);
}

static void two_torn_records_are_damage_and_are_left(void **state)
{
    char text[MAX_FILE], after[MAX_FILE];
    size_t len;

    (void) state;
    run(none, 6);
    len = load(text);
    text[RECORD] ^= 1;
    text[2 * RECORD] ^= 1;
    save(text, len);
    assert_refused(url, "damaged");
    assert_int_equal(load(after), len);
    assert_memory_equal(text, after, len);
}

/* Also what is cut off anywhere is refused, or as good as the whole; nothing is read beyond it. */
static void a_file_that_is_cut_off_is_refused(void **state)
{
    char text[MAX_FILE];
    size_t len;

    (void) state;
    run(none, 6);
    len = load(text);
    for (size_t cut = 1; cut < len; cut++) {
        save(text, cut);
        assert_refused(url, cut <= 3 * RECORD ? "not a state file" : "another URL");
    }
    save(text, 0);
    run(none, 0);
}

static void a_file_of_another_url_is_refused(void **state)
{
    (void) state;
    run(none, 6);
    assert_refused("ws://h/w", "another URL");
    assert_refused("ws://h/ws2", "another URL");
    assert_refused("ws://i/ws", "another URL");
}

static void a_file_that_is_open_is_refused(void **state)
{
    struct state_file file;
    struct event_id id;
    struct error error;
    bool known;

    (void) state;
    assert_int_equal(state_file_open(&file, name, url, &id, &known, &error), 0);
    assert_refused(url, "another wsrecv");
    state_file_close(&file);
    run(none, 0);
}

/* Whoever makes a new one of that name is its only user. */
static void a_file_that_is_no_longer_there_is_not_written(void **state)
{
    struct state_file file;
    struct event_id id;
    struct error error;
    bool known;

    (void) state;
    assert_int_equal(state_file_open(&file, name, url, &id, &known, &error), 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(state_file_store(&file, (struct event_id){7, 1}), UV_ENOENT);
    run(none, 0);
    assert_int_equal(state_file_store(&file, (struct event_id){7, 1}), UV_EEXIST);
    state_file_close(&file);
    run(none, 0);
}

static void a_url_with_another_secret_is_another_url(void **state)
{
    struct state_file file;
    struct event_id id;
    struct error error;
    char text[MAX_FILE] = "";
    bool known;

    (void) state;
    assert_int_equal(state_file_open(&file, name, "ws://h/?key=s3&a", &id, &known, &error), 0);
    state_file_close(&file);
    text[load(text)] = '\0';
    assert_non_null(strstr(text, "ws://h/?key=***&a sha256:"));
    assert_null(strstr(text, "s3"));
    assert_refused("ws://h/?key=s4&a", "ws://h/?key=***&a:");
    assert_int_equal(state_file_open(&file, name, "ws://h/?key=s3&a", &id, &known, &error), 0);
    state_file_close(&file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_place_is_there_for_the_next_run, set_up),
        cmocka_unit_test_setup(the_last_stored_holds_whatever_its_number, set_up),
        cmocka_unit_test_setup(a_torn_record_leaves_the_other, set_up),
        cmocka_unit_test_setup(two_torn_records_are_damage_and_are_left, set_up),
        cmocka_unit_test_setup(a_file_that_is_cut_off_is_refused, set_up),
        cmocka_unit_test_setup(a_file_of_another_url_is_refused, set_up),
        cmocka_unit_test_setup(a_file_that_is_open_is_refused, set_up),
        cmocka_unit_test_setup(a_file_that_is_no_longer_there_is_not_written, set_up),
        cmocka_unit_test_setup(a_url_with_another_secret_is_another_url, set_up),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}

/* The engine of the store, with files of its own: what is promised while the disk is well. */
#include "server/store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/store/store_message.h"

enum { PATH_SIZE = 128, BATCHES = 200, PAYLOAD = 8, MESSAGE = STORE_MESSAGE_HEAD + PAYLOAD };

struct fixture {
    char folder[64];
    char path[PATH_SIZE];
};

/* What callbacks, which run on threads of the store, have counted. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t done;

static void count_one(void)
{
    pthread_mutex_lock(&lock);
    done++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for(size_t count)
{
    pthread_mutex_lock(&lock);
    while (done < count)
        pthread_cond_wait(&changed, &lock);
    done = 0;
    pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void) snprintf(fixture->folder, sizeof fixture->folder, "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void) snprintf(fixture->path, sizeof fixture->path, "%s/messages", fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const ends[] = {"", "-lock", "-wal", "-shm"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char path[PATH_SIZE + 8];

        (void) snprintf(path, sizeof path, "%s%s", fixture->path, ends[i]);
        (void) unlink(path);
    }
    (void) rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static struct store *open_store(const struct fixture *fixture)
{
    const struct store_config config = {.path = fixture->path};
    struct store *store = NULL;
    struct error error;

    if (store_open(&store, &config, &error) != 0)
        fail_msg("%s", error.text);
    return store;
}

static struct store_channel *refer_to(struct store *store, const char *name,
                                      struct store_range *range)
{
    struct store_channel *channel = NULL;

    assert_int_equal(store_channel_ref(store, name, strlen(name), &channel, range), 0);
    return channel;
}

static uint64_t order[BATCHES]; /* numbers, in the order of the callbacks */
static size_t ordered;

static void on_committed(struct store_batch *batch)
{
    assert_int_equal(batch->result, STORE_COMMITTED);
    order[ordered++] = batch->first;
    count_one();
}

/* Submits one message a batch, each with its number as the payload, and waits for all. */
static void submit_all(struct store *store, struct store_channel *channel, size_t count)
{
    static struct store_batch batches[BATCHES];
    static uint8_t data[BATCHES][MESSAGE];

    ordered = 0;
    for (size_t i = 0; i < count; i++) {
        (void) snprintf((char *) store_message_begin(data[i], 1, PAYLOAD), PAYLOAD, "%zu", i + 1);
        batches[i] = (struct store_batch){.channel = channel,
                                          .data = data[i],
                                          .len = MESSAGE,
                                          .count = 1,
                                          .on_done = on_committed};
        store_submit(store, &batches[i]);
    }
    wait_for(count);
}

static void results_come_in_order_with_consecutive_numbers(void **state)
{
    struct store *store = open_store(*state);
    struct store_state seen;
    struct store_range range;
    struct store_channel *channel = refer_to(store, "a", &range);

    assert_true(range.newest == 0);
    submit_all(store, channel, BATCHES);
    for (size_t i = 0; i < BATCHES; i++)
        assert_true(order[i] == i + 1);
    store_look(store, &seen);
    assert_false(seen.degraded);
    assert_true(seen.pending == 0 && seen.failures == 0);
    assert_true(seen.commits >= 1 && seen.commits <= BATCHES);
    store_channel_unref(store, channel);
    store_close(store);
}

static void epoch_and_numbers_go_on_after_a_restart(void **state)
{
    struct store *store = open_store(*state);
    struct store_range before, after;
    struct store_channel *channel = refer_to(store, "a", &before);

    submit_all(store, channel, 10);
    store_channel_unref(store, channel);
    store_close(store);
    store = open_store(*state);
    channel = refer_to(store, "a", &after);
    assert_true(after.epoch == before.epoch);
    assert_true(after.oldest == 1 && after.newest == 10);
    submit_all(store, channel, 1);
    assert_true(order[0] == 11);
    store_channel_unref(store, channel);
    store_close(store);
}

static void channels_are_numbered_apart(void **state)
{
    struct store *store = open_store(*state);
    struct store_range a, b;
    struct store_channel *first = refer_to(store, "a", &a), *second = refer_to(store, "b", &b);

    assert_true(a.epoch != b.epoch);
    submit_all(store, first, 3);
    submit_all(store, second, 1);
    assert_true(order[0] == 1);
    store_channel_unref(store, first);
    store_channel_unref(store, second);
    store_close(store);
}

static void on_read(struct store_read *read)
{
    (void) read;
    count_one();
}

static void a_piece_begins_behind_the_message_that_was_named(void **state)
{
    struct store *store = open_store(*state);
    struct store_range range;
    struct store_channel *channel = refer_to(store, "a", &range);
    struct store_read piece = {
        .channel = channel, .after = 120, .most = 1 << 20, .on_done = on_read};
    struct store_message message = {0};
    const uint8_t *data;
    size_t len;

    submit_all(store, channel, BATCHES);
    store_read(store, &piece);
    wait_for(1);
    assert_int_equal(piece.status, 0);
    assert_true(piece.first == 121);
    assert_true(piece.count >= 1 && piece.count <= BATCHES - 120);
    data = piece.data;
    len = piece.len;
    for (size_t i = 0; i < piece.count; i++) {
        char expected[PAYLOAD];

        assert_true(store_message_next(&data, &len, &message));
        assert_int_equal(message.len, PAYLOAD);
        (void) snprintf(expected, sizeof expected, "%zu", i + 121);
        assert_string_equal((const char *) message.payload, expected);
    }
    assert_int_equal(len, 0);
    free(piece._memory);
    store_channel_unref(store, channel);
    store_close(store);
}

static void a_file_in_use_is_refused_in_one_line(void **state)
{
    const struct fixture *fixture = *state;
    const struct store_config config = {.path = fixture->path};
    struct store *store = open_store(fixture), *second = NULL;
    struct error error;

    assert_true(store_open(&second, &config, &error) < 0);
    assert_non_null(strstr(error.text, fixture->path));
    assert_null(strchr(error.text, '\n'));
    store_close(store);
}

static void count_line(void *context, const char *line)
{
    (void) line;
    ++*(size_t *) context;
}

static void a_check_finds_nothing_wrong_in_a_good_file(void **state)
{
    const struct fixture *fixture = *state;
    struct store *store = open_store(fixture);
    struct store_range range;
    struct store_channel *channel = refer_to(store, "a", &range);
    struct error error;
    size_t lines = 0;

    submit_all(store, channel, 10);
    store_channel_unref(store, channel);
    store_close(store);
    assert_int_equal(store_check(fixture->path, count_line, &lines, &error), 0);
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
    static const char text[] = "These are the notes of somebody, and no database at all.\n";
    const struct fixture *fixture = *state;
    const struct store_config config = {.path = fixture->path};
    struct store *store = NULL;
    struct error error;
    char found[sizeof text] = "";
    FILE *file = fopen(fixture->path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_true(store_open(&store, &config, &error) < 0);
    assert_non_null(strstr(error.text, fixture->path));
    file = fopen(fixture->path, "r");
    assert_non_null(file);
    assert_int_equal(fread(found, 1, sizeof text, file), sizeof text - 1);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(found, text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(results_come_in_order_with_consecutive_numbers),
        TEST(epoch_and_numbers_go_on_after_a_restart),
        TEST(channels_are_numbered_apart),
        TEST(a_piece_begins_behind_the_message_that_was_named),
        TEST(a_file_in_use_is_refused_in_one_line),
        TEST(a_check_finds_nothing_wrong_in_a_good_file),
        TEST(a_file_that_is_no_database_is_refused_and_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

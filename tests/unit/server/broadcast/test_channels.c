#include "server/broadcast/channels.h"
#include "tests/rules.h"

#include <pthread.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/heap.h"
#include "tests/unit/publishing.h"

static struct channel *make(struct channels *channels, const char *name)
{
    struct channel *channel = NULL;

    assert_int_equal(channels_make(channels, name, strlen(name), &channel), 0);
    assert_string_equal(channel->name, name);
    return channel;
}

static bool exists(struct channels *channels, const char *name)
{
    struct channel *channel;

    if (channels_find(channels, name, strlen(name), &channel) != 0)
        return false;
    channels_unref(channels, channel);
    return true;
}

/* ---- comings and goings ---- */

static void a_channel_is_there_while_somebody_refers_to_it(void **state)
{
    struct channels channels;
    struct channel *one, *same, *other;

    (void) state;
    assert_int_equal(channels_init(&channels, rules_keeping(&(struct history_policy){0}), 0), 0);
    assert_false(exists(&channels, "a"));
    one = make(&channels, "a");
    same = make(&channels, "a");
    other = make(&channels, "a/b");
    assert_ptr_equal(one, same);
    assert_ptr_not_equal(one, other);
    assert_int_equal(channels_count(&channels), 2);
    channels_unref(&channels, one);
    assert_true(exists(&channels, "a"));
    channels_unref(&channels, same);
    assert_false(exists(&channels, "a"));
    assert_true(exists(&channels, "a/b"));
    channels_unref(&channels, other);
    assert_int_equal(channels_count(&channels), 0);
    channels_deinit(&channels);
}

static void the_default_channel_is_always_there(void **state)
{
    struct channels channels;
    struct channel *channel;

    (void) state;
    assert_int_equal(channels_init(&channels, rules_keeping(&(struct history_policy){0}), 1), 0);
    assert_true(exists(&channels, ""));
    channel = make(&channels, "");
    channels_unref(&channels, channel);
    assert_true(exists(&channels, ""));
    assert_int_equal(channels_count(&channels), 0);
    channels_deinit(&channels);
}

static void a_channel_that_comes_again_is_another(void **state)
{
    struct channels channels;
    struct channel *channel;
    uint64_t epoch;

    (void) state;
    assert_int_equal(channels_init(&channels, rules_keeping(&(struct history_policy){0}), 0), 0);
    channel = make(&channels, "a");
    epoch = channel_last_id(channel).epoch;
    channels_unref(&channels, channel);
    channel = make(&channels, "a");
    assert_true(channel_last_id(channel).epoch != epoch);
    channels_unref(&channels, channel);
    channels_deinit(&channels);
}

static void there_are_no_more_than_allowed(void **state)
{
    struct channels channels;
    struct channel *one, *other, *refused;

    (void) state;
    assert_int_equal(channels_init(&channels, rules_keeping(&(struct history_policy){0}), 2), 0);
    one = make(&channels, "1");
    other = make(&channels, "2");
    assert_int_equal(channels_make(&channels, "3", 1, &refused), UV_EMFILE);
    channels_unref(&channels, make(&channels, "1")); /* what is there may be had again */
    channels_unref(&channels, one);
    one = make(&channels, "3");
    channels_unref(&channels, one);
    channels_unref(&channels, other);
    channels_deinit(&channels);
}

static void only_listed_ones_can_be_made(void **state)
{
    static const char *const names[] = {"in", "out/1"};
    struct channels channels;
    struct channel *channel;

    (void) state;
    assert_int_equal(channels_init(&channels, rules_keeping(&(struct history_policy){0}), 1), 0);
    channels_list(&channels, names, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(channels_find(&channels, names[i], strlen(names[i]), &channel), UV_ENOENT);
        channels_unref(&channels, make(&channels, names[i]));
    }
    channels_unref(&channels, make(&channels, ""));
    assert_int_equal(channels_make(&channels, "i", 1, &channel), UV_ENOENT);
    assert_int_equal(channels_make(&channels, "out", 3, &channel), UV_ENOENT);
    assert_int_equal(channels_count(&channels), 0);
    channels_list(&channels, names, 0);
    assert_int_equal(channels_make(&channels, "in", 2, &channel), UV_ENOENT);
    channels_deinit(&channels);
}

static void many_are_found_and_cost_nothing_afterwards(void **state)
{
    enum { MANY = 10000 };
    static struct channel *all[MANY];
    struct channels channels;
    size_t before, seen = 0;
    char name[32];

    (void) state;
    assert_int_equal(channels_init(&channels, rules_keeping(&(struct history_policy){0}), 0), 0);
    before = heap_allocated();
    for (unsigned i = 0; i < MANY; i++) {
        (void) snprintf(name, sizeof name, "part%u/%u", i % 7, i);
        all[i] = make(&channels, name);
    }
    assert_in_range((heap_allocated() - before) / MANY, 1, 640); /* bytes of one */
    for (struct channel *channel = channels_next(&channels, NULL); channel != NULL;
         channel = channels_next(&channels, channel))
        seen++;
    assert_int_equal(seen, MANY + 1);
    for (unsigned i = 0; i < MANY; i++) {
        (void) snprintf(name, sizeof name, "part%u/%u", i % 7, i);
        assert_true(exists(&channels, name));
        channels_unref(&channels, all[i]);
        assert_false(exists(&channels, name));
    }
    assert_int_equal(channels_count(&channels), 0);
    assert_in_range(heap_allocated(), before, before + 16 * 1024);
    channels_deinit(&channels);
}

/* ---- history ---- */

static uint64_t now = 1000000;

static uint64_t clock_of_test(void)
{
    return now;
}

static void a_channel_stays_until_its_history_has_expired(void **state)
{
    struct channels channels;
    struct channel_publisher publisher;
    struct channel *channel;

    (void) state;
    assert_int_equal(
        channels_init(&channels, rules_keeping(&(struct history_policy){.age = 64000}), 0), 0);
    channels.histories.now = clock_of_test;
    assert_true(publishing_init(&publisher));
    channel = make(&channels, "a");
    assert_int_equal(publishing_number(channel, &publisher, 1, 10), 0);
    channels_unref(&channels, channel);
    assert_true(exists(&channels, "a"));
    now += 64000;
    channels_expire(&channels);
    assert_true(exists(&channels, "a"));
    now += 2000;
    channels_expire(&channels);
    assert_false(exists(&channels, "a"));
    assert_int_equal(channels_count(&channels), 0);
    publishing_deinit(&publisher);
    channels_deinit(&channels);
}

/* The number of the oldest message that is retained; 0: the channel is gone. */
static unsigned oldest_of(struct channels *channels, const char *name)
{
    const struct channel_replay_from from = {.kind = CHANNEL_REPLAY_ALL};
    struct channel_message message;
    struct block_cursor cursor;
    struct channel *channel;
    struct event_id start;
    unsigned oldest = 0;

    if (channels_find(channels, name, strlen(name), &channel) != 0)
        return 0;
    assert_int_equal(channel_look_back(channel, &from, &cursor, &start), 0);
    if (channel_next(&cursor, &message))
        oldest = publishing_read(&message);
    block_log_leave(&cursor);
    channels_unref(channels, channel);
    return oldest;
}

static void over_the_total_the_oldest_goes_first_in_whatever_channel_it_is(void **state)
{
    enum { TOTAL = 720 * 1024 };
    static const char *const names[] = {"a", "b", "c", "d"};
    struct channels channels;
    struct channel_publisher publisher;
    size_t before = heap_allocated();
    unsigned number = 0, b;

    (void) state;
    assert_int_equal(
        channels_init(&channels, rules_keeping(&(struct history_policy){.messages = 1000000}), 0),
        0);
    histories_limit(&channels.histories, TOTAL);
    assert_true(publishing_init(&publisher));
    for (size_t i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 300; j++) {
            struct channel *channel = make(&channels, names[i]);

            assert_int_equal(publishing_number(channel, &publisher, ++number, 1000), 0);
            channels_unref(&channels, channel);
            assert_in_range(channels.histories._memory, 1, TOTAL);
        }
    }
    b = oldest_of(&channels, "b"); /* some of "b" had to make room for "d" */
    assert_int_equal(oldest_of(&channels, "a"), 0);
    assert_in_range(b, 302, 600);
    assert_int_equal(oldest_of(&channels, "c"), 601);
    assert_int_equal(oldest_of(&channels, "d"), 901);
    assert_int_equal(channels_count(&channels), 3);
    assert_in_range(heap_allocated() - before, TOTAL / 2, TOTAL + 64 * 1024);
    publishing_deinit(&publisher);
    channels_deinit(&channels);
}

/* However many channels somebody makes up: the memory is bounded, and so is their number. */
static void a_flood_of_channels_fits_into_the_total(void **state)
{
    enum { TOTAL = 512 * 1024 };
    struct channels channels;
    struct channel_publisher publisher;
    size_t before = heap_allocated();

    (void) state;
    assert_int_equal(
        channels_init(&channels, rules_keeping(&(struct history_policy){.messages = 10}), 0), 0);
    histories_limit(&channels.histories, TOTAL);
    assert_true(publishing_init(&publisher));
    for (unsigned i = 0; i < 20000; i++) {
        struct channel *channel;
        char name[32];

        (void) snprintf(name, sizeof name, "%u", i);
        channel = make(&channels, name);
        assert_int_equal(publishing_number(channel, &publisher, i, 10), 0);
        channels_unref(&channels, channel);
    }
    assert_in_range(channels_count(&channels), 1, TOTAL / 1024);
    assert_true(exists(&channels, "19999"));
    assert_false(exists(&channels, "0"));
    assert_in_range(heap_allocated() - before, 0, TOTAL + 64 * 1024);
    publishing_deinit(&publisher);
    channels_deinit(&channels);
}

/* The registry's lock is held for all who come and go: it waits for no channel that is busy. */
static void a_busy_channel_does_not_keep_the_registry_waiting(void **state)
{
    struct channels channels;
    struct channel *busy, *other, *next;

    (void) state;
    assert_int_equal(
        channels_init(&channels,
                      rules_keeping(&(struct history_policy){.messages = 10, .age = 1000}), 0),
        0);
    busy = make(&channels, "busy");
    other = make(&channels, "other");
    uv_mutex_lock(&busy->_lock); /* as a publisher on another thread */
    assert_true(exists(&channels, "busy"));
    channels_unref(&channels, make(&channels, "busy"));
    for (next = channels_next(&channels, NULL); next != NULL; next = channels_next(&channels, next))
        ;
    channels_unref(&channels, other);
    assert_false(exists(&channels, "other"));
    uv_mutex_unlock(&busy->_lock);
    channels_unref(&channels, busy);
    assert_int_equal(channels_count(&channels), 0);
    channels_deinit(&channels);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 150, NAMES = 3 };

struct working {
    pthread_t thread;
    struct channels *channels;
    unsigned number;
    bool failed;
};

/* What is read from there on is one message after the other, up to the newest that it has seen. */
static bool replay(struct channel *channel, unsigned encoding, struct channel_replay_from from)
{
    struct channel_reader reader = {0};
    struct channel_message message;
    struct event_id start;
    uint64_t last = channel_last_id(channel).sequence, count = 0;

    if (channel_join(channel, encoding, &from, &reader, &start) != 0)
        return false;
    if (!reader.catching_up) {
        channel_leave(channel, &reader, NULL);
        return true;
    }
    while (channel_next(&reader.cursor, &message))
        count += message.len >= 20 ? 1 : 0;
    channel_leave(channel, &reader, NULL);
    return start.sequence + count >= last;
}

static void *work(void *argument)
{
    struct working *working = argument;
    struct channel_publisher publisher;

    working->failed = !publishing_init(&publisher);
    for (unsigned i = 0; i < ROUNDS && !working->failed; i++) {
        struct channel_replay_from from = {
            .kind = i % 2 == 0 ? CHANNEL_REPLAY_ALL : CHANNEL_REPLAY_LAST, .count = i};
        struct channel *channel;
        char name[2] = {(char) ('a' + (i + working->number) % NAMES), '\0'};

        if (channels_make(working->channels, name, 1, &channel) != 0) {
            working->failed = true;
            break;
        }
        for (unsigned j = 0; j < 20; j++)
            working->failed |= publishing_number(channel, &publisher, j, 20 + 7 * j) != 0;
        working->failed |= !replay(channel, i % 3 == 0 ? 15 : CHANNEL_PLAIN, from);
        if (i % 10 == 0)
            channels_expire(working->channels);
        channels_unref(working->channels, channel);
    }
    publishing_deinit(&publisher);
    return NULL;
}

static void threads_publish_replay_and_trim_at_once(void **state)
{
    static const struct {
        struct history_policy policy;
        uint64_t total;
    } cases[] = {
        {{.messages = 200}, 0},
        {{.messages = 100000}, 20000},
        {{.age = 1}, 0},
        {{.bytes = 5000}, 8000},
        {{0}, 0},
    };

    (void) state;
    for (size_t p = 0; p < sizeof cases / sizeof *cases; p++) {
        struct working working[THREADS];
        struct channels channels;

        assert_int_equal(channels_init(&channels, rules_keeping(&cases[p].policy), 0), 0);
        histories_limit(&channels.histories, cases[p].total);
        for (unsigned i = 0; i < THREADS; i++) {
            working[i] = (struct working){.channels = &channels, .number = i};
            assert_int_equal(pthread_create(&working[i].thread, NULL, work, &working[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(working[i].thread, NULL), 0);
            assert_false(working[i].failed);
        }
        if (cases[p].total > 0)
            assert_in_range(channels.histories._memory, 0, cases[p].total);
        channels_deinit(&channels);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_is_there_while_somebody_refers_to_it),
        cmocka_unit_test(the_default_channel_is_always_there),
        cmocka_unit_test(a_channel_that_comes_again_is_another),
        cmocka_unit_test(there_are_no_more_than_allowed),
        cmocka_unit_test(only_listed_ones_can_be_made),
        cmocka_unit_test(many_are_found_and_cost_nothing_afterwards),
        cmocka_unit_test(a_channel_stays_until_its_history_has_expired),
        cmocka_unit_test(over_the_total_the_oldest_goes_first_in_whatever_channel_it_is),
        cmocka_unit_test(a_flood_of_channels_fits_into_the_total),
        cmocka_unit_test(a_busy_channel_does_not_keep_the_registry_waiting),
        cmocka_unit_test(threads_publish_replay_and_trim_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/broadcast/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/heap.h"
#include "tests/unit/publishing.h"

static uint64_t now = 1000000;

static uint64_t clock_of_test(void)
{
    return now;
}

/* A channel with a history, its publisher, and the number of its newest message. */
struct past {
    struct histories histories;
    struct channel_settings settings;
    struct channel channel;
    struct channel_publisher publisher;
    unsigned last;
};

static void begin(struct past *past, const struct history_policy *policy)
{
    past->last = 0;
    assert_int_equal(histories_init(&past->histories), 0);
    past->histories.now = clock_of_test;
    assert_int_equal(channel_init(&past->channel, "", &past->histories), 0);
    past->settings = (struct channel_settings){.history = *policy};
    channel_set_settings(&past->channel, &past->settings);
    assert_true(publishing_init(&past->publisher));
}

static void end(struct past *past)
{
    channel_deinit(&past->channel);
    assert_int_equal(past->histories._memory, 0);
    assert_true(list_empty(&past->histories._order));
    histories_deinit(&past->histories);
    publishing_deinit(&past->publisher);
}

static void publish(struct past *past, unsigned count, size_t size)
{
    while (count-- > 0)
        assert_int_equal(publishing_number(&past->channel, &past->publisher, ++past->last, size),
                         0);
}

/* The messages from `first` to the last are there, and nothing else. */
static void check_retained(struct past *past, unsigned first)
{
    const struct channel_replay_from from = {.kind = CHANNEL_REPLAY_ALL};
    struct block_cursor cursor;
    struct channel_message message;
    struct channel_info info;
    struct event_id start;
    uint64_t bytes = 0;
    unsigned number = first;

    assert_int_equal(channel_look_back(&past->channel, &from, &cursor, &start), 0);
    assert_int_equal(start.sequence, first - 1);
    while (channel_next(&cursor, &message)) {
        assert_int_equal(publishing_read(&message), number++);
        assert_int_equal(message.opcode, FRAME_TEXT);
        bytes += frame_size(false, message.len);
    }
    assert_int_equal(number, past->last + 1);
    block_log_leave(&cursor);
    channel_info(&past->channel, &info);
    assert_int_equal(info.messages, past->last + 1 - first);
    assert_int_equal(info.bytes, bytes);
    assert_int_equal(info.last.sequence, past->last);
    assert_int_equal(channel_retains(&past->channel), first <= past->last);
}

/* ---- another policy ---- */

static void change(struct past *past, struct channel_settings *settings)
{
    channel_set_settings(&past->channel, settings);
}

static void what_a_new_policy_does_not_keep_is_dropped_at_once(void **state)
{
    struct channel_settings less = {.history = {.messages = 3}}, none = {0};
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.messages = 500});
    publish(&past, 400, 100);
    change(&past, &less);
    check_retained(&past, 398);
    publish(&past, 10, 100);
    check_retained(&past, 408);
    change(&past, &none);
    check_retained(&past, past.last + 1);
    publish(&past, 10, 100);
    check_retained(&past, past.last + 1);
    change(&past, &past.settings);
    publish(&past, 10, 100);
    check_retained(&past, past.last - 9);
    end(&past);
}

static void under_another_age_what_is_retained_counts_as_new(void **state)
{
    struct channel_settings longer = {.history = {.age = 640000}};
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.age = 6400});
    for (unsigned i = 0; i < 60; i++) {
        publish(&past, 1, 10);
        now += 100;
    }
    change(&past, &longer);
    now += 640000 - 1;
    channel_expire(&past.channel);
    check_retained(&past, 1);
    now += 640000 / HISTORY_STEPS + 2;
    channel_expire(&past.channel);
    check_retained(&past, past.last + 1);
    for (unsigned i = 0; i < 3 * HISTORY_STEPS; i++) { /* no more marks than there is room for */
        publish(&past, 1, 10);
        now += 640000 / HISTORY_STEPS + 1;
    }
    end(&past);
}

/* ---- how much ---- */

static void without_a_policy_nothing_is_kept(void **state)
{
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){0});
    histories_limit(&past.histories, 1000);
    publish(&past, 10, 10);
    check_retained(&past, 11);
    end(&past);
}

static void exactly_so_many_messages_are_kept(void **state)
{
    struct past past;

    (void) state;
    for (unsigned most = 1; most <= 1000; most = most * 3 + 1) {
        begin(&past, &(struct history_policy){.messages = most});
        publish(&past, most, 20);
        check_retained(&past, 1);
        for (unsigned i = 1; i < 300; i++) {
            publish(&past, 1, i);
            check_retained(&past, i + 1);
        }
        end(&past);
    }
}

static void exactly_so_many_bytes_are_kept(void **state)
{
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.bytes = 10 * frame_size(false, 100)});
    publish(&past, 10, 100);
    check_retained(&past, 1);
    publish(&past, 1, 10); /* a small one: the oldest, though larger, has to go */
    check_retained(&past, 2);
    publish(&past, 500, 100);
    check_retained(&past, past.last - 9);
    publish(&past, 1, 2000); /* too long for all of it */
    check_retained(&past, past.last + 1);
    publish(&past, 1, 100);
    check_retained(&past, past.last);
    end(&past);
}

static void whichever_bites_first_counts(void **state)
{
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.messages = 5, .bytes = frame_size(false, 1000)});
    publish(&past, 20, 10);
    check_retained(&past, 16);
    publish(&past, 1, 990);
    check_retained(&past, 21);
    end(&past);
}

/* ---- how long ---- */

static void a_message_lives_for_its_age_and_a_64th_more_at_the_most(void **state)
{
    enum { AGE = 64000, STEP = AGE / HISTORY_STEPS + 1, EVERY = 100 };
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.age = AGE});
    for (unsigned i = 0; i < 3000; i++) {
        publish(&past, 1, 10);
        now += EVERY;
        if (i % 7 == 0)
            channel_expire(&past.channel);
        if (i % 10 == 9) {
            struct channel_info info;
            uint64_t oldest;

            channel_expire(&past.channel);
            channel_info(&past.channel, &info);
            oldest = info.messages * EVERY; /* so long ago it was published */
            assert_in_range(oldest, i + 1 < AGE / EVERY ? 0 : AGE, AGE + STEP + EVERY);
            if ((uint64_t) (i + 1) * EVERY <= AGE)
                assert_int_equal(info.messages, i + 1);
        }
    }
    end(&past);
}

static void the_last_message_expires_too(void **state)
{
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.age = 10000});
    publish(&past, 3, 10);
    now += 5000;
    channel_expire(&past.channel);
    check_retained(&past, 1);
    now += 5000;
    channel_expire(&past.channel);
    check_retained(&past, 1);
    now += 1 + 10000 / HISTORY_STEPS + 1;
    channel_expire(&past.channel);
    check_retained(&past, 4);
    assert_false(block_log_is_started(
        &past.channel._logs[CHANNEL_LOG_PLAIN].log)); /* and its memory is gone */
    publish(&past, 1, 10);
    check_retained(&past, 4);
    now += 100000;
    publish(&past, 1, 10); /* what is new sends the old away, too */
    check_retained(&past, 5);
    end(&past);
}

/* ---- how it goes ---- */

/* Drops what is to go, one step after the other, of which each does no more than it may. Returns
 * how many there were. */
static unsigned trim_in_steps(struct past *past)
{
    struct history *history = &past->channel._history;
    unsigned steps = 0;
    bool more = true;

    while (more) {
        uint64_t before = history->_sequence;

        more = history_trim(history, past->last);
        steps++;
        assert_in_range(history->_step, 0, HISTORY_STRIDE + 2 * HISTORY_BLOCK_COST);
        if (history->_step < HISTORY_BLOCK_COST && !history_is_empty(history))
            assert_int_equal(history->_sequence - before, history->_step);
    }
    return steps;
}

static void however_many_expire_at_once_they_go_in_bounded_steps(void **state)
{
    enum { MANY = 200000, REST = 10 };
    struct past past;
    uint64_t blocks;

    (void) state;
    begin(&past, &(struct history_policy){.age = 64000});
    publish(&past, MANY, 10);
    blocks = past.channel._history._memory / BLOCK_LOG_MAX_SIZE + 1;
    now += 40000;
    publish(&past, REST, 10);
    now += 30000;
    history_expire(&past.channel._history, past.last);
    /* A step drops so many blocks, and only in the last block is each message looked at. */
    assert_in_range(trim_in_steps(&past), 2,
                    1 + blocks * 2 * HISTORY_BLOCK_COST / HISTORY_STRIDE +
                        BLOCK_LOG_MAX_SIZE / frame_size(false, 10) / HISTORY_STRIDE);
    check_retained(&past, MANY + 1);
    end(&past);
}

/* Whoever publishes next takes part in it, but does not do all of it. */
static void a_publisher_drops_no_more_than_its_share(void **state)
{
    enum { MANY = 30000, SIZE = 4000, STEPS = 128 };
    struct past past;
    uint64_t left;

    (void) state;
    begin(&past, &(struct history_policy){.age = 64000});
    publish(&past, MANY, SIZE);
    now += 70000;
    publish(&past, 1, 10);
    left = past.channel._history._bytes;
    assert_in_range(left, 1, (uint64_t) MANY * frame_size(false, SIZE) - BLOCK_LOG_MAX_SIZE);
    assert_true((uint64_t) MANY * frame_size(false, SIZE) - left <=
                (uint64_t) STEPS * HISTORY_STRIDE / HISTORY_BLOCK_COST * BLOCK_LOG_MAX_SIZE);
    assert_true(left > BLOCK_LOG_MAX_SIZE);
    publish(&past, 1, 10);
    assert_true(past.channel._history._bytes < left);
    channel_expire(&past.channel);
    check_retained(&past, MANY + 1);
    end(&past);
}

/* One large message sends many small ones away. */
static void however_many_make_room_they_go_in_bounded_steps_too(void **state)
{
    struct past past;
    const struct history_policy policies[] = {{.bytes = 8000}, {.messages = 3000, .bytes = 8000}};

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        begin(&past, &policies[i]);
        publish(&past, 4000, 0);
        publish(&past, 1, 7990);
        check_retained(&past, past.last); /* who has published finds it done */
        end(&past);
    }
}

static uint32_t next_random(void)
{
    static uint32_t random = 1;

    random = random * 1664525 + 1013904223;
    return random >> 8;
}

/* Wherever the end comes to lie in a block. */
static void what_goes_by_blocks_is_counted_to_the_message(void **state)
{
    const struct history_policy policies[] = {
        {.age = 10000},
        {.messages = 700, .age = 10000},
        {.bytes = 100000, .age = 10000},
        {.messages = 5000, .bytes = 150000},
    };

    (void) state;
    for (size_t p = 0; p < sizeof policies / sizeof *policies; p++) {
        struct past past;

        begin(&past, &policies[p]);
        for (unsigned round = 0; round < 150; round++) {
            struct channel_info info;

            publish(&past, next_random() % 200, next_random() % 400);
            now += next_random() % 700;
            if (round % 3 == 0)
                channel_expire(&past.channel);
            channel_info(&past.channel, &info);
            if (policies[p].messages > 0)
                assert_in_range(info.messages, 0, policies[p].messages);
            if (policies[p].bytes > 0)
                assert_in_range(info.bytes, 0, policies[p].bytes);
            check_retained(&past, past.last + 1 - (unsigned) info.messages);
        }
        now += 20000;
        channel_expire(&past.channel);
        if (policies[p].age > 0)
            check_retained(&past, past.last + 1);
        end(&past);
    }
}

/* ---- what it costs ---- */

static void check_memory(size_t size, unsigned spread)
{
    enum { BYTES = 4 * 1024 * 1024 };
    struct past past;
    size_t before = heap_allocated();
    uint32_t random = 1;

    begin(&past, &(struct history_policy){.bytes = BYTES});
    for (size_t sum = 0; sum < 3 * BYTES; sum += size) {
        random = random * 1664525 + 1013904223;
        publish(&past, 1, size / 2 + (spread > 0 ? (random >> 8) % spread : size / 2));
    }
    if (heap_allocated() - before > BYTES + BYTES / 10 + 1024 * 1024)
        fail_msg("messages of %zu bytes cost %zu", size, heap_allocated() - before);
    end(&past);
    assert_in_range(heap_allocated(), before, before + 4096);
}

static void it_costs_a_tenth_and_a_mebibyte_more_than_it_holds(void **state)
{
    (void) state;
    check_memory(10, 0);
    check_memory(100, 100);
    check_memory(1000, 1000);
    check_memory(4000, 3900);
}

static void all_together_hold_no_more_than_they_may(void **state)
{
    struct past past;
    struct block_retention *retention;

    (void) state;
    begin(&past, &(struct history_policy){.messages = 1000000});
    histories_limit(&past.histories, 100 * 1024);
    publish(&past, 10000, 100);
    assert_true(histories_are_over(&past.histories));
    while (histories_are_over(&past.histories)) {
        retention = histories_lock_oldest(&past.histories);
        assert_non_null(retention);
        assert_ptr_equal(channel_of_retention(retention), &past.channel);
        histories_unlock(&past.histories);
        channel_drop_block(&past.channel);
    }
    assert_in_range(past.histories._memory, 1, 100 * 1024);
    check_retained(&past, (unsigned) past.channel._history._sequence + 1);
    end(&past);
}

/* ---- who asks for it ---- */

static uint64_t begin_since(struct past *past, struct channel_replay_from from)
{
    struct channel_reader reader = {0};
    struct event_id start = {0};
    struct channel_message message;

    assert_int_equal(channel_join(&past->channel, CHANNEL_PLAIN, &from, &reader, &start), 0);
    assert_int_equal(reader.catching_up, start.sequence < past->last);
    for (uint64_t i = start.sequence + 1; i <= past->last; i++) {
        assert_true(channel_next(&reader.cursor, &message));
        assert_int_equal(publishing_read(&message), i);
    }
    assert_false(channel_next(&reader.cursor, &message));
    channel_leave(&past->channel, &reader, NULL);
    return start.sequence;
}

static void a_joiner_begins_where_it_asks_to_or_as_near_as_can_be(void **state)
{
    struct channel_reader reader = {0};
    struct past past;
    uint64_t epoch;

    (void) state;
    begin(&past, &(struct history_policy){.messages = 500});
    epoch = channel_last_id(&past.channel).epoch;
    publish(&past, 2000, 30);
    assert_int_equal(begin_since(&past, (struct channel_replay_from){.kind = CHANNEL_REPLAY_NOW}),
                     2000);
    assert_int_equal(begin_since(&past, (struct channel_replay_from){.kind = CHANNEL_REPLAY_ALL}),
                     1500);
    for (uint64_t n = 0; n < 700; n += 3) {
        struct channel_replay_from last = {.kind = CHANNEL_REPLAY_LAST, .count = n};
        struct channel_replay_from id = {.kind = CHANNEL_REPLAY_ID, .id = {epoch, 2000 - n}};

        assert_int_equal(begin_since(&past, last), n < 500 ? 2000 - n : 1500);
        assert_int_equal(begin_since(&past, id), n < 500 ? 2000 - n : 1500);
        id.id.epoch++;
        assert_int_equal(begin_since(&past, id), 1500);
    }
    assert_int_equal(
        channel_join(&past.channel, CHANNEL_PLAIN,
                     &(struct channel_replay_from){.kind = CHANNEL_REPLAY_ID, .id = {epoch, 2001}},
                     &reader, NULL),
        UV_EINVAL);
    assert_int_equal(past.channel._subscribers, 0);
    end(&past);
}

/* It reads plain frames up to where it meets the log of its encoding, and there it goes on. */
static void who_catches_up_goes_on_in_its_own_log_at_the_very_message(void **state)
{
    const struct channel_replay_from from = {.kind = CHANNEL_REPLAY_ALL};
    static const unsigned forms[] = {CHANNEL_PLAIN, CHANNEL_LEAST_BITS, 15, CHANNEL_EVENTS,
                                     CHANNEL_IDS};
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.messages = 100});
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct channel_reader reader = {0};
        struct block_cursor live_cursor = {0};
        struct channel_message message;
        struct event_id start;
        uint64_t stop, place;

        publish(&past, 50, 200);
        assert_int_equal(channel_join(&past.channel, forms[i], &from, &reader, &start), 0);
        assert_true(reader.catching_up);
        assert_int_equal(channel_meet(&past.channel, &reader, &live_cursor, &stop), 0);
        publish(&past, 7, 200);
        for (place = start.sequence; block_log_position(&reader.cursor) < stop; place++)
            assert_true(channel_next(&reader.cursor, &message));
        assert_int_equal(block_log_position(&reader.cursor), stop);
        assert_int_equal(channel_id_at(&past.channel, &reader).sequence, place);
        channel_go_live(&past.channel, &reader, &live_cursor);
        assert_false(reader.catching_up);
        assert_int_equal(block_log_sequence(&reader.cursor), place);
        assert_int_equal(place, past.last - 7);
        assert_true(channel_lag(&past.channel, &reader) > 0);
        channel_leave(&past.channel, &reader, &live_cursor);
    }
    end(&past);
}

/* However it leaves, nobody is said to read a log that nobody reads. */
static void who_leaves_while_it_catches_up_is_counted_out_everywhere(void **state)
{
    const struct channel_replay_from from = {.kind = CHANNEL_REPLAY_ALL};
    static const unsigned forms[] = {CHANNEL_PLAIN, CHANNEL_LEAST_BITS, CHANNEL_EVENTS,
                                     CHANNEL_IDS};
    struct past past;

    (void) state;
    begin(&past, &(struct history_policy){.messages = 100});
    publish(&past, 50, 200);
    for (size_t i = 0; i < 3 * 4; i++) {
        struct channel_reader reader = {0};
        struct block_cursor live_cursor = {0};
        uint64_t stop;

        assert_int_equal(channel_join(&past.channel, forms[i % 4], &from, &reader, NULL), 0);
        if (i / 4 > 0)
            assert_int_equal(channel_meet(&past.channel, &reader, &live_cursor, &stop), 0);
        publish(&past, 1, 200);
        if (i / 4 > 1)
            assert_int_equal(channel_skip(&past.channel, &reader, &live_cursor, NULL), 0);
        publish(&past, 1, 200);
        channel_leave(&past.channel, &reader, &live_cursor);
        assert_int_equal(past.channel._logs[CHANNEL_LOG_PLAIN].readers, 0);
        assert_int_equal(past.channel._logs[CHANNEL_LOG_DEFLATED].readers, 0);
        assert_int_equal(past.channel._logs[CHANNEL_LOG_EVENTS].readers, 0);
        assert_int_equal(past.channel._logs[CHANNEL_LOG_IDS].readers, 0);
        assert_int_equal(past.channel._bits, 0);
        assert_int_equal(past.channel._subscribers, 0);
        assert_false(block_log_is_started(&past.channel._logs[CHANNEL_LOG_DEFLATED].log));
        assert_false(block_log_is_started(&past.channel._logs[CHANNEL_LOG_EVENTS].log));
    }
    end(&past);
}

/* It reads history, which costs nothing; but where it is to go on, it holds all that comes. */
static void who_catches_up_holds_what_comes_in_its_own_log(void **state)
{
    const struct channel_replay_from from = {.kind = CHANNEL_REPLAY_ALL};
    static const unsigned forms[] = {CHANNEL_PLAIN, 15, CHANNEL_EVENTS};
    struct past past;

    (void) state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct channel_reader reader = {0};
        struct block_cursor live_cursor = {0};
        uint64_t stop, messages, before;
        size_t log = forms[i] == CHANNEL_PLAIN    ? CHANNEL_LOG_PLAIN
                     : forms[i] == CHANNEL_EVENTS ? CHANNEL_LOG_EVENTS
                                                  : CHANNEL_LOG_DEFLATED;
        bool plain = forms[i] == CHANNEL_PLAIN;

        begin(&past, &(struct history_policy){.messages = 100});
        publish(&past, 50, 200);
        assert_int_equal(channel_join(&past.channel, forms[i], &from, &reader, NULL), 0);
        assert_int_equal(channel_meet(&past.channel, &reader, &live_cursor, &stop), 0);
        before = block_log_end(&past.channel._logs[log].log);
        publish(&past, 50, 200);
        assert_int_equal(
            channel_lag_beyond_history(&past.channel, &reader, &live_cursor, &messages),
            plain ? 0 : block_log_end(&past.channel._logs[log].log) - before);
        assert_int_equal(messages, plain ? 0 : 50);
        assert_int_equal(channel_beyond_history(&past.channel, &reader.cursor, &messages), 0);
        channel_part(&past.channel, &reader, &live_cursor);
        assert_null(live_cursor._block);
        assert_int_equal(
            channel_lag_beyond_history(&past.channel, &reader, &live_cursor, &messages), 0);
        assert_int_equal(block_log_is_started(&past.channel._logs[log].log), plain);
        /* What has left the history counts in any case. */
        publish(&past, 70, 200);
        assert_int_equal(
            channel_lag_beyond_history(&past.channel, &reader, &live_cursor, &messages),
            70 * frame_size(false, 200));
        assert_int_equal(messages, 70);
        channel_leave(&past.channel, &reader, &live_cursor);
        end(&past);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_new_policy_does_not_keep_is_dropped_at_once),
        cmocka_unit_test(under_another_age_what_is_retained_counts_as_new),
        cmocka_unit_test(without_a_policy_nothing_is_kept),
        cmocka_unit_test(exactly_so_many_messages_are_kept),
        cmocka_unit_test(exactly_so_many_bytes_are_kept),
        cmocka_unit_test(whichever_bites_first_counts),
        cmocka_unit_test(a_message_lives_for_its_age_and_a_64th_more_at_the_most),
        cmocka_unit_test(the_last_message_expires_too),
        cmocka_unit_test(however_many_expire_at_once_they_go_in_bounded_steps),
        cmocka_unit_test(a_publisher_drops_no_more_than_its_share),
        cmocka_unit_test(however_many_make_room_they_go_in_bounded_steps_too),
        cmocka_unit_test(what_goes_by_blocks_is_counted_to_the_message),
        cmocka_unit_test(it_costs_a_tenth_and_a_mebibyte_more_than_it_holds),
        cmocka_unit_test(all_together_hold_no_more_than_they_may),
        cmocka_unit_test(a_joiner_begins_where_it_asks_to_or_as_near_as_can_be),
        cmocka_unit_test(who_catches_up_goes_on_in_its_own_log_at_the_very_message),
        cmocka_unit_test(who_catches_up_holds_what_comes_in_its_own_log),
        cmocka_unit_test(who_leaves_while_it_catches_up_is_counted_out_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

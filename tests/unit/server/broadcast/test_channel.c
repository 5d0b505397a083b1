#include "server/broadcast/channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/websocket/decoder.h"

/* ---- publishers and subscribers ---- */

static struct channel_publisher new_publisher(void)
{
    struct channel_publisher publisher = {.compression_min = 64};

    assert_int_equal(frame_encoder_new(&publisher.encoder, false), 0);
    assert_int_equal(deflater_new(&publisher.deflater, 6), 0);
    return publisher;
}

static void free_publisher(struct channel_publisher *publisher)
{
    frame_encoder_free(publisher->encoder);
    deflater_free(publisher->deflater);
}

static int publish_text(struct channel *channel, const struct channel_publisher *publisher,
                        const char *text)
{
    struct frame_part part = {text, strlen(text)};

    return channel_publish(channel, publisher, FRAME_TEXT, &part, 1, NULL);
}

/* One who reads a channel as a WebSocket client would. */
struct subscriber {
    struct channel *channel;
    unsigned bits;
    struct channel_reader reader;
    struct decoder_pool *pool;
    struct decoder decoder;
    struct buffer heard; /* each message and a newline */
    size_t messages;
    bool broken; /* it could not make sense of what it got */
};

static void join(struct subscriber *subscriber, struct channel *channel, unsigned bits)
{
    struct extension_deflate agreed = {
        .agreed = true,
        .server_max_window_bits = (uint8_t) bits,
        .client_max_window_bits = 15,
    };

    *subscriber = (struct subscriber){.channel = channel, .bits = bits};
    subscriber->broken = decoder_pool_new(&subscriber->pool, DECODER_CLIENT, 0) != 0;
    if (bits != CHANNEL_PLAIN)
        subscriber->broken |= decoder_allow_deflate(&subscriber->decoder, &agreed) != 0;
    subscriber->broken |= channel_join(channel, bits, NULL, &subscriber->reader, NULL) != 0;
}

static void leave(struct subscriber *subscriber)
{
    channel_leave(subscriber->channel, &subscriber->reader, NULL);
    decoder_deinit(&subscriber->decoder);
    decoder_pool_free(subscriber->pool);
    buffer_deinit(&subscriber->heard);
}

static void hear(struct subscriber *subscriber, const uv_buf_t *buf)
{
    struct decoder_event event = {.type = DECODER_MORE};

    if (decoder_feed(&subscriber->decoder, subscriber->pool, (const uint8_t *) buf->base,
                     buf->len) != 0)
        subscriber->broken = true;
    while (!subscriber->broken) {
        decoder_next(&subscriber->decoder, &event);
        if (event.type == DECODER_MORE)
            break;
        if (event.type != DECODER_MESSAGE ||
            buffer_append(&subscriber->heard, event.data, event.len) != 0 ||
            buffer_append(&subscriber->heard, "\n", 1) != 0)
            subscriber->broken = true;
        subscriber->messages++;
    }
}

/* Reads and decodes all that there is. No asserts: it also runs on other threads. */
static void listen_up(struct subscriber *subscriber)
{
    uv_buf_t bufs[4];
    bool more = true;

    while (more && !subscriber->broken) {
        size_t len;
        unsigned count = block_log_read(&subscriber->reader.cursor, bufs, 4, &len, &more);

        for (unsigned i = 0; i < count; i++)
            hear(subscriber, &bufs[i]);
        block_log_advance(&subscriber->reader.cursor, len);
    }
}

static void check_heard(struct subscriber *subscriber, const char *expected)
{
    listen_up(subscriber);
    assert_false(subscriber->broken);
    assert_int_equal(subscriber->heard.len, strlen(expected));
    assert_memory_equal(subscriber->heard.data, expected, strlen(expected));
    assert_int_equal(channel_lag(subscriber->channel, &subscriber->reader), 0);
}

/* ---- messages ---- */

static void everybody_hears_in_order_what_is_published_after_joining(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber early, late, deflated;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&early, &channel, CHANNEL_PLAIN);
    join(&deflated, &channel, 15);
    assert_int_equal(publish_text(&channel, &publisher, "one"), 0);
    join(&late, &channel, CHANNEL_PLAIN);
    assert_int_equal(publish_text(&channel, &publisher, "two"), 0);
    assert_int_equal(publish_text(&channel, &publisher, ""), 0);
    check_heard(&early, "one\ntwo\n\n");
    check_heard(&late, "two\n\n");
    check_heard(&deflated, "one\ntwo\n\n");
    leave(&early);
    assert_int_equal(publish_text(&channel, &publisher, "three"), 0);
    check_heard(&late, "two\n\nthree\n");
    leave(&late);
    leave(&deflated);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

static void the_parts_of_a_message_are_put_together(void **state)
{
    static const struct frame_part parts[] = {{"Message: ", 9}, {NULL, 0}, {"hello", 5}};
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber plain, deflated;

    (void) state;
    publisher.compression_min = 0;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&plain, &channel, CHANNEL_PLAIN);
    join(&deflated, &channel, 15);
    assert_int_equal(channel_publish(&channel, &publisher, FRAME_TEXT, parts, 3, NULL), 0);
    assert_int_equal(channel_publish(&channel, &publisher, FRAME_BINARY, parts, 0, NULL), 0);
    check_heard(&plain, "Message: hello\n\n");
    check_heard(&deflated, "Message: hello\n\n");
    leave(&plain);
    leave(&deflated);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

static void a_message_is_written_once_however_many_read_it(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber readers[5];

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    for (size_t i = 0; i < 5; i++)
        join(&readers[i], &channel, CHANNEL_PLAIN);
    assert_int_equal(publish_text(&channel, &publisher, "hello"), 0);
    assert_int_equal(channel_appended(&channel), frame_size(false, 5));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(channel_lag(&channel, &readers[i].reader), frame_size(false, 5));
        check_heard(&readers[i], "hello\n");
        leave(&readers[i]);
    }
    channel_deinit(&channel);
    free_publisher(&publisher);
}

static void a_form_that_nobody_reads_is_not_written(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber reader;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    assert_int_equal(publish_text(&channel, &publisher, "nobody"), 0);
    assert_int_equal(channel_appended(&channel), 0);
    join(&reader, &channel, 15);
    assert_int_equal(publish_text(&channel, &publisher, "somebody"), 0);
    assert_int_equal(channel_appended(&channel), frame_size(false, 8));
    leave(&reader);
    assert_int_equal(publish_text(&channel, &publisher, "nobody"), 0);
    assert_int_equal(channel_appended(&channel), frame_size(false, 8));
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* ---- compression ---- */

static const char repetitive[] =
    "again and again and again and again and again and again and again "
    "and again and again and again and again and again and again";

static void messages_are_compressed_where_that_is_worth_it(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber reader;
    uint64_t before;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&reader, &channel, 15);
    publisher.compression_min = sizeof repetitive; /* one more than it has */
    assert_int_equal(publish_text(&channel, &publisher, repetitive), 0);
    before = channel_appended(&channel);
    assert_int_equal(before, frame_size(false, sizeof repetitive - 1));
    publisher.compression_min = sizeof repetitive - 1;
    assert_int_equal(publish_text(&channel, &publisher, repetitive), 0);
    assert_in_range(channel_appended(&channel) - before, 1, sizeof repetitive / 2);
    listen_up(&reader);
    assert_false(reader.broken);
    assert_int_equal(reader.messages, 2);
    assert_memory_equal(reader.heard.data, repetitive, sizeof repetitive - 1);
    assert_memory_equal(reader.heard.data + sizeof repetitive, repetitive, sizeof repetitive - 1);
    leave(&reader);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

static void who_takes_no_compressed_messages_gets_none(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber plain, deflated;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&plain, &channel, CHANNEL_PLAIN);
    join(&deflated, &channel, CHANNEL_LEAST_BITS);
    assert_int_equal(publish_text(&channel, &publisher, repetitive), 0);
    assert_in_range(channel_lag(&channel, &deflated.reader), 1, sizeof repetitive / 2);
    assert_int_equal(channel_lag(&channel, &plain.reader),
                     frame_size(false, sizeof repetitive - 1));
    listen_up(&plain); /* its decoder would not stand for the compression bit */
    listen_up(&deflated);
    assert_false(plain.broken || deflated.broken);
    assert_int_equal(plain.heard.len, deflated.heard.len);
    assert_memory_equal(plain.heard.data, deflated.heard.data, plain.heard.len);
    leave(&plain);
    leave(&deflated);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* What repeats itself from afar can only be compressed for a window that reaches so far. */
static void the_smallest_window_among_the_readers_decides(void **state)
{
    enum { AFAR = 6000 };
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber wide, narrow;
    static char text[2 * AFAR + 1];
    uint32_t random = 1;
    uint64_t before, for_wide, for_narrow;

    (void) state;
    for (size_t i = 0; i < AFAR; i++) {
        random = random * 1664525 + 1013904223;
        text[i] = (char) ('!' + (random >> 16) % 90);
        text[AFAR + i] = text[i];
    }
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&wide, &channel, 15);
    assert_int_equal(publish_text(&channel, &publisher, text), 0);
    for_wide = channel_appended(&channel);
    join(&narrow, &channel, CHANNEL_LEAST_BITS);
    before = channel_appended(&channel);
    assert_int_equal(publish_text(&channel, &publisher, text), 0);
    for_narrow = channel_appended(&channel) - before;
    assert_true(for_narrow > for_wide + AFAR / 2);
    listen_up(&wide);
    listen_up(&narrow);
    assert_false(wide.broken || narrow.broken);
    leave(&narrow);
    before = channel_appended(&channel);
    assert_int_equal(publish_text(&channel, &publisher, text), 0);
    assert_int_equal(channel_appended(&channel) - before, for_wide);
    leave(&wide);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* Nobody has to pay for a subscriber that can take little: it gets frames that are not compressed,
 * which its decoder, with a window of that size, makes sense of as of any other. */
static void a_small_window_costs_nobody_else_anything(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber wide, narrow;
    uint64_t before, alone;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&wide, &channel, 15);
    assert_int_equal(publish_text(&channel, &publisher, repetitive), 0);
    alone = channel_appended(&channel);
    for (unsigned bits = 8; bits < 12; bits++) {
        join(&narrow, &channel, bits);
        before = channel_lag(&channel, &wide.reader);
        assert_int_equal(publish_text(&channel, &publisher, repetitive), 0);
        assert_int_equal(channel_lag(&channel, &wide.reader) - before, alone);
        assert_int_equal(channel_lag(&channel, &narrow.reader),
                         frame_size(false, sizeof repetitive - 1));
        listen_up(&narrow);
        assert_false(narrow.broken);
        assert_int_equal(narrow.messages, 1);
        assert_memory_equal(narrow.heard.data, repetitive, sizeof repetitive - 1);
        leave(&narrow);
    }
    leave(&wide);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* ---- many at once, and what is done under the lock ---- */

enum { LINES = 300, LINE = 200 };

/* So many messages, the n-th of which begins with n. */
struct lines {
    char text[LINES][LINE + 1];
    struct frame_part parts[LINES];
    struct channel_item items[LINES];
};

static struct lines *new_lines(void)
{
    struct lines *lines = malloc(sizeof *lines);

    assert_non_null(lines);
    for (unsigned i = 0; i < LINES; i++) {
        int len = snprintf(lines->text[i], LINE + 1, "%u ", i);

        memset(lines->text[i] + len, 'a' + (int) (i % 26), LINE - (size_t) len);
        lines->text[i][LINE] = '\0';
        lines->parts[i] = (struct frame_part){lines->text[i], LINE};
        lines->items[i] = (struct channel_item){FRAME_TEXT, &lines->parts[i], 1, 0};
    }
    return lines;
}

static void check_lines(struct subscriber *subscriber, const struct lines *lines)
{
    listen_up(subscriber);
    assert_false(subscriber->broken);
    assert_int_equal(subscriber->messages, LINES);
    for (unsigned i = 0; i < LINES; i++)
        assert_memory_equal(subscriber->heard.data + (size_t) i * (LINE + 1), lines->text[i], LINE);
}

/* The events in its log, from the cursor on. */
static void check_events(struct channel *channel, struct block_cursor *cursor, unsigned count)
{
    struct block_unit unit;

    for (unsigned i = 0; i < count; i++) {
        char id[EVENT_ID_SIZE], expected[EVENT_ID_SIZE + 32];
        uint64_t last = channel_last_id(channel).sequence;
        int len = snprintf(
            expected, sizeof expected, "id: %s\ndata: %u ",
            event_id_print((struct event_id){channel->_epoch, last - count + 1 + i}, id), i);

        assert_true(block_log_unit(cursor, &unit));
        assert_in_range(unit.len, LINE, LINE + EVENT_ID_SIZE + 32);
        assert_memory_equal(unit.data, expected, (size_t) len);
        block_log_advance(cursor, unit.len);
    }
    assert_false(block_log_unit(cursor, &unit));
}

static void many_are_published_in_every_form_that_is_read(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct lines *lines = new_lines();
    struct channel channel;
    struct subscriber plain, deflated;
    struct channel_reader events = {0};
    struct channel_receipt receipt;
    size_t published, sizes = LINES * frame_size(false, LINE);

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&plain, &channel, CHANNEL_PLAIN);
    join(&deflated, &channel, 15);
    assert_int_equal(channel_join(&channel, CHANNEL_EVENTS, NULL, &events, NULL), 0);
    assert_int_equal(
        channel_publish_all(&channel, &publisher, lines->items, LINES, &published, &receipt), 0);
    assert_int_equal(published, LINES);
    assert_int_equal(receipt.id.sequence, LINES);
    assert_int_equal(receipt.subscribers, 3);
    assert_in_range(channel_lag(&channel, &deflated.reader), LINES, sizes / 4);
    assert_int_equal(receipt.work, 16 * LINES * LINE + channel_appended(&channel));
    check_lines(&plain, lines);
    check_lines(&deflated, lines);
    check_events(&channel, &events.cursor, LINES);
    leave(&plain);
    leave(&deflated);
    channel_leave(&channel, &events, NULL);
    assert_int_equal(channel_publish_all(&channel, &publisher, lines->items, 0, &published, NULL),
                     0);
    assert_int_equal(
        channel_publish_all(&channel, &publisher, lines->items, 1, &published, &receipt), 0);
    assert_int_equal(receipt.work, 0); /* nobody reads */
    channel_deinit(&channel);
    free_publisher(&publisher);
    free(lines);
}

/* What the deflater's clock does, which is called between two pieces of what is compressed. */
static struct channel *watched;
static unsigned looks, looks_with_lock;
static struct channel_reader *to_join;

static uint64_t watching_clock(void)
{
    looks++;
    if (uv_mutex_trylock(&watched->_lock) != 0) {
        looks_with_lock++;
        return 1;
    }
    uv_mutex_unlock(&watched->_lock);
    if (to_join != NULL)
        (void) channel_join(watched, CHANNEL_EVENTS, NULL, to_join, NULL);
    to_join = NULL;
    return 1;
}

static void nothing_is_compressed_under_the_lock(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct lines *lines = new_lines();
    struct channel channel;
    struct subscriber deflated;
    size_t published;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&deflated, &channel, 15);
    watched = &channel;
    looks = looks_with_lock = 0;
    deflater_set_clock(publisher.deflater, watching_clock);
    assert_int_equal(
        channel_publish_all(&channel, &publisher, lines->items, LINES, &published, NULL), 0);
    assert_in_range(looks, 1, LINES);
    assert_int_equal(looks_with_lock, 0);
    check_lines(&deflated, lines);
    leave(&deflated);
    channel_deinit(&channel);
    free_publisher(&publisher);
    free(lines);
}

/* A form that nobody read when the messages were prepared. */
static void who_joins_while_messages_are_prepared_gets_all_of_them(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct lines *lines = new_lines();
    struct channel channel;
    struct subscriber deflated;
    struct channel_reader events = {0};
    size_t published;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&deflated, &channel, 15);
    watched = &channel;
    to_join = &events;
    deflater_set_clock(publisher.deflater, watching_clock);
    assert_int_equal(
        channel_publish_all(&channel, &publisher, lines->items, LINES, &published, NULL), 0);
    assert_null(to_join);
    check_lines(&deflated, lines);
    check_events(&channel, &events.cursor, LINES);
    leave(&deflated);
    channel_leave(&channel, &events, NULL);
    channel_deinit(&channel);
    free_publisher(&publisher);
    free(lines);
}

/* ---- what the publisher and others may know ---- */

static void a_receipt_says_how_many_bytes_were_appended_in_all_forms(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel_receipt receipt;
    struct channel channel;
    struct subscriber plain, deflated;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    assert_int_equal(channel_publish(&channel, &publisher, FRAME_TEXT, &(struct frame_part){"x", 1},
                                     1, &receipt),
                     0);
    assert_int_equal(receipt.bytes, 0); /* nobody reads it */
    join(&plain, &channel, CHANNEL_PLAIN);
    join(&deflated, &channel, 15);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(channel_publish(&channel, &publisher, FRAME_TEXT,
                                         &(struct frame_part){"", 0}, 1, &receipt),
                         0);
        assert_int_equal(receipt.bytes, 4); /* two frames without payload */
        assert_int_equal(receipt.appended, channel_appended(&channel));
    }
    leave(&plain);
    leave(&deflated);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* Another thread has appended, and is about to count. */
static void a_cursor_that_is_ahead_of_the_count_is_behind_by_nothing(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber subscriber;
    uint64_t end;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    join(&subscriber, &channel, CHANNEL_PLAIN);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(publish_text(&channel, &publisher, "x"), 0);
    assert_int_equal(channel_messages_behind(&channel, &subscriber.reader.cursor, 0), 3);
    assert_int_equal(channel_messages_behind(&channel, &subscriber.reader.cursor, 5), 5);
    end = channel_lag(&channel, &subscriber.reader);
    block_log_advance(&subscriber.reader.cursor, (size_t) end);
    assert_int_equal(channel_messages_behind(&channel, &subscriber.reader.cursor, 0), 0);
    atomic_store(&channel._sequence, 2);
    assert_int_equal(channel_messages_behind(&channel, &subscriber.reader.cursor, 0), 0);
    leave(&subscriber);
    join(&subscriber, &channel, CHANNEL_PLAIN); /* its block begins at the end */
    atomic_store(&channel._sequence, 0);
    assert_int_equal(channel_messages_behind(&channel, &subscriber.reader.cursor, 1), 1);
    leave(&subscriber);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* ---- listeners ---- */

struct counter {
    struct channel_listener listener;
    unsigned calls;
};

static void on_published(struct channel_listener *listener)
{
    container_of(listener, struct counter, listener)->calls++;
}

static void listeners_are_told_of_each_publication_while_they_listen(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct counter one = {.calls = 0}, other = {.calls = 0};

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    assert_int_equal(publish_text(&channel, &publisher, "x"), 0);
    channel_listen(&channel, &one.listener, CHANNEL_THROTTLES, on_published);
    assert_int_equal(publish_text(&channel, &publisher, "x"), 0);
    channel_listen(&channel, &other.listener, CHANNEL_THROTTLES, on_published);
    assert_int_equal(publish_text(&channel, &publisher, "x"), 0);
    assert_int_equal(publish_text(&channel, &publisher, "x"), 0);
    channel_unlisten(&channel, &one.listener);
    assert_int_equal(publish_text(&channel, &publisher, "x"), 0);
    channel_unlisten(&channel, &other.listener);
    assert_int_equal(publish_text(&channel, &publisher, "x"), 0);
    assert_int_equal(one.calls, 3);
    assert_int_equal(other.calls, 3);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* Nobody could publish what is not there: no room is made, no one is told. */
static void a_message_that_is_too_long_is_refused_and_not_published(void **state)
{
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct counter counter = {.calls = 0};
    struct subscriber reader;
    struct frame_part endless = {"", BLOCK_LOG_MAX_FRAME};

    (void) state;
    publisher.compression_min = SIZE_MAX;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    channel_listen(&channel, &counter.listener, CHANNEL_THROTTLES, on_published);
    join(&reader, &channel, CHANNEL_PLAIN);
    assert_int_equal(channel_publish(&channel, &publisher, FRAME_BINARY, &endless, 1, NULL),
                     UV_ENOMEM);
    assert_int_equal(counter.calls, 0);
    assert_int_equal(channel_appended(&channel), 0);
    assert_int_equal(publish_text(&channel, &publisher, "short"), 0);
    check_heard(&reader, "short\n");
    leave(&reader);
    channel_unlisten(&channel, &counter.listener);
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* ---- skipping ---- */

static void who_skips_hears_what_is_published_from_then_on(void **state)
{
    static const unsigned forms[] = {CHANNEL_PLAIN, 15, 12};
    struct channel_publisher publisher = new_publisher();
    struct channel channel;
    struct subscriber readers[3];
    struct event_id place;

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    for (size_t i = 0; i < 3; i++)
        join(&readers[i], &channel, forms[i]);
    /* Where there is nothing to miss. */
    assert_int_equal(channel_skip(&channel, &readers[0].reader, NULL, &place), 0);
    assert_int_equal(publish_text(&channel, &publisher, "heard"), 0);
    for (size_t i = 0; i < 3; i++)
        check_heard(&readers[i], "heard\n");
    assert_int_equal(publish_text(&channel, &publisher, repetitive), 0);
    for (size_t i = 0; i < 3; i++) {
        if (i == 1)
            block_log_give_up(&readers[i].reader.cursor); /* it stands nowhere, as one may before */
        assert_int_equal(channel_skip(&channel, &readers[i].reader, NULL, &place), 0);
        assert_int_equal(channel_lag(&channel, &readers[i].reader), 0);
    }
    assert_int_equal(publish_text(&channel, &publisher, "new"), 0);
    for (size_t i = 0; i < 3; i++)
        check_heard(&readers[i], "heard\nnew\n");
    for (size_t i = 0; i < 3; i++)
        leave(&readers[i]);
    /* Each was counted once: nobody reads any more, and nothing is written. */
    {
        uint64_t appended = channel_appended(&channel);

        assert_int_equal(publish_text(&channel, &publisher, "nobody"), 0);
        assert_true(channel_appended(&channel) == appended);
    }
    channel_deinit(&channel);
    free_publisher(&publisher);
}

/* ---- threads ---- */

enum { PUBLISHERS = 4, MESSAGES = 400 }; /* of each */

struct publishing {
    pthread_t thread;
    struct channel *channel;
    unsigned number;
    bool failed;
};

static void *run_publisher(void *argument)
{
    struct publishing *publishing = argument;
    struct channel_publisher publisher = {.compression_min = 64};

    publishing->failed = frame_encoder_new(&publisher.encoder, false) != 0 ||
                         deflater_new(&publisher.deflater, 1) != 0;
    for (unsigned i = 0; i < MESSAGES && !publishing->failed; i++) {
        char text[256];

        /* Every other one is worth compressing. */
        (void) snprintf(text, sizeof text, "%u %u %s", publishing->number, i,
                        i % 2 == 0 ? "" : repetitive);
        publishing->failed = publish_text(publishing->channel, &publisher, text) != 0;
    }
    free_publisher(&publisher);
    return NULL;
}

/* Comes and goes with one window after the other, and reads what it gets meanwhile. */
struct wandering {
    pthread_t thread;
    struct channel *channel;
    atomic_bool stop;
    bool broken;
};

static void *run_wanderer(void *argument)
{
    struct wandering *wandering = argument;

    for (unsigned round = 0; !atomic_load(&wandering->stop); round++) {
        struct subscriber subscriber;

        join(&subscriber, wandering->channel, round % 3 == 0 ? CHANNEL_PLAIN : 8 + round % 8);
        for (unsigned i = 0; i < 5; i++) {
            listen_up(&subscriber);
            sched_yield();
        }
        wandering->broken |= subscriber.broken;
        leave(&subscriber);
    }
    return NULL;
}

/* Each publisher's own messages are in order, and none is missing. */
static void check_order(const struct subscriber *subscriber)
{
    unsigned next[PUBLISHERS] = {0};
    const char *line = (const char *) subscriber->heard.data;

    assert_false(subscriber->broken);
    assert_int_equal(subscriber->messages, PUBLISHERS * MESSAGES);
    for (size_t i = 0; i < subscriber->messages; i++) {
        char *end;
        unsigned long number = strtoul(line, &end, 10);

        assert_in_range(number, 0, PUBLISHERS - 1);
        assert_int_equal(strtoul(end, &end, 10), next[number]);
        next[number]++;
        line = strchr(end, '\n') + 1;
    }
}

static void publications_of_several_threads_have_one_order_for_everybody(void **state)
{
    struct channel channel;
    struct publishing publishing[PUBLISHERS];
    struct wandering wandering = {.channel = &channel};
    struct subscriber plain, deflated;
    struct counter counter = {.calls = 0};

    (void) state;
    assert_int_equal(channel_init(&channel, "", NULL), 0);
    channel_listen(&channel, &counter.listener, CHANNEL_THROTTLES, on_published);
    join(&plain, &channel, CHANNEL_PLAIN);
    join(&deflated, &channel, 15);
    assert_int_equal(pthread_create(&wandering.thread, NULL, run_wanderer, &wandering), 0);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        publishing[i] = (struct publishing){.channel = &channel, .number = i};
        assert_int_equal(pthread_create(&publishing[i].thread, NULL, run_publisher, &publishing[i]),
                         0);
    }
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        assert_int_equal(pthread_join(publishing[i].thread, NULL), 0);
        assert_false(publishing[i].failed);
    }
    atomic_store(&wandering.stop, true);
    assert_int_equal(pthread_join(wandering.thread, NULL), 0);
    assert_false(wandering.broken);
    listen_up(&plain);
    listen_up(&deflated);
    check_order(&plain);
    assert_int_equal(plain.heard.len, deflated.heard.len);
    assert_memory_equal(plain.heard.data, deflated.heard.data, plain.heard.len);
    assert_int_equal(counter.calls, PUBLISHERS * MESSAGES);
    leave(&plain);
    leave(&deflated);
    channel_unlisten(&channel, &counter.listener);
    channel_deinit(&channel);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_hears_in_order_what_is_published_after_joining),
        cmocka_unit_test(the_parts_of_a_message_are_put_together),
        cmocka_unit_test(a_message_is_written_once_however_many_read_it),
        cmocka_unit_test(a_form_that_nobody_reads_is_not_written),
        cmocka_unit_test(messages_are_compressed_where_that_is_worth_it),
        cmocka_unit_test(who_takes_no_compressed_messages_gets_none),
        cmocka_unit_test(the_smallest_window_among_the_readers_decides),
        cmocka_unit_test(a_small_window_costs_nobody_else_anything),
        cmocka_unit_test(many_are_published_in_every_form_that_is_read),
        cmocka_unit_test(nothing_is_compressed_under_the_lock),
        cmocka_unit_test(who_joins_while_messages_are_prepared_gets_all_of_them),
        cmocka_unit_test(a_receipt_says_how_many_bytes_were_appended_in_all_forms),
        cmocka_unit_test(a_cursor_that_is_ahead_of_the_count_is_behind_by_nothing),
        cmocka_unit_test(listeners_are_told_of_each_publication_while_they_listen),
        cmocka_unit_test(a_message_that_is_too_long_is_refused_and_not_published),
        cmocka_unit_test(who_skips_hears_what_is_published_from_then_on),
        cmocka_unit_test(publications_of_several_threads_have_one_order_for_everybody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/broadcast/block_log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/websocket/frame.h"
#include "tests/unit/heap.h"

static struct block_log *new_log(void)
{
    struct block_log *log = malloc(sizeof *log);

    assert_non_null(log);
    block_log_init(log, BLOCK_LOG_FRAMES);
    assert_int_equal(block_log_start(log, 0), 0);
    return log;
}

static void free_log(struct block_log *log)
{
    block_log_stop(log);
    free(log);
}

/* The byte at this place of every test's log. */
static uint8_t byte_at(uint64_t place)
{
    return (uint8_t) (place * 131 + place / 251);
}

static void append(struct block_log *log, size_t size)
{
    uint64_t end = block_log_end(log);
    uint8_t *room = block_log_reserve(log, size, 0);

    assert_non_null(room);
    for (size_t i = 0; i < size; i++)
        room[i] = byte_at(end + i);
    block_log_commit(log, size);
    assert_true(block_log_end(log) == end + size);
}

/* Checks that the buffers hold the log's bytes from `place` on. Returns how many. */
static size_t check_bytes(const uv_buf_t *bufs, unsigned count, uint64_t place)
{
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        assert_int_not_equal(bufs[i].len, 0);
        for (size_t j = 0; j < bufs[i].len; j++) {
            if ((uint8_t) bufs[i].base[j] != byte_at(place + len + j))
                fail_msg("another byte at %llu", (unsigned long long) (place + len + j));
        }
        len += bufs[i].len;
    }
    return len;
}

/* Reads what there is, `max` buffers at a time, and checks it. Returns the number of bytes. */
static size_t read_all(const struct block_log *log, struct block_cursor *cursor, unsigned max)
{
    uint64_t begin = block_log_end(log) - block_log_lag(log, cursor);
    uint64_t place = begin;
    uv_buf_t bufs[16];
    bool more = true;

    while (more) {
        size_t len = SIZE_MAX;
        unsigned count = block_log_read(cursor, bufs, max, &len, &more);

        assert_in_range(count, 0, max);
        assert_int_equal(check_bytes(bufs, count, place), len);
        block_log_advance(cursor, len);
        place += len;
        assert_true(block_log_lag(log, cursor) == block_log_end(log) - place);
        assert_int_equal(more, block_log_lag(log, cursor) > 0);
    }
    return (size_t) (place - begin);
}

static void a_cursor_sees_what_is_committed_after_it_joined(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor early = {0}, late = {0};

    (void) state;
    block_log_join(log, &early);
    assert_int_equal(read_all(log, &early, 4), 0);
    append(log, 10);
    append(log, 20);
    block_log_join(log, &late);
    assert_int_equal(block_log_lag(log, &early), 30);
    assert_int_equal(block_log_lag(log, &late), 0);
    append(log, 5);
    assert_int_equal(read_all(log, &early, 4), 35);
    assert_int_equal(read_all(log, &late, 4), 5);
    assert_int_equal(read_all(log, &late, 4), 0);
    block_log_leave(&early);
    block_log_leave(&late);
    free_log(log);
}

static void nobody_sees_what_is_only_reserved(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    uint8_t *room;

    (void) state;
    block_log_join(log, &cursor);
    append(log, 10);
    room = block_log_reserve(log, 100, 0);
    assert_non_null(room);
    memset(room, 0xff, 100);
    assert_int_equal(block_log_lag(log, &cursor), 10);
    assert_int_equal(read_all(log, &cursor, 4), 10);
    append(log, 7); /* a reservation that is not committed is as if it had never been */
    assert_int_equal(read_all(log, &cursor, 4), 7);
    block_log_leave(&cursor);
    free_log(log);
}

/* A reservation may have linked a fresh block that has nothing in it yet. */
static void an_empty_block_is_not_more_to_read(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    uv_buf_t bufs[2];
    size_t len;
    bool more;

    (void) state;
    block_log_join(log, &cursor);
    append(log, BLOCK_LOG_MIN_SIZE);
    assert_non_null(block_log_reserve(log, 1, 0));
    for (unsigned max = 1; max <= 2; max++) {
        assert_int_equal(block_log_read(&cursor, bufs, max, &len, &more), 1);
        assert_int_equal(len, BLOCK_LOG_MIN_SIZE);
        assert_false(more);
    }
    block_log_leave(&cursor);
    free_log(log);
}

static void frames_of_one_turn_are_one_buffer(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    uv_buf_t bufs[4];
    size_t len;
    bool more;

    (void) state;
    block_log_join(log, &cursor);
    for (unsigned i = 0; i < BLOCK_LOG_MIN_SIZE / 16; i++)
        append(log, 16);
    assert_int_equal(block_log_read(&cursor, bufs, 4, &len, &more), 1);
    assert_int_equal(len, BLOCK_LOG_MIN_SIZE);
    assert_false(more);
    block_log_leave(&cursor);
    free_log(log);
}

static void a_frame_lies_in_one_block_and_every_buffer_ends_with_a_frame(void **state)
{
    static const size_t sizes[] = {100, 1000, 3000, 70000, 10, 200000, 1, 65536, 65537, 500};
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    uv_buf_t bufs[16];
    size_t len, total = 0, frame = 0, in_buffer = 0;
    unsigned count, buffer = 0;
    bool more;

    (void) state;
    block_log_join(log, &cursor);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        append(log, sizes[i]);
        total += sizes[i];
    }
    count = block_log_read(&cursor, bufs, 16, &len, &more);
    assert_int_equal(len, total);
    assert_false(more);
    while (buffer < count && frame < sizeof sizes / sizeof *sizes) {
        in_buffer += sizes[frame++];
        assert_in_range(in_buffer, 1, bufs[buffer].len);
        if (in_buffer == bufs[buffer].len) {
            buffer++;
            in_buffer = 0;
        }
    }
    assert_int_equal(buffer, count);
    assert_int_equal(read_all(log, &cursor, 3), total);
    block_log_leave(&cursor);
    free_log(log);
}

static void blocks_double_up_to_the_largest(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    uv_buf_t bufs[16];
    size_t len, size = BLOCK_LOG_MIN_SIZE;
    unsigned count;
    bool more;

    (void) state;
    block_log_join(log, &cursor);
    for (unsigned i = 0; i < 4 * BLOCK_LOG_MAX_SIZE / 64; i++)
        append(log, 64);
    count = block_log_read(&cursor, bufs, 16, &len, &more);
    for (unsigned i = 0; i + 1 < count; i++) {
        assert_int_equal(bufs[i].len, size);
        size = 2 * size < BLOCK_LOG_MAX_SIZE ? 2 * size : BLOCK_LOG_MAX_SIZE;
    }
    assert_int_equal(size, BLOCK_LOG_MAX_SIZE);
    block_log_leave(&cursor);
    free_log(log);
}

static void reading_in_few_buffers_at_a_time_says_that_there_is_more(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    size_t total = 0;

    (void) state;
    for (unsigned max = 1; max <= 5; max++) {
        total = 0;
        block_log_join(log, &cursor);
        for (unsigned i = 0; i < 100; i++) {
            append(log, 3001);
            total += 3001;
        }
        assert_int_equal(read_all(log, &cursor, max), total);
        block_log_leave(&cursor);
    }
    free_log(log);
}

/* A short write: the cursor goes on by less than it was shown, to the last byte of a block, and
 * over several of them. */
static void a_cursor_may_advance_by_any_part_of_what_it_has_read(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    uint64_t place = 0;

    (void) state;
    block_log_join(log, &cursor);
    for (unsigned i = 0; i < 60; i++)
        append(log, 500);
    for (size_t step = 1; place < block_log_end(log); step = step * 3 / 2 + 1) {
        uv_buf_t bufs[16];
        size_t len;
        bool more;
        unsigned count = block_log_read(&cursor, bufs, 16, &len, &more);

        assert_int_equal(check_bytes(bufs, count, place), len);
        if (step > len)
            step = len;
        block_log_advance(&cursor, step);
        place += step;
        assert_true(block_log_lag(log, &cursor) == block_log_end(log) - place);
    }
    block_log_leave(&cursor);
    free_log(log);
}

static void what_is_shown_stays_in_place_while_the_log_grows(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    uv_buf_t bufs[1];
    size_t len;
    bool more;

    (void) state;
    block_log_join(log, &cursor);
    append(log, 100);
    assert_int_equal(block_log_read(&cursor, bufs, 1, &len, &more), 1);
    for (unsigned i = 0; i < 1000; i++)
        append(log, 500);
    free_log(log); /* even then */
    assert_int_equal(check_bytes(bufs, 1, 0), 100);
    block_log_leave(&cursor);
}

/* ---- memory ---- */

static void without_a_reader_the_log_holds_one_block(void **state)
{
    struct block_log *log = new_log();

    (void) state;
    for (unsigned i = 0; i < 100; i++)
        append(log, 5000);
    {
        size_t before = heap_allocated();

        for (unsigned i = 0; i < 1000; i++) {
            append(log, 5000);
            assert_in_range(heap_allocated(), before, before + 1024);
        }
    }
    free_log(log);
}

/* `blocks` more blocks than before take `got` bytes, if one takes `unit`; malloc rounds a bit. */
static void check_blocks(size_t got, size_t blocks, size_t unit)
{
    assert_in_range(got + unit / 8, blocks * unit, blocks * unit + unit / 4);
}

static void a_block_is_freed_when_the_last_who_needs_it_moves_on(void **state)
{
    enum { BLOCK = BLOCK_LOG_MAX_SIZE, BLOCKS = 20 };
    struct block_log *log = new_log();
    struct block_cursor fast = {0}, slow = {0};
    size_t before, unit;

    (void) state;
    for (unsigned i = 0; i < 12; i++)
        append(log, BLOCK);
    block_log_join(log, &fast);
    block_log_join(log, &slow);
    before = heap_allocated();
    append(log, BLOCK);
    unit = heap_allocated() - before;
    assert_in_range(unit, BLOCK, 2 * BLOCK);
    for (unsigned i = 1; i < BLOCKS; i++)
        append(log, BLOCK);
    check_blocks(heap_allocated() - before, BLOCKS, unit);
    assert_int_equal(read_all(log, &fast, 4), BLOCKS * BLOCK);
    check_blocks(heap_allocated() - before, BLOCKS, unit);
    /* Block by block they go, as the slow one reads; the one it joined on, full as it was, with the
     * first of them. */
    for (size_t left = BLOCKS; left-- > 1;) {
        block_log_advance(&slow, BLOCK);
        check_blocks(heap_allocated() - before, left - 1, unit);
    }
    block_log_advance(&slow, BLOCK);
    check_blocks(heap_allocated() - before, 0, unit); /* all that is left is the tail */
    block_log_leave(&fast);
    block_log_leave(&slow);
    check_blocks(heap_allocated() - before, 0, unit);
    free_log(log);
}

static void who_leaves_lets_go_of_all_that_only_it_needed(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    size_t before;

    (void) state;
    for (unsigned i = 0; i < 100; i++)
        append(log, 5000);
    before = heap_allocated();
    block_log_join(log, &cursor);
    for (unsigned i = 0; i < 1000; i++)
        append(log, 5000);
    assert_in_range(heap_allocated() - before, 1000 * 5000, 2000 * 5000);
    block_log_leave(&cursor);
    assert_in_range(heap_allocated(), before, before + 1024);
    assert_null(cursor._block);
    block_log_leave(&cursor); /* harmless */
    free_log(log);
}

static void a_frame_that_no_block_can_hold_is_refused(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};

    (void) state;
    block_log_join(log, &cursor);
    assert_null(block_log_reserve(log, BLOCK_LOG_MAX_FRAME + 1, 0));
    assert_null(block_log_reserve(log, ((size_t) 1 << 32) + 1, 0));
    assert_null(block_log_reserve(log, SIZE_MAX, 0));
    append(log, 10);
    assert_int_equal(read_all(log, &cursor, 4), 10);
    block_log_leave(&cursor);
    free_log(log);
}

/* ---- giving up ---- */

/* Appends a frame as a server sends it, with this many bytes of payload. Returns its size. */
static size_t append_frame(struct block_log *log, size_t payload)
{
    struct frame_encoder *encoder = NULL;
    uint8_t *zeroes = calloc(1, payload + 1);
    struct frame_part part = {zeroes, payload};
    size_t size = frame_size(false, payload);
    uint8_t *room = block_log_reserve(log, size, 0);

    assert_non_null(zeroes);
    assert_non_null(room);
    assert_int_equal(frame_encoder_new(&encoder, false), 0);
    assert_int_equal(frame_encode(encoder, room, FRAME_BINARY, false, &part, 1), 0);
    block_log_commit(log, size);
    frame_encoder_free(encoder);
    free(zeroes);
    return size;
}

/* What is left for a cursor that was given up: nothing, or the rest of one frame, in one buffer. */
static size_t left_of(const struct block_cursor *cursor)
{
    uv_buf_t bufs[4];
    size_t len = SIZE_MAX;
    bool more = true;
    unsigned count = block_log_read(cursor, bufs, 4, &len, &more);

    assert_false(more);
    assert_int_equal(count, len > 0 ? 1 : 0);
    assert_true(count == 0 || bufs[0].len == len);
    assert_int_equal(block_log_is_over(cursor), len == 0);
    return len;
}

static void who_is_given_up_reads_its_frame_to_the_end_and_no_further(void **state)
{
    static const size_t payloads[] = {0, 1, 125, 126, 127, 700, 65535, 65536, 70000};
    struct block_log *log = new_log();

    (void) state;
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        size_t size = frame_size(false, payloads[i]);
        size_t step = size > 2000 ? 997 : 1;

        for (size_t at = 0; at <= size; at += at + step > size && at < size ? size - at : step) {
            struct block_cursor cursor = {0};

            block_log_join(log, &cursor);
            (void) append_frame(log, 3);
            (void) append_frame(log, payloads[i]);
            (void) append_frame(log, 5);
            block_log_advance(&cursor, frame_size(false, 3) + at);
            assert_false(block_log_is_over(&cursor));
            block_log_give_up(&cursor);
            assert_int_equal(block_log_lag(log, &cursor), 0);
            assert_int_equal(left_of(&cursor), at > 0 ? size - at : 0);
            block_log_leave(&cursor);
        }
    }
    free_log(log);
}

/* Short writes, a second word that it is given up, and more that is published. */
static void who_is_given_up_may_read_its_frame_in_pieces(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    size_t left;

    (void) state;
    block_log_join(log, &cursor);
    left = append_frame(log, 5000) - 1;
    block_log_advance(&cursor, 1);
    block_log_give_up(&cursor);
    for (; left > 0; left--) {
        assert_int_equal(left_of(&cursor), left);
        (void) append_frame(log, 300);
        block_log_give_up(&cursor);
        block_log_advance(&cursor, 1);
    }
    assert_true(block_log_is_over(&cursor));
    block_log_leave(&cursor);
    assert_true(block_log_is_over(&cursor));
    free_log(log);
}

static void giving_up_who_stands_nowhere_or_at_the_end_is_harmless(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};

    (void) state;
    assert_true(block_log_is_over(&cursor));
    block_log_give_up(&cursor);
    assert_true(block_log_is_over(&cursor));
    assert_int_equal(left_of(&cursor), 0);
    block_log_join(log, &cursor);
    assert_false(block_log_is_over(&cursor));
    block_log_give_up(&cursor);
    assert_true(block_log_is_over(&cursor));
    assert_null(cursor._block);
    (void) append_frame(log, 10);
    assert_int_equal(left_of(&cursor), 0);
    free_log(log);
}

/* The last frame of a block, and the first: the block is found, and the frame in it. */
static void a_frame_is_found_anywhere_in_its_block(void **state)
{
    struct block_log *log = new_log();
    size_t size = frame_size(false, 100);

    (void) state;
    for (size_t before = 0; before < 30; before++) {
        struct block_cursor cursor = {0};

        block_log_join(log, &cursor);
        for (size_t i = 0; i < 30; i++)
            (void) append_frame(log, 100);
        block_log_advance(&cursor, before * size + size - 1);
        block_log_give_up(&cursor);
        assert_int_equal(left_of(&cursor), 1);
        block_log_leave(&cursor);
    }
    free_log(log);
}

static void who_is_given_up_keeps_one_block_however_much_is_published(void **state)
{
    enum { CURSORS = 50 };
    struct block_log *log = new_log();
    struct block_cursor cursors[CURSORS] = {{0}};
    size_t before, unit;

    (void) state;
    for (unsigned i = 0; i < 300; i++)
        (void) append_frame(log, 1000);
    before = heap_allocated();
    for (unsigned i = 0; i < CURSORS; i++)
        block_log_join(log, &cursors[i]);
    for (unsigned i = 0; i < 1000; i++)
        (void) append_frame(log, 1000);
    assert_in_range(heap_allocated() - before, 1000 * 1000, 1400 * 1000);
    unit = BLOCK_LOG_MAX_SIZE * 5 / 4; /* allocators round up */
    for (unsigned i = 0; i < CURSORS; i++) {
        block_log_advance(&cursors[i], 7);
        block_log_give_up(&cursors[i]);
    }
    assert_in_range(heap_allocated() - before, 0, 2 * unit); /* theirs, and the tail */
    for (unsigned i = 0; i < 10000; i++)
        (void) append_frame(log, 1000);
    assert_in_range(heap_allocated() - before, 0, 2 * unit);
    for (unsigned i = 0; i < CURSORS; i++)
        block_log_leave(&cursors[i]);
    assert_in_range(heap_allocated(), before > unit ? before - unit : 0, before + 1024);
    free_log(log);
}

/* One who reads on, far behind: what it has yet to read stays, though the given up go. */
static void who_reads_on_keeps_what_it_needs_when_others_are_given_up(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor reader = {0}, lost = {0};
    size_t total = 0, before;

    (void) state;
    block_log_join(log, &lost);
    block_log_join(log, &reader);
    for (unsigned i = 0; i < 1000; i++)
        total += append_frame(log, 500);
    block_log_advance(&lost, 3);
    block_log_give_up(&lost);
    block_log_stop(log); /* the log goes, too: then the walkers are all that is left */
    before = heap_allocated();
    while (total > 0) {
        uv_buf_t bufs[3];
        size_t len;
        bool more;

        assert_in_range(block_log_read(&reader, bufs, 3, &len, &more), 1, 3);
        block_log_advance(&reader, len);
        total -= len;
        assert_int_equal(more, total > 0);
    }
    block_log_leave(&reader);
    assert_in_range(before - heap_allocated(), 400 * 1000, 700 * 1000);
    assert_int_equal(left_of(&lost), frame_size(false, 500) - 3);
    block_log_leave(&lost);
    free(log);
}

/* ---- threads ---- */

enum { READERS = 3, STREAM = 4 * 1024 * 1024 };

struct reader {
    pthread_t thread;
    struct block_log *log;
    struct block_cursor cursor;
    unsigned max;
    bool right;
};

/* Reads the stream to its end; asserts belong to the main thread. */
static void *run_reader(void *argument)
{
    struct reader *reader = argument;
    uint64_t place = 0;

    reader->right = true;
    while (place < STREAM) {
        uv_buf_t bufs[16];
        size_t len, sum = 0;
        bool more;
        unsigned count = block_log_read(&reader->cursor, bufs, reader->max, &len, &more);

        for (unsigned i = 0; i < count; i++) {
            for (size_t j = 0; j < bufs[i].len; j++)
                reader->right &= (uint8_t) bufs[i].base[j] == byte_at(place + sum + j);
            sum += bufs[i].len;
        }
        reader->right &= sum == len;
        /* Whoever sees bytes finds the log to be as long, and so its lag to be none or more. */
        reader->right &= block_log_end(reader->log) >= place + len;
        reader->right &= block_log_lag(reader->log, &reader->cursor) <= STREAM;
        block_log_advance(&reader->cursor, len);
        place += len;
        if (len == 0)
            sched_yield();
    }
    block_log_leave(&reader->cursor);
    return NULL;
}

static void readers_on_other_threads_each_see_every_byte_in_order(void **state)
{
    struct block_log *log = new_log();
    struct reader readers[READERS] = {{0}};
    uint64_t end = 0;

    (void) state;
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].log = log;
        readers[i].max = 1 + 3 * i;
        block_log_join(log, &readers[i].cursor);
        assert_int_equal(pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]), 0);
    }
    for (size_t size = 1; end < STREAM; size = size * 5 % 4099 + 1) {
        uint8_t *room;

        if (size > STREAM - end)
            size = (size_t) (STREAM - end);
        room = block_log_reserve(log, size, 0);
        assert_non_null(room);
        for (size_t i = 0; i < size; i++)
            room[i] = byte_at(end + i);
        block_log_commit(log, size);
        end += size;
    }
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_true(readers[i].right);
    }
    free_log(log);
}

/* ---- threads that give up ---- */

struct quitter {
    pthread_t thread;
    struct block_cursor cursor;
    pthread_mutex_t *lock; /* the channel's: for joining */
    struct block_log *log;
    unsigned number;
    bool right;
};

enum { QUITTERS = 3, ROUNDS = 300 };

/* Joins, reads a bit, gives up within a frame or at its end, reads on, and leaves, again and
 * again. */
static void *run_quitter(void *argument)
{
    struct quitter *quitter = argument;
    struct block_cursor *cursor = &quitter->cursor;

    quitter->right = true;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uv_buf_t bufs[4];
        size_t len = 0;
        bool more;

        pthread_mutex_lock(quitter->lock);
        block_log_join(quitter->log, cursor);
        pthread_mutex_unlock(quitter->lock);
        for (unsigned tries = 0; len < 2000 && tries < 50; tries++) {
            (void) block_log_read(cursor, bufs, 4, &len, &more);
            sched_yield();
        }
        block_log_advance(cursor, len * (round % 8) / 7 - (len > 0 && round % 8 == 7 ? 1 : 0));
        block_log_give_up(cursor);
        if (!block_log_is_over(cursor)) {
            (void) block_log_read(cursor, bufs, 1 + quitter->number, &len, &more);
            quitter->right &= len > 0 && !more;
            block_log_advance(cursor, round % 2 == 0 ? len : len / 2);
            quitter->right &= block_log_is_over(cursor) == (round % 2 == 0 || len / 2 == len);
        }
        block_log_leave(cursor);
    }
    return NULL;
}

static void cursors_on_other_threads_may_be_given_up_while_the_log_grows(void **state)
{
    struct block_log *log = new_log();
    struct quitter quitters[QUITTERS] = {{0}};
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    (void) state;
    for (unsigned i = 0; i < QUITTERS; i++) {
        quitters[i] = (struct quitter){.log = log, .lock = &lock, .number = i};
        assert_int_equal(pthread_create(&quitters[i].thread, NULL, run_quitter, &quitters[i]), 0);
    }
    for (unsigned i = 0; i < 20000; i++) {
        pthread_mutex_lock(&lock);
        (void) append_frame(log, i * 37 % 3001);
        pthread_mutex_unlock(&lock);
    }
    for (unsigned i = 0; i < QUITTERS; i++) {
        assert_int_equal(pthread_join(quitters[i].thread, NULL), 0);
        assert_true(quitters[i].right);
    }
    free_log(log);
}

static void a_log_that_is_folded_keeps_next_to_nothing_and_no_byte_is_missed(void **state)
{
    _Atomic uint64_t memory = 0;
    struct block_log log;
    struct block_cursor behind = {0}, ready = {0};
    uint64_t full;

    (void) state;
    block_log_init(&log, BLOCK_LOG_FRAMES);
    block_log_count(&log, &memory);
    assert_int_equal(block_log_start(&log, 0), 0);
    block_log_join(&log, &behind);
    block_log_join(&log, &ready);
    append(&log, 300000);
    (void) read_all(&log, &ready, 4);
    full = memory;
    block_log_fold(&log);
    block_log_settle(&ready);
    block_log_settle(&behind); /* it does not stand at an end: it stays */
    assert_in_range(memory, full, full + 1000);
    append(&log, 10);
    assert_int_equal(read_all(&log, &ready, 4), 10);
    assert_int_equal(read_all(&log, &behind, 4), 300010);
    assert_in_range(memory, 1, 1000);
    block_log_leave(&ready);
    block_log_leave(&behind);
    block_log_stop(&log);
    assert_int_equal(memory, 0);
}

static void a_unit_is_found_behind_a_block_that_it_did_not_fit_into(void **state)
{
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    struct block_unit unit;
    uint8_t *room;

    (void) state;
    block_log_join(log, &cursor);
    append(log, 10000);
    (void) read_all(log, &cursor, 4);
    block_log_fold(log); /* to a block of 256 bytes, which stays empty */
    room = block_log_reserve(log, 1000, 0);
    assert_non_null(room);
    assert_int_equal(frame_size(false, 996), 1000);
    memset(room, 0, 1000);
    memcpy(room, "\x82\x7e\x03\xe4", 4);
    block_log_commit(log, 1000);
    assert_true(block_log_unit(&cursor, &unit));
    assert_int_equal(unit.len, 1000);
    block_log_leave(&cursor);
    free_log(log);
}

/* Appends a unit of 10 bytes that is this publisher's. */
static void append_by(struct block_log *log, uint64_t publisher)
{
    uint8_t *room = block_log_reserve(log, 10, publisher);

    assert_non_null(room);
    memset(room, 0, 10);
    memcpy(room, "\x82\x08", 2);
    block_log_commit(log, 10);
}

static void the_index_says_where_the_next_unit_of_a_publisher_begins(void **state)
{
    static const uint64_t publishers[] = {7, 0, (uint64_t) 1 << 32, 7, 9};
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};

    (void) state;
    block_log_join(log, &cursor);
    for (size_t i = 0; i < sizeof publishers / sizeof *publishers; i++)
        append_by(log, publishers[i]);
    assert_true(block_log_before(&cursor, 0, 7) == 0);
    assert_true(block_log_before(&cursor, 50, 9) == 40);
    assert_true(block_log_before(&cursor, 39, 9) == UINT64_MAX); /* not within what was listed */
    assert_true(block_log_before(&cursor, 50, (uint64_t) 1 << 32) == 20);
    assert_true(block_log_before(&cursor, 50, 1) == UINT64_MAX);
    block_log_advance(&cursor, 5); /* within the first: it is not found again */
    assert_true(block_log_before(&cursor, 45, 7) == 25);
    block_log_leave(&cursor);
    free_log(log);
}

static void the_index_is_read_across_blocks_whose_bytes_it_shares(void **state)
{
    enum { UNITS = 20000 };
    struct block_log *log = new_log();
    struct block_cursor cursor = {0};
    struct block_unit unit;
    uint64_t found;
    size_t seen = 0;

    (void) state;
    block_log_join(log, &cursor);
    for (uint64_t i = 0; i < UNITS; i++)
        append_by(log, i % 10 == 9 ? 2 : 1);
    while ((found = block_log_before(&cursor, (size_t) UNITS * 10, 2)) != UINT64_MAX) {
        assert_true(found == 90);
        block_log_advance(&cursor, 90);
        assert_true(block_log_before(&cursor, 0, 2) == 0);
        assert_true(block_log_unit(&cursor, &unit));
        assert_int_equal(unit.len, 10);
        block_log_advance(&cursor, 10);
        seen++;
    }
    assert_int_equal(seen, UNITS / 10);
    block_log_leave(&cursor);
    free_log(log);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_sees_what_is_committed_after_it_joined),
        cmocka_unit_test(nobody_sees_what_is_only_reserved),
        cmocka_unit_test(an_empty_block_is_not_more_to_read),
        cmocka_unit_test(frames_of_one_turn_are_one_buffer),
        cmocka_unit_test(a_frame_lies_in_one_block_and_every_buffer_ends_with_a_frame),
        cmocka_unit_test(blocks_double_up_to_the_largest),
        cmocka_unit_test(reading_in_few_buffers_at_a_time_says_that_there_is_more),
        cmocka_unit_test(a_cursor_may_advance_by_any_part_of_what_it_has_read),
        cmocka_unit_test(what_is_shown_stays_in_place_while_the_log_grows),
        cmocka_unit_test(without_a_reader_the_log_holds_one_block),
        cmocka_unit_test(a_block_is_freed_when_the_last_who_needs_it_moves_on),
        cmocka_unit_test(who_leaves_lets_go_of_all_that_only_it_needed),
        cmocka_unit_test(a_frame_that_no_block_can_hold_is_refused),
        cmocka_unit_test(readers_on_other_threads_each_see_every_byte_in_order),
        cmocka_unit_test(who_is_given_up_reads_its_frame_to_the_end_and_no_further),
        cmocka_unit_test(who_is_given_up_may_read_its_frame_in_pieces),
        cmocka_unit_test(giving_up_who_stands_nowhere_or_at_the_end_is_harmless),
        cmocka_unit_test(a_frame_is_found_anywhere_in_its_block),
        cmocka_unit_test(who_is_given_up_keeps_one_block_however_much_is_published),
        cmocka_unit_test(who_reads_on_keeps_what_it_needs_when_others_are_given_up),
        cmocka_unit_test(cursors_on_other_threads_may_be_given_up_while_the_log_grows),
        cmocka_unit_test(a_log_that_is_folded_keeps_next_to_nothing_and_no_byte_is_missed),
        cmocka_unit_test(a_unit_is_found_behind_a_block_that_it_did_not_fit_into),
        cmocka_unit_test(the_index_says_where_the_next_unit_of_a_publisher_begins),
        cmocka_unit_test(the_index_is_read_across_blocks_whose_bytes_it_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/websocket/deflate.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/heap.h"

enum { LONGEST = 200000 };

/* Numbers that look random and are the same in each run. */
static size_t next_random(void)
{
    static uint64_t state = 1;

    state = state * 6364136223846793005U + 1442695040888963407U;
    return (size_t) (state >> 33);
}

static struct inflater *fresh_inflater(unsigned bits)
{
    struct inflater *inflater = NULL;

    assert_int_equal(inflater_new(&inflater, bits), 0);
    return inflater;
}

static struct deflater *fresh_deflater(void)
{
    struct deflater *deflater = NULL;

    assert_int_equal(deflater_new(&deflater, 6), 0);
    return deflater;
}

/* Text that is worth compressing, but not by much. */
static void fill(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text[i] = "abcdefgh"[next_random() % 8];
}

/* Inflates in pieces of random length, up to `longest`. */
static int inflate_in_pieces(struct inflater *inflater, const struct frame_part *message,
                             size_t longest, struct buffer *out, uint64_t max)
{
    const uint8_t *at = message->data;
    size_t left = message->len;
    int status = 0;

    while (left > 0 && status == 0) {
        size_t step = 1 + next_random() % (left < longest ? left : longest);

        status = inflater_inflate(inflater, at, step, step == left, out, max);
        at += step;
        left -= step;
    }
    return status;
}

static void what_is_deflated_inflates_to_itself_for_every_window(void **state)
{
    struct deflater *deflater = fresh_deflater();
    char *text = malloc(LONGEST);

    (void) state;
    assert_non_null(text);
    for (unsigned bits = 8; bits <= 15; bits++) {
        struct inflater *inflater = fresh_inflater(bits);

        for (size_t len = 100; len <= LONGEST; len = len * 3 / 2) {
            struct frame_part parts[2], message;
            struct buffer out = {0};

            fill(text, len);
            parts[0] = (struct frame_part){text, len / 3};
            parts[1] = (struct frame_part){text + len / 3, len - len / 3};
            assert_true(deflater_deflate(deflater, bits, parts, 2, &message));
            assert_true(message.len < len);
            assert_int_equal(inflate_in_pieces(inflater, &message, 1000, &out, len), 0);
            assert_int_equal(out.len, len);
            assert_memory_equal(out.data, text, len);
            buffer_deinit(&out);
            inflater_reset(inflater);
        }
        inflater_free(inflater);
    }
    free(text);
    deflater_free(deflater);
}

static void a_receiver_with_the_smallest_window_can_follow(void **state)
{
    /* Equal runs further apart than 2^8 bytes: a reference from one to the other would break a
     * receiver that has kept no more than that. zlib checks the distance against the window for
     * what earlier calls brought, so it is called for each byte. */
    struct deflater *deflater = fresh_deflater();
    struct inflater *inflater = fresh_inflater(8);
    char text[1200];
    struct frame_part part = {text, sizeof text}, message;
    struct buffer out = {0};

    (void) state;
    fill(text, sizeof text);
    memcpy(text + 400, text, 300);
    memcpy(text + 800, text, 300);
    assert_true(deflater_deflate(deflater, 8, &part, 1, &message));
    assert_int_equal(inflate_in_pieces(inflater, &message, 1, &out, sizeof text), 0);
    assert_int_equal(out.len, sizeof text);
    assert_memory_equal(out.data, text, sizeof text);
    buffer_deinit(&out);
    inflater_free(inflater);
    deflater_free(deflater);
}

static void what_would_grow_is_left_as_it_is(void **state)
{
    struct deflater *deflater = fresh_deflater();
    struct frame_part empty = {"", 0}, short_one = {"x", 1}, random, message;
    uint8_t bytes[1000];

    (void) state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t) next_random();
    random = (struct frame_part){bytes, sizeof bytes};
    assert_false(deflater_deflate(deflater, 15, &empty, 1, &message));
    assert_false(deflater_deflate(deflater, 15, &short_one, 1, &message));
    assert_false(deflater_deflate(deflater, 15, &random, 1, &message));
    deflater_free(deflater);
}

/* ---- time ---- */

/* A clock by which each look takes so long. */
static uint64_t time_now, time_of_a_look;

static uint64_t slow_clock(void)
{
    time_now += time_of_a_look;
    return time_now;
}

static void check_inflates(unsigned bits, const struct frame_part *message, const char *text,
                           size_t len)
{
    struct inflater *inflater = fresh_inflater(bits);
    struct buffer out = {0};

    assert_int_equal(inflate_in_pieces(inflater, message, 1000, &out, len), 0);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, text, len);
    buffer_deinit(&out);
    inflater_free(inflater);
}

/* Repetitions that differ a little: zlib looks at very many of them for the longest. */
static void fill_slowly(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text[i] = "ab"[next_random() % 2];
}

static void what_takes_too_long_is_left_as_it_is(void **state)
{
    struct deflater *deflater = fresh_deflater();
    char *text = malloc(LONGEST);
    struct frame_part part = {text, LONGEST}, message;

    (void) state;
    assert_non_null(text);
    fill_slowly(text, LONGEST);
    time_now = 1;
    time_of_a_look = DEFLATER_MOST / 4;
    deflater_set_clock(deflater, slow_clock);
    assert_false(deflater_deflate(deflater, 15, &part, 1, &message));
    assert_int_equal(deflater_work(deflater), 4 * DEFLATER_PIECE);
    /* Each message has an allowance of its own, and one of a piece needs none. */
    part.len = DEFLATER_PIECE;
    assert_true(deflater_deflate(deflater, 15, &part, 1, &message));
    check_inflates(15, &message, text, part.len);
    assert_int_equal(deflater_work(deflater), DEFLATER_PIECE);
    free(text);
    deflater_free(deflater);
}

static void what_takes_long_is_deflated_with_less_effort(void **state)
{
    struct deflater *deflater = fresh_deflater();
    char *text = malloc(LONGEST);
    struct frame_part part = {text, LONGEST}, message;
    size_t at_ease, again, in_a_hurry;

    (void) state;
    assert_non_null(text);
    fill_slowly(text, LONGEST);
    time_now = 1;
    deflater_set_clock(deflater, slow_clock);
    for (unsigned bits = 8; bits <= 15; bits++) {
        time_of_a_look = 0;
        assert_true(deflater_deflate(deflater, bits, &part, 1, &message));
        at_ease = message.len;
        time_of_a_look = DEFLATER_MOST / (LONGEST / DEFLATER_PIECE + 1);
        assert_true(deflater_deflate(deflater, bits, &part, 1, &message));
        in_a_hurry = message.len;
        check_inflates(bits, &message, text, LONGEST);
        assert_in_range(in_a_hurry, at_ease + 1, LONGEST / 2);
        time_of_a_look = 0; /* the next one is deflated as ever */
        assert_true(deflater_deflate(deflater, bits, &part, 1, &message));
        again = message.len;
        assert_int_equal(again, at_ease);
    }
    free(text);
    deflater_free(deflater);
}

static void messages_that_are_published_together_share_their_time(void **state)
{
    enum { MESSAGES = 1000, SIZE = 1000 };
    struct deflater *deflater = fresh_deflater();
    char *text = malloc((size_t) MESSAGES * SIZE);
    struct frame_part messages[MESSAGES];
    size_t done = 0;

    (void) state;
    assert_non_null(text);
    fill_slowly(text, (size_t) MESSAGES * SIZE);
    time_now = 1;
    time_of_a_look = DEFLATER_MOST / 10;
    deflater_set_clock(deflater, slow_clock);
    deflater_start(deflater, (size_t) MESSAGES * SIZE);
    for (size_t i = 0; i < MESSAGES; i++) {
        struct frame_part part = {text + i * SIZE, SIZE};

        if (deflater_add(deflater, 15, &part, 1, &messages[i]))
            done = i + 1;
    }
    assert_in_range(done, 9 * DEFLATER_PIECE / SIZE, 11 * DEFLATER_PIECE / SIZE);
    assert_in_range(deflater_work(deflater), 9 * DEFLATER_PIECE, 11 * DEFLATER_PIECE);
    for (size_t i = 0; i < done; i++) /* all of them are still there */
        check_inflates(15, &messages[i], text + i * SIZE, SIZE);
    free(text);
    deflater_free(deflater);
}

static void what_does_not_shrink_is_given_up_early(void **state)
{
    struct deflater *deflater = fresh_deflater();
    char *bytes = malloc(LONGEST);
    struct frame_part part = {bytes, LONGEST}, message;

    (void) state;
    assert_non_null(bytes);
    for (size_t i = 0; i < LONGEST; i++)
        bytes[i] = (char) next_random();
    assert_false(deflater_deflate(deflater, 15, &part, 1, &message));
    assert_int_equal(deflater_work(deflater), DEFLATER_JUDGED);
    fill(bytes + 1000, LONGEST - 1000);
    assert_true(deflater_deflate(deflater, 15, &part, 1, &message));
    check_inflates(15, &message, bytes, LONGEST);
    assert_int_equal(deflater_work(deflater), LONGEST);
    free(bytes);
    deflater_free(deflater);
}

static void the_room_for_a_large_message_is_given_back(void **state)
{
    enum { LARGE = 4 * 1024 * 1024 };
    struct deflater *deflater = fresh_deflater();
    char *zeros = calloc(1, LARGE);
    struct frame_part small = {zeros, 1000}, large = {zeros, LARGE}, message;
    size_t before;

    (void) state;
    assert_non_null(zeros);
    assert_true(deflater_deflate(deflater, 15, &small, 1, &message));
    before = heap_allocated();
    assert_true(deflater_deflate(deflater, 15, &large, 1, &message));
    assert_true(heap_allocated() >= before + LARGE - 4096);
    assert_true(deflater_deflate(deflater, 15, &small, 1, &message));
    assert_in_range(heap_allocated(), before, before + 4096);
    free(zeros);
    deflater_free(deflater);
}

/* ---- inflating ---- */

/* The examples of RFC 7692, 7.2.3: all of them say "Hello" (or nothing). */
static void the_examples_of_the_rfc_inflate(void **state)
{
    static const struct {
        uint8_t bytes[16];
        size_t len;
        const char *text;
    } cases[] = {
        {{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 7, "Hello"},
        {{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}, 11, "Hello"},
        {{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, 8, "Hello"},
        {{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00},
         13,
         "Hello"},
        {{0x00}, 1, ""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inflater *inflater = fresh_inflater(15);
        struct buffer out = {0};

        assert_int_equal(inflater_inflate(inflater, cases[i].bytes, cases[i].len, true, &out, 100),
                         0);
        assert_int_equal(out.len, strlen(cases[i].text));
        assert_true(out.len == 0 || memcmp(out.data, cases[i].text, out.len) == 0);
        buffer_deinit(&out);
        inflater_free(inflater);
    }
}

static void the_context_is_kept_until_it_is_reset(void **state)
{
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t again[] = {0xf2, 0x00, 0x11, 0x00, 0x00}; /* RFC 7692, 7.2.3.2 */
    struct inflater *inflater = fresh_inflater(15);
    struct buffer out = {0};

    (void) state;
    assert_int_equal(inflater_inflate(inflater, hello, sizeof hello, true, &out, 100), 0);
    assert_int_equal(inflater_inflate(inflater, again, sizeof again, true, &out, 100), 0);
    assert_memory_equal(out.data, "HelloHello", 10);
    inflater_reset(inflater);
    assert_int_equal(inflater_inflate(inflater, again, sizeof again, true, &out, 100), UV_EILSEQ);
    buffer_deinit(&out);
    inflater_free(inflater);
}

static void a_stream_that_is_broken_or_cut_off_is_refused(void **state)
{
    struct deflater *deflater = fresh_deflater();
    char text[5000];
    struct frame_part part = {text, sizeof text}, message;
    static const uint8_t garbage[] = {0xff, 0xff, 0xff};
    struct inflater *inflater = fresh_inflater(15);
    struct buffer out = {0};

    (void) state;
    assert_int_equal(inflater_inflate(inflater, garbage, sizeof garbage, true, &out, 100),
                     UV_EILSEQ);
    inflater_free(inflater);
    inflater = fresh_inflater(15);
    assert_int_equal(inflater_inflate(inflater, garbage, 0, true, &out, 100), UV_EILSEQ);
    inflater_free(inflater);
    fill(text, sizeof text);
    assert_true(deflater_deflate(deflater, 15, &part, 1, &message));
    for (size_t len = 1; len < message.len; len += 7) {
        inflater = fresh_inflater(15);
        assert_int_not_equal(
            inflater_inflate(inflater, message.data, len, true, &out, sizeof text * 2), 0);
        inflater_free(inflater);
        out.len = 0;
    }
    buffer_deinit(&out);
    deflater_free(deflater);
}

static void no_more_comes_out_than_is_allowed(void **state)
{
    struct deflater *deflater = fresh_deflater();
    char *zeros = calloc(1, LONGEST);
    struct frame_part part = {zeros, LONGEST}, message;

    (void) state;
    assert_non_null(zeros);
    assert_true(deflater_deflate(deflater, 15, &part, 1, &message));
    for (uint64_t max = 0; max <= LONGEST + 1; max = max * 2 + 999) {
        struct inflater *inflater = fresh_inflater(15);
        struct buffer out = {0};
        int status = inflater_inflate(inflater, message.data, message.len, true, &out, max);

        assert_int_equal(status, max < LONGEST ? UV_E2BIG : 0);
        assert_true(out.len <= max + 1);
        buffer_deinit(&out);
        inflater_free(inflater);
    }
    free(zeros);
    deflater_free(deflater);
}

static void final_blocks_without_end_are_refused(void **state)
{
    static const uint8_t final[] = {0x03, 0x00}; /* an empty block, marked as the last */
    struct inflater *inflater = fresh_inflater(15);
    struct buffer out = {0};
    int status = 0;
    int blocks = 0;

    (void) state;
    while (status == 0 && blocks++ < 1000)
        status = inflater_inflate(inflater, final, sizeof final, false, &out, 100);
    assert_int_equal(status, UV_EILSEQ);
    assert_true(blocks > 16);
    buffer_deinit(&out);
    inflater_free(inflater);
}

static void freeing_nothing_is_harmless(void **state)
{
    (void) state;
    deflater_free(NULL);
    inflater_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_deflated_inflates_to_itself_for_every_window),
        cmocka_unit_test(a_receiver_with_the_smallest_window_can_follow),
        cmocka_unit_test(what_would_grow_is_left_as_it_is),
        cmocka_unit_test(what_takes_too_long_is_left_as_it_is),
        cmocka_unit_test(what_takes_long_is_deflated_with_less_effort),
        cmocka_unit_test(messages_that_are_published_together_share_their_time),
        cmocka_unit_test(what_does_not_shrink_is_given_up_early),
        cmocka_unit_test(the_room_for_a_large_message_is_given_back),
        cmocka_unit_test(the_examples_of_the_rfc_inflate),
        cmocka_unit_test(the_context_is_kept_until_it_is_reset),
        cmocka_unit_test(a_stream_that_is_broken_or_cut_off_is_refused),
        cmocka_unit_test(no_more_comes_out_than_is_allowed),
        cmocka_unit_test(final_blocks_without_end_are_refused),
        cmocka_unit_test(freeing_nothing_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

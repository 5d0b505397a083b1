#include "common/websocket/decoder.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/heap.h"

#include "common/base/buffer.h"

/* ---- bytes in, as peers would send them ---- */

enum { FIN = 0x80, MASK = 0x80 };

/* Appends one frame, whose first byte is given; masked for a server, with a key that is no zero. */
static void put_frame(struct buffer *out, enum decoder_role to, unsigned first, const void *payload,
                      size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned mask = to == DECODER_SERVER ? MASK : 0;
    uint8_t header[10] = {(uint8_t) first};
    size_t header_len = len < 126 ? 2 : len <= UINT16_MAX ? 4 : 10;

    header[1] = (uint8_t) (mask | (len < 126 ? len : len <= UINT16_MAX ? 126 : 127));
    for (size_t i = 2; i < header_len; i++)
        header[i] = (uint8_t) (len >> 8 * (header_len - 1 - i));
    assert_int_equal(buffer_append(out, header, header_len), 0);
    if (to == DECODER_SERVER)
        assert_int_equal(buffer_append(out, key, sizeof key), 0);
    assert_int_equal(buffer_append(out, payload, len), 0);
    for (size_t i = 0; to == DECODER_SERVER && i < len; i++)
        out->data[out->len - len + i] ^= key[i % 4];
}

/* A small generator, so that every run sees the same bytes. */
static uint32_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 1664525 + 1013904223;
    return (uint32_t) (((uint64_t) random_state * bound) >> 32);
}

/* ---- events out, as a transcript ---- */

/* Adds what an event says; two equal transcripts mean equal events. */
static void note(struct buffer *transcript, enum decoder_event_type type, enum frame_opcode opcode,
                 uint16_t code, const void *data, size_t len)
{
    static const char *const names[] = {
        [DECODER_MORE] = "more",   [DECODER_MESSAGE] = "message", [DECODER_PING] = "ping",
        [DECODER_PONG] = "pong",   [DECODER_CLOSE] = "close",     [DECODER_FAULT] = "fault",
        [DECODER_YIELD] = "yield",
    };

    assert_int_equal(buffer_printf(transcript, "<%s %d %u %zu:", names[type],
                                   type == DECODER_MESSAGE ? (int) opcode : 0, code, len),
                     0);
    assert_int_equal(buffer_append(transcript, data, len), 0);
    assert_int_equal(buffer_append(transcript, ">", 1), 0);
}

static bool suspends; /* the input is suspended after each event, and its memory gone at once */

/* Feeds one piece, from memory that is gone afterwards, and notes what comes of it. False when the
 * decoder is spent. */
static bool feed_piece(struct decoder *decoder, struct decoder_pool *pool, const uint8_t *data,
                       size_t len, struct buffer *transcript)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    struct decoder_event event;
    bool spent = false;

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, data, len);
    assert_int_equal(decoder_feed(decoder, pool, copy, len), 0);
    for (;;) {
        memset(&event, 0xff, sizeof event);
        decoder_next(decoder, &event);
        if (event.type == DECODER_MORE)
            break;
        if (event.type == DECODER_YIELD)
            continue;
        spent = event.type == DECODER_CLOSE || event.type == DECODER_FAULT;
        if (event.type == DECODER_FAULT) {
            assert_non_null(event.why);
            assert_in_range(strlen(event.why), 1, FRAME_MAX_REASON);
        }
        note(transcript, event.type, event.opcode, spent ? event.code : 0, event.data,
             event.type == DECODER_FAULT ? 0 : event.len);
        if (spent)
            break;
        if (suspends) {
            assert_int_equal(decoder_suspend(decoder), 0);
            assert_true(decoder_is_suspended(decoder));
            free(copy);
            copy = NULL;
        }
    }
    assert_true(spent || !decoder_is_suspended(decoder));
    free(copy);
    return !spent;
}

enum { WHOLE = 0, RANDOM = -1 };

/* The transcript of a connection that brings `input`: whole, in pieces of `step` bytes, or in
 * random ones. Whatever happens, nothing may stay lent. */
static struct buffer transcribe(enum decoder_role role, uint64_t max, const uint8_t *input,
                                size_t len, int step)
{
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};
    struct buffer transcript = {0};
    size_t at = 0;

    assert_int_equal(decoder_pool_new(&pool, role, max), 0);
    while (at < len) {
        size_t piece = step == WHOLE ? len : step == RANDOM ? random_below(40) : (size_t) step;

        if (step == RANDOM && random_below(8) == 0)
            piece = random_below(9000);
        if (piece > len - at)
            piece = len - at;
        if (!feed_piece(&decoder, pool, input + at, piece, &transcript))
            break;
        at += piece;
    }
    decoder_deinit(&decoder);
    decoder_deinit(&decoder); /* twice is harmless */
    assert_int_equal(decoder_pool_lent(pool), 0);
    decoder_pool_free(pool);
    return transcript;
}

/* What is being checked, for the message of a failure. */
static const char *subject = "";

/* Checks that `input` says what is expected, however it is cut. */
static void check(enum decoder_role role, uint64_t max, const struct buffer *input,
                  const struct buffer *expected)
{
    static const int steps[] = {WHOLE, 1, 2, 3, RANDOM, RANDOM, RANDOM, 4096};

    for (size_t i = 0; i < 2 * sizeof steps / sizeof *steps; i++) {
        int step = steps[i / 2];
        struct buffer got;

        suspends = i % 2 != 0;
        got = transcribe(role, max, input->data, input->len, step);
        suspends = false;

        if (got.len != expected->len ||
            (got.len > 0 && memcmp(got.data, expected->data, got.len) != 0))
            fail_msg("%s, fed by %d: %.*s\ninstead of: %.*s", subject, step,
                     got.len < 400 ? (int) got.len : 400, (char *) got.data,
                     expected->len < 400 ? (int) expected->len : 400, (char *) expected->data);
        buffer_deinit(&got);
    }
}

/* The same with an expected end: what was noted before it, and a fault with this code. Takes (and
 * frees) both buffers. */
static void check_fault(enum decoder_role role, uint64_t max, struct buffer *input,
                        struct buffer *before, uint16_t code)
{
    note(before, DECODER_FAULT, 0, code, NULL, 0);
    check(role, max, input, before);
    buffer_deinit(input);
    buffer_deinit(before);
}

/* ---- messages ---- */

/* The samples of RFC 6455, 5.7 */
static void the_samples_of_the_rfc_are_understood(void **state)
{
    static const uint8_t unmasked[] = "\x81\x05Hello\x01\x03Hel\x80\x02lo\x89\x05Hello";
    static const uint8_t masked[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
                                    "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    struct buffer input = {0}, expected = {0};

    (void) state;
    assert_int_equal(buffer_append(&input, unmasked, sizeof unmasked - 1), 0);
    note(&expected, DECODER_MESSAGE, FRAME_TEXT, 0, "Hello", 5);
    note(&expected, DECODER_MESSAGE, FRAME_TEXT, 0, "Hello", 5);
    note(&expected, DECODER_PING, 0, 0, "Hello", 5);
    check(DECODER_CLIENT, 0, &input, &expected);
    input.len = expected.len = 0;
    assert_int_equal(buffer_append(&input, masked, sizeof masked - 1), 0);
    note(&expected, DECODER_MESSAGE, FRAME_TEXT, 0, "Hello", 5);
    note(&expected, DECODER_PONG, 0, 0, "Hello", 5);
    check(DECODER_SERVER, 0, &input, &expected);
    buffer_deinit(&input);
    buffer_deinit(&expected);
}

static void messages_of_all_sizes_are_whole(void **state)
{
    static const size_t sizes[] = {0,    1,    2,    125,  126,   127,   4085,  4090,  4092,
                                   4096, 4097, 8192, 9000, 65535, 65536, 65537, 300000};
    uint8_t *payload = malloc(300000);

    (void) state;
    assert_non_null(payload);
    for (size_t i = 0; i < 300000; i++)
        payload[i] = (uint8_t) ('a' + i % 23);
    for (enum decoder_role role = DECODER_SERVER; role <= DECODER_CLIENT; role++) {
        struct buffer input = {0}, expected = {0};

        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            put_frame(&input, role, FIN | FRAME_TEXT, payload, sizes[i]);
            put_frame(&input, role, FIN | FRAME_BINARY, payload, sizes[i]);
            note(&expected, DECODER_MESSAGE, FRAME_TEXT, 0, payload, sizes[i]);
            note(&expected, DECODER_MESSAGE, FRAME_BINARY, 0, payload, sizes[i]);
        }
        check(role, 300000, &input, &expected);
        buffer_deinit(&input);
        buffer_deinit(&expected);
    }
    free(payload);
}

/* Appends a control frame that does not close, and what it says. */
static void put_control(struct buffer *input, struct buffer *expected, enum decoder_role role)
{
    uint8_t payload[FRAME_MAX_CONTROL];
    size_t len = random_below(4) == 0 ? FRAME_MAX_CONTROL : random_below(FRAME_MAX_CONTROL);
    bool ping = random_below(2) == 0;

    for (size_t i = 0; i < len; i++)
        payload[i] = (uint8_t) random_below(256);
    put_frame(input, role, FIN | (ping ? FRAME_PING : FRAME_PONG), payload, len);
    note(expected, ping ? DECODER_PING : DECODER_PONG, 0, 0, payload, len);
}

/* Appends a message in any number of fragments, with control frames between them. */
static void put_message(struct buffer *input, struct buffer *expected, enum decoder_role role)
{
    static uint8_t payload[20000];
    bool text = random_below(2) == 0;
    size_t len = random_below(random_below(10) == 0 ? sizeof payload : 300);
    size_t at = 0, piece;
    unsigned opcode = text ? FRAME_TEXT : FRAME_BINARY;

    for (size_t i = 0; i < len; i++)
        payload[i] = (uint8_t) random_below(text ? 128 : 256);
    do {
        piece = random_below(3) == 0 ? len - at : random_below((uint32_t) (len - at) + 1);
        put_frame(input, role, opcode, payload + at, piece);
        opcode = FRAME_CONTINUATION;
        at += piece;
        while (random_below(3) == 0)
            put_control(input, expected, role);
    } while (random_below(2) == 0);
    put_frame(input, role, FIN | FRAME_CONTINUATION, payload + at, len - at);
    note(expected, DECODER_MESSAGE, text ? FRAME_TEXT : FRAME_BINARY, 0, payload, len);
}

static void fragments_may_have_control_frames_between_them(void **state)
{
    (void) state;
    random_state = 20240601;
    for (enum decoder_role role = DECODER_SERVER; role <= DECODER_CLIENT; role++) {
        struct buffer input = {0}, expected = {0};

        for (unsigned i = 0; i < 200; i++) {
            put_message(&input, &expected, role);
            if (random_below(3) == 0)
                put_control(&input, &expected, role);
        }
        put_frame(&input, role, FIN | FRAME_CLOSE, "\x03\xe8", 2);
        note(&expected, DECODER_CLOSE, 0, 1000, "", 0);
        check(role, 0, &input, &expected);
        buffer_deinit(&input);
        buffer_deinit(&expected);
    }
}

static void empty_fragments_make_an_empty_message(void **state)
{
    struct buffer input = {0}, expected = {0};

    (void) state;
    put_frame(&input, DECODER_SERVER, FRAME_TEXT, "", 0);
    put_frame(&input, DECODER_SERVER, FRAME_CONTINUATION, "", 0);
    put_frame(&input, DECODER_SERVER, FIN | FRAME_PING, "", 0);
    put_frame(&input, DECODER_SERVER, FIN | FRAME_CONTINUATION, "", 0);
    put_frame(&input, DECODER_SERVER, FIN | FRAME_BINARY, "", 0);
    note(&expected, DECODER_PING, 0, 0, "", 0);
    note(&expected, DECODER_MESSAGE, FRAME_TEXT, 0, "", 0);
    note(&expected, DECODER_MESSAGE, FRAME_BINARY, 0, "", 0);
    check(DECODER_SERVER, 1, &input, &expected);
    buffer_deinit(&input);
    buffer_deinit(&expected);
}

/* ---- the rules of frames: RFC 6455, 5.1 to 5.5 ---- */

/* Headers are for a server (their mask bit is set): the last byte is the one that is one too many.
 * A fault may not wait for the next. */
struct offence {
    const char *what;
    const char *bytes;
    size_t len;
    uint16_t code;
};

#define BYTES(text) (text), sizeof(text) - 1
#define KEY "\0\0\0\0" /* leaves a payload as it is */

/* Feeds the bytes to a server that has had a good message, or the beginning of one, before. */
static void check_offence(const struct offence *offence, bool within_message, uint64_t max)
{
    struct buffer input = {0}, before = {0};

    if (within_message) {
        put_frame(&input, DECODER_SERVER, FRAME_TEXT, "begun", 5);
        put_frame(&input, DECODER_SERVER, FIN | FRAME_PING, "!", 1);
        note(&before, DECODER_PING, 0, 0, "!", 1);
    } else {
        put_frame(&input, DECODER_SERVER, FIN | FRAME_TEXT, "good", 4);
        note(&before, DECODER_MESSAGE, FRAME_TEXT, 0, "good", 4);
    }
    assert_int_equal(buffer_append(&input, offence->bytes, offence->len), 0);
    subject = offence->what;
    check_fault(DECODER_SERVER, max, &input, &before, offence->code);
    subject = "";
}

static void a_bad_header_is_a_fault_before_anything_follows(void **state)
{
    static const struct offence offences[] = {
        {"reserved bit 1", BYTES("\xc1\x80"), 1002},
        {"reserved bit 2", BYTES("\xa1\x80"), 1002},
        {"reserved bit 3", BYTES("\x91\x80"), 1002},
        {"reserved bit of a control frame", BYTES("\xc9\x80"), 1002},
        {"unmasked", BYTES("\x81\x00"), 1002},
        {"unmasked control frame", BYTES("\x89\x00"), 1002},
        {"continuation of nothing", BYTES("\x80\x80"), 1002},
        {"fragment of nothing", BYTES("\x00\x80"), 1002},
        {"fragmented ping", BYTES("\x09\x80"), 1002},
        {"fragmented pong", BYTES("\x0a\x80"), 1002},
        {"fragmented Close", BYTES("\x08\x80"), 1002},
        {"ping of 126 bytes", BYTES("\x89\xfe"), 1002},
        {"pong of 126 bytes", BYTES("\x8a\xfe"), 1002},
        {"Close of 126 bytes", BYTES("\x88\xfe"), 1002},
        {"ping with a length of 8 bytes", BYTES("\x89\xff"), 1002},
        {"125 in 2 bytes", BYTES("\x82\xfe\x00\x7d"), 1002},
        {"0 in 2 bytes", BYTES("\x82\xfe\x00\x00"), 1002},
        {"0 in 8 bytes", BYTES("\x82\xff\0\0\0\0\0\0\0\0"), 1002},
        {"125 in 8 bytes", BYTES("\x82\xff\0\0\0\0\0\0\0\x7d"), 1002},
        {"65535 in 8 bytes", BYTES("\x82\xff\0\0\0\0\0\0\xff\xff"), 1002},
        {"2^63", BYTES("\x82\xff\x80\0\0\0\0\0\0\0"), 1002},
        {"2^64 - 1", BYTES("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1002},
    };

    (void) state;
    for (size_t i = 0; i < sizeof offences / sizeof *offences; i++) {
        check_offence(&offences[i], false, 0);
    }
}

static void within_a_message_only_its_continuation_may_follow(void **state)
{
    static const struct offence offences[] = {
        {"text", BYTES("\x81\x80"), 1002},
        {"binary", BYTES("\x82\x80"), 1002},
        {"fragment of text", BYTES("\x01\x80"), 1002},
        {"reserved bit 1 of a continuation", BYTES("\xc0\x80"), 1002},
        {"reserved bit 3 of a fragment", BYTES("\x10\x80"), 1002},
        {"unmasked continuation", BYTES("\x80\x00"), 1002},
        {"fragmented ping", BYTES("\x09\x80"), 1002},
        {"continuation of 125 bytes in 2", BYTES("\x80\xfe\x00\x7d"), 1002},
    };

    (void) state;
    for (size_t i = 0; i < sizeof offences / sizeof *offences; i++) {
        check_offence(&offences[i], true, 0);
    }
}

static void every_opcode_and_reserved_bit_that_is_not_defined_is_a_fault(void **state)
{
    (void) state;
    for (enum decoder_role role = DECODER_SERVER; role <= DECODER_CLIENT; role++) {
        for (unsigned first = FIN; first <= 0xff; first++) {
            unsigned opcode = first & 0x0f;
            bool good = (first & 0x70) == 0 && (opcode == FRAME_TEXT || opcode == FRAME_BINARY ||
                                                (opcode >= FRAME_CLOSE && opcode <= FRAME_PONG));
            struct buffer input = {0}, got;

            put_frame(&input, role, first, "", 0);
            got = transcribe(role, 0, input.data, input.len, WHOLE);
            if ((memcmp(got.data, "<fault 0 1002", 13) != 0) != good)
                fail_msg("%02x: %.*s", first, (int) got.len, (char *) got.data);
            buffer_deinit(&got);
            got = transcribe(role, 0, input.data, 2, 1); /* the two bytes that tell */
            if ((got.len > 0 && memcmp(got.data, "<fault 0 1002", 13) == 0) == good)
                fail_msg("%02x, alone: %.*s", first, (int) got.len, (char *) got.data);
            buffer_deinit(&got);
            buffer_deinit(&input);
        }
    }
}

/* RFC 6455, 5.1: a client must not accept masked frames, nor a server unmasked ones. */
static void a_frame_in_the_wrong_direction_is_a_fault(void **state)
{
    (void) state;
    for (enum decoder_role role = DECODER_SERVER; role <= DECODER_CLIENT; role++) {
        enum decoder_role other = role == DECODER_SERVER ? DECODER_CLIENT : DECODER_SERVER;
        struct buffer input = {0}, before = {0};

        put_frame(&input, role, FIN | FRAME_TEXT, "right", 5);
        note(&before, DECODER_MESSAGE, FRAME_TEXT, 0, "right", 5);
        put_frame(&input, other, FIN | FRAME_TEXT, "wrong", 5);
        check_fault(role, 0, &input, &before, 1002);
    }
}

/* What a server sends lies whole in what came, so that it could be lent without wslay. */
static void a_bad_frame_is_a_fault_for_a_client_that_has_all_of_it(void **state)
{
    static const struct offence offences[] = {
        {"reserved bit 1", BYTES("\xc1\x05"), 1002},
        {"reserved bit 3", BYTES("\x92\x05"), 1002},
        {"reserved opcode", BYTES("\x83\x05"), 1002},
        {"continuation of nothing", BYTES("\x80\x05"), 1002},
        {"masked", BYTES("\x81\x85" KEY), 1002},
        {"masked, 126 bytes", BYTES("\x82\xfe\x00\x7e" KEY), 1002},
        {"0 in 2 bytes", BYTES("\x82\x7e\x00\x00"), 1002},
        {"125 in 2 bytes", BYTES("\x81\x7e\x00\x7d"), 1002},
        {"125 in 8 bytes", BYTES("\x82\x7f\0\0\0\0\0\0\0\x7d"), 1002},
        {"200 in 8 bytes", BYTES("\x82\x7f\0\0\0\0\0\0\0\xc8"), 1002},
        {"2^63", BYTES("\x82\x7f\x80\0\0\0\0\0\0\0"), 1002},
        {"201 bytes", BYTES("\x82\x7e\x00\xc9"), 1009},
        {"not UTF-8", BYTES("\x81\x05\xff"), 1007},
    };
    uint8_t payload[300];

    (void) state;
    memset(payload, 'x', sizeof payload);
    for (size_t i = 0; i < sizeof offences / sizeof *offences; i++) {
        struct buffer input = {0}, before = {0};

        put_frame(&input, DECODER_CLIENT, FIN | FRAME_TEXT, payload, 200);
        note(&before, DECODER_MESSAGE, FRAME_TEXT, 0, payload, 200);
        assert_int_equal(buffer_append(&input, offences[i].bytes, offences[i].len), 0);
        assert_int_equal(buffer_append(&input, payload, sizeof payload), 0);
        subject = offences[i].what;
        check_fault(DECODER_CLIENT, 200, &input, &before, offences[i].code);
    }
    subject = "";
}

static void a_whole_frame_does_not_cut_into_a_message(void **state)
{
    struct buffer input = {0}, before = {0};

    (void) state;
    put_frame(&input, DECODER_CLIENT, FRAME_TEXT, "begun", 5);
    put_frame(&input, DECODER_CLIENT, FIN | FRAME_PING, "!", 1); /* after which it is looked for */
    note(&before, DECODER_PING, 0, 0, "!", 1);
    put_frame(&input, DECODER_CLIENT, FIN | FRAME_TEXT, "whole", 5);
    check_fault(DECODER_CLIENT, 0, &input, &before, 1002);
}

/* ---- sizes ---- */

static void a_message_that_is_too_big_is_a_fault_on_its_header_alone(void **state)
{
    static const struct offence offences[] = {
        {"101 bytes", BYTES("\x82\xe5"), 1009},
        {"126 bytes", BYTES("\x82\xfe\x00\x7e"), 1009},
        {"65535 bytes of text", BYTES("\x81\xfe\xff\xff"), 1009},
        {"65536 bytes", BYTES("\x82\xff\0\0\0\0\0\1\0\0"), 1009},
        {"2^63 - 1 bytes", BYTES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), 1009},
        {"a fragment of 101 bytes", BYTES("\x02\xe5"), 1009},
    };
    static const struct offence within[] = {
        {"96 bytes after 5", BYTES("\x80\xe0"), 1009},
        {"a fragment of 96 bytes after 5", BYTES("\x00\xe0"), 1009},
        {"2^63 - 1 bytes after 5", BYTES("\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), 1009},
    };

    (void) state;
    for (size_t i = 0; i < sizeof offences / sizeof *offences; i++) {
        check_offence(&offences[i], false, 100);
    }
    for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
        check_offence(&within[i], true, 100);
    }
}

static void a_message_may_be_as_big_as_the_limit_and_control_frames_do_not_count(void **state)
{
    uint8_t payload[120];
    struct buffer input = {0}, expected = {0};

    (void) state;
    memset(payload, 'x', sizeof payload);
    put_frame(&input, DECODER_CLIENT, FIN | FRAME_TEXT, payload, 100);
    note(&expected, DECODER_MESSAGE, FRAME_TEXT, 0, payload, 100);
    put_frame(&input, DECODER_CLIENT, FRAME_BINARY, payload, 60);
    put_frame(&input, DECODER_CLIENT, FIN | FRAME_PING, payload, 120);
    note(&expected, DECODER_PING, 0, 0, payload, 120);
    put_frame(&input, DECODER_CLIENT, FRAME_CONTINUATION, payload, 40);
    put_frame(&input, DECODER_CLIENT, FIN | FRAME_CONTINUATION, payload, 0);
    note(&expected, DECODER_MESSAGE, FRAME_BINARY, 0, payload, 100);
    put_frame(&input, DECODER_CLIENT, FIN | FRAME_BINARY, payload, 100);
    note(&expected, DECODER_MESSAGE, FRAME_BINARY, 0, payload, 100);
    check(DECODER_CLIENT, 100, &input, &expected);
    buffer_deinit(&input);
    buffer_deinit(&expected);
}

static void fragments_are_added_up_to_the_limit(void **state)
{
    uint8_t payload[60] = {0};

    (void) state;
    for (enum decoder_role role = DECODER_SERVER; role <= DECODER_CLIENT; role++) {
        struct buffer input = {0}, before = {0};

        put_frame(&input, role, FRAME_BINARY, payload, 60);
        put_frame(&input, role, FRAME_CONTINUATION, payload, 40);
        put_frame(&input, role, FIN | FRAME_PING, payload, 60);
        note(&before, DECODER_PING, 0, 0, payload, 60);
        put_frame(&input, role, FRAME_CONTINUATION, payload, 0);
        put_frame(&input, role, FRAME_CONTINUATION, payload, 1);
        check_fault(role, 100, &input, &before, 1009);
    }
}

static void memory_is_not_taken_on_the_word_of_a_header(void **state)
{
    static const uint8_t input[] = "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff!some bytes";
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};
    struct buffer transcript = {0};
    size_t before = heap_allocated();

    (void) state;
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    assert_true(feed_piece(&decoder, pool, input, sizeof input - 1, &transcript));
    assert_int_equal(transcript.len, 0);
    assert_in_range(heap_allocated() - before, 1, 16 * 1024);
    decoder_deinit(&decoder);
    decoder_pool_free(pool);
    buffer_deinit(&transcript);
}

/* What a message of so many fragments, the last few of them empty, earns from a pool with limits:
 * the one that it breaks, or none. */
static void check_fragments(unsigned full, unsigned empty, uint64_t max_frames, uint64_t max_empty,
                            const char *limit)
{
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};
    struct decoder_event event;
    struct buffer input = {0};

    for (unsigned i = 0; i < full + empty; i++)
        put_frame(&input, DECODER_CLIENT,
                  (i == 0 ? FRAME_TEXT : FRAME_CONTINUATION) | (i + 1 == full + empty ? FIN : 0U),
                  "x", i < full ? 1 : 0);
    put_frame(&input, DECODER_CLIENT, FIN | FRAME_BINARY, "", 0); /* of one piece: always good */
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    decoder_pool_limit_fragments(pool, max_frames, max_empty);
    assert_int_equal(decoder_feed(&decoder, pool, input.data, input.len), 0);
    decoder_next(&decoder, &event);
    if (limit != NULL) {
        assert_int_equal(event.type, DECODER_FAULT);
        assert_int_equal(event.code, 1008);
        assert_string_equal(event.limit, limit);
    } else {
        assert_int_equal(event.type, DECODER_MESSAGE);
        assert_int_equal(event.len, full);
        decoder_next(&decoder, &event);
        assert_int_equal(event.type, DECODER_MESSAGE);
        decoder_next(&decoder, &event);
        assert_int_equal(event.type, DECODER_MORE);
    }
    decoder_deinit(&decoder);
    decoder_pool_free(pool);
    buffer_deinit(&input);
}

static void a_message_may_have_so_many_fragments_and_so_many_empty_ones(void **state)
{
    (void) state;
    check_fragments(5, 0, 5, 1, NULL);
    check_fragments(6, 0, 5, 1, "max-fragments");
    check_fragments(3, 2, 5, 2, NULL);
    check_fragments(3, 3, 5, 3, "max-fragments");
    check_fragments(1, 3, 0, 2, "max-empty-fragments");
    check_fragments(1000, 1000, 0, 0, NULL);
    check_fragments(1000, 2, 0, 2, NULL);
}

static void a_message_that_is_too_big_names_its_limit_and_a_broken_one_none(void **state)
{
    static const uint8_t big[] = {0x82, 11}, broken[] = {0x83, 0};
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};
    struct decoder_event event;

    (void) state;
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 10), 0);
    assert_int_equal(decoder_feed(&decoder, pool, big, sizeof big), 0);
    decoder_next(&decoder, &event);
    assert_string_equal(event.limit, "max-message");
    decoder_deinit(&decoder);
    assert_int_equal(decoder_feed(&decoder, pool, broken, sizeof broken), 0);
    decoder_next(&decoder, &event);
    assert_null(event.limit);
    decoder_deinit(&decoder);
    decoder_pool_free(pool);
}

/* ---- text: RFC 6455, 5.6 and 8.1 ---- */

static const char polyglot[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbfz";

static void text_may_be_cut_within_a_character_by_fragments_and_by_reads(void **state)
{
    size_t len = sizeof polyglot - 1;

    (void) state;
    for (size_t first = 0; first <= len; first++) {
        for (size_t second = first; second <= len; second++) {
            struct buffer input = {0}, expected = {0};

            put_frame(&input, DECODER_SERVER, FRAME_TEXT, polyglot, first);
            put_frame(&input, DECODER_SERVER, FIN | FRAME_PING, "\xff", 1); /* no text */
            put_frame(&input, DECODER_SERVER, FRAME_CONTINUATION, polyglot + first, second - first);
            put_frame(&input, DECODER_SERVER, FIN | FRAME_CONTINUATION, polyglot + second,
                      len - second);
            note(&expected, DECODER_PING, 0, 0, "\xff", 1);
            note(&expected, DECODER_MESSAGE, FRAME_TEXT, 0, polyglot, len);
            check(DECODER_SERVER, 0, &input, &expected);
            buffer_deinit(&input);
            buffer_deinit(&expected);
        }
    }
}

static void text_that_is_not_utf8_is_a_fault_and_binary_may_be_anything(void **state)
{
    static const char *const bad[] = {
        "\x80",          "\xff",
        "a\xc0\xaf",     "\xe0\x80\xaf",
        "\xed\xa0\x80",  "\xf4\x90\x80\x80",
        "\xc3(",         "ok \xe2\x82(",
        "\xf0\x9f\x98!", "aaaaaaaaaaaaaaaaaaaaaaa\xfe!aaaaaaaaaaaaa",
        "\xc3",          "\xe2\x82",
        "\xf0\x9f\x98", /* ends within a character */
    };

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t len = strlen(bad[i]);

        for (size_t cut = 0; cut <= len; cut++) {
            struct buffer input = {0}, before = {0};

            put_frame(&input, DECODER_SERVER, FIN | FRAME_BINARY, bad[i], len);
            note(&before, DECODER_MESSAGE, FRAME_BINARY, 0, bad[i], len);
            if (cut > 0)
                put_frame(&input, DECODER_SERVER, FRAME_TEXT, bad[i], cut);
            put_frame(&input, DECODER_SERVER, FIN | (cut > 0 ? FRAME_CONTINUATION : FRAME_TEXT),
                      bad[i] + cut, len - cut);
            check_fault(DECODER_SERVER, 0, &input, &before, 1007);
        }
    }
}

/* The frame goes on for long, but its sender has said enough. */
static void invalid_text_is_a_fault_at_its_first_bad_byte(void **state)
{
    static const char *const bad[] = {"\x80",     "\xff",     "\xc0",         "\xe0\x80",
                                      "\xed\xa0", "\xf4\x90", "\xe2\x82\x20", "\xf0\x9f\x98\xc0"};

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (unsigned fragmented = 0; fragmented < 2; fragmented++) {
            struct buffer input = {0}, before = {0};

            if (fragmented != 0)
                put_frame(&input, DECODER_CLIENT, FRAME_TEXT, "caf\xc3", 4);
            assert_int_equal(buffer_append(&input,
                                           fragmented != 0 ? "\x80\x7d\xa9!" : "\x81\x7d\xc3\xa9!",
                                           fragmented != 0 ? 4 : 5),
                             0);
            assert_int_equal(buffer_append(&input, bad[i], strlen(bad[i])), 0);
            check_fault(DECODER_CLIENT, 0, &input, &before, 1007);
        }
    }
}

/* ---- Close: RFC 6455, 5.5.1, 7.1.6 and 7.4 ---- */

static bool may_be_received(unsigned code)
{
    static const struct {
        unsigned first, last;
    } good[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (code >= good[i].first && code <= good[i].last)
            return true;
    }
    return false;
}

static void every_close_code_is_judged(void **state)
{
    (void) state;
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        if (decoder_close_code_valid((uint16_t) code) != may_be_received(code))
            fail_msg("wrong about %u", code);
    }
    for (unsigned code = 0; code <= 5000; code++) {
        uint8_t body[2] = {(uint8_t) (code >> 8), (uint8_t) code};
        struct buffer input = {0}, expected = {0}, got;

        put_frame(&input, DECODER_CLIENT, FIN | FRAME_CLOSE, body, 2);
        if (may_be_received(code))
            note(&expected, DECODER_CLOSE, 0, (uint16_t) code, "", 0);
        else
            note(&expected, DECODER_FAULT, 0, 1002, "", 0);
        got = transcribe(DECODER_CLIENT, 0, input.data, input.len, WHOLE);
        if (got.len != expected.len || memcmp(got.data, expected.data, got.len) != 0)
            fail_msg("wrong about %u: %.*s", code, (int) got.len, (char *) got.data);
        buffer_deinit(&got);
        buffer_deinit(&input);
        buffer_deinit(&expected);
    }
}

static void a_close_may_have_no_body_or_a_code_or_a_code_and_a_reason(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        uint16_t code;
    } cases[] = {
        {BYTES(""), CLOSE_NO_STATUS},
        {BYTES("\x03\xe8"), 1000},
        {BYTES("\x03\xe9 going \xc3\xa9"), 1001},
        {BYTES("\x0f\xa0\xf0\x9f\x98\x80"), 4000},
        {BYTES("\x03\xf0"
               "0123456789012345678901234567890123456789012345678901234567890123456789"
               "01234567890123456789012345678901234567890123456789012"),
         1008},
    };

    (void) state;
    for (enum decoder_role role = DECODER_SERVER; role <= DECODER_CLIENT; role++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct buffer input = {0}, expected = {0};

            put_frame(&input, role, FRAME_TEXT, "unfinished \xc3", 12);
            put_frame(&input, role, FIN | FRAME_CLOSE, cases[i].body, cases[i].len);
            note(&expected, DECODER_CLOSE, 0, cases[i].code,
                 cases[i].len > 2 ? cases[i].body + 2 : "",
                 cases[i].len > 2 ? cases[i].len - 2 : 0);
            check(role, 0, &input, &expected);
            /* What comes behind it does not matter any more. */
            put_frame(&input, role, 0xff, "garbage", 7);
            check(role, 0, &input, &expected);
            buffer_deinit(&input);
            buffer_deinit(&expected);
        }
    }
}

static void a_bad_close_body_is_a_fault(void **state)
{
    static const struct offence offences[] = {
        {"half a code", BYTES("\x88\x81" KEY "\x03"), 1002},
        {"code 0", BYTES("\x88\x82" KEY "\0\0"), 1002},
        {"code 1005", BYTES("\x88\x82" KEY "\x03\xed"), 1002},
        {"a bad code before a bad reason", BYTES("\x88\x83" KEY "\x03\xee\xff"), 1002},
        {"a reason that is not UTF-8", BYTES("\x88\x83" KEY "\x03\xe8\xff"), 1007},
        {"a reason that ends within a character", BYTES("\x88\x85" KEY "\x03\xe8!\xe2\x82"), 1007},
        {"a surrogate", BYTES("\x88\x85" KEY "\x03\xe8\xed\xa0\x80"), 1007},
    };

    (void) state;
    for (size_t i = 0; i < sizeof offences / sizeof *offences; i++) {
        check_offence(&offences[i], false, 0);
        check_offence(&offences[i], true, 0);
    }
}

/* ---- leases ---- */

static bool is_idle(const struct decoder *decoder)
{
    return decoder->_lease == NULL && decoder->_message == NULL && decoder->_deflate == NULL;
}

/* Feeds and expects nothing but these bytes of transcript. */
static void feed(struct decoder *decoder, struct decoder_pool *pool, const void *data, size_t len,
                 const char *expected)
{
    struct buffer transcript = {0};

    assert_true(feed_piece(decoder, pool, data, len, &transcript));
    assert_int_equal(transcript.len, strlen(expected));
    assert_memory_equal(transcript.data, expected, transcript.len);
    buffer_deinit(&transcript);
}

static void between_frames_a_decoder_holds_nothing(void **state)
{
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};

    (void) state;
    assert_int_equal(sizeof decoder, 3 * sizeof(void *));
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    feed(&decoder, pool, "\x81\x01x", 3, "<message 1 0 1:x>");
    assert_true(is_idle(&decoder));
    feed(&decoder, pool, "\x81\x01y\x89\0\x82\x01z", 8,
         "<message 1 0 1:y><ping 0 0 0:><message 2 0 1:z>");
    assert_true(is_idle(&decoder));
    assert_int_equal(decoder_pool_lent(pool), 0);
    decoder_pool_free(pool);
}

static void within_a_frame_a_context_is_lent_and_at_its_end_returned(void **state)
{
    static const char frames[] = "\x81\x03xyz\x89\x02xy\x82\x7e\x00\x7e";
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};

    (void) state;
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    for (size_t i = 0; i < sizeof frames - 1; i++) {
        bool end_of_frame = i == 4 || i == 8;

        feed(&decoder, pool, frames + i, 1,
             i == 4   ? "<message 1 0 3:xyz>"
             : i == 8 ? "<ping 0 0 2:xy>"
                      : "");
        assert_int_equal(decoder_pool_lent(pool), end_of_frame ? 0 : 1);
        assert_int_equal(is_idle(&decoder), end_of_frame);
        if (i <= 4 || i > 8) /* and not in the ping */
            assert_int_equal(decoder_is_busy(&decoder), !end_of_frame);
    }
    decoder_deinit(&decoder);
    assert_int_equal(decoder_pool_lent(pool), 0);
    decoder_pool_free(pool);
}

static void between_fragments_no_context_is_lent(void **state)
{
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};

    (void) state;
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    feed(&decoder, pool, "\x01\x01x", 3, "");
    assert_int_equal(decoder_pool_lent(pool), 0);
    assert_true(decoder_is_busy(&decoder));
    feed(&decoder, pool, "\x89\x00", 2, "<ping 0 0 0:>");
    assert_int_equal(decoder_pool_lent(pool), 0);
    assert_true(decoder_is_busy(&decoder));
    feed(&decoder, pool, "\x80\x01y", 3, "<message 1 0 2:xy>");
    assert_true(is_idle(&decoder));
    feed(&decoder, pool, "\x02\x01x", 3, "");
    decoder_deinit(&decoder); /* LeakSanitizer sees whether the fragment is freed */
    assert_true(is_idle(&decoder));
    decoder_pool_free(pool);
}

static void connections_that_share_a_pool_do_not_mix(void **state)
{
    enum { COUNT = 40 }; /* more than a pool keeps spare */
    struct decoder decoders[COUNT] = {{0}};
    struct decoder_pool *pool = NULL;

    (void) state;
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            char frame[] = {'\x81', 3, 'a', (char) ('0' + i), 'z'};

            feed(&decoders[i], pool, frame, 2 + i % 3, "");
        }
        assert_int_equal(decoder_pool_lent(pool), COUNT);
        for (size_t n = 0; n < COUNT; n++) {
            size_t i = (n * 7 + round) % COUNT; /* in another order */
            char frame[] = {'\x81', 3, 'a', (char) ('0' + i), 'z'};
            char expected[] = "<message 1 0 3:a?z>";

            expected[16] = (char) ('0' + i);
            feed(&decoders[i], pool, frame + 2 + i % 3, 3 - i % 3, expected);
            assert_true(is_idle(&decoders[i]));
        }
        assert_int_equal(decoder_pool_lent(pool), 0);
    }
    decoder_pool_free(pool);
}

/* Whatever a connection leaves unfinished, the next one that borrows begins afresh. */
static void nothing_of_a_connection_that_ends_reaches_the_next(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool spent;
    } ends[] = {
        {BYTES("\x81"), false},
        {BYTES("\x81\x7e\x01"), false},
        {BYTES("\x81\x05xy"), false},
        {BYTES("\x89\x05xy"), false},
        {BYTES("\x01\x02xy\x80\x05z"), false},
        {BYTES("\x81\x01\xff"), true},
        {BYTES("\x81\x01\xff\x81\x01"
               "x"),
         true},
        {BYTES("\x80\x00"), true},
        {BYTES("\x88\x01\x03"), true},
        {BYTES("\x88\x02\x03\xe8"), true},
        {BYTES("\x88\x02\x03\xe8\x81\x01"
               "x"),
         true},
        {BYTES("\x82\x7e\x00\x01"), true},
    };
    struct decoder_pool *pool = NULL;

    (void) state;
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        for (int step = 0; step < 2; step++) {
            struct decoder decoder = {0}, next = {0};
            struct buffer transcript = {0};
            size_t at = 0, piece = step == 0 ? ends[i].len : 1;
            bool going = true;

            for (; going && at < ends[i].len; at += piece)
                going = feed_piece(&decoder, pool, (const uint8_t *) ends[i].bytes + at, piece,
                                   &transcript);
            assert_int_equal(going, !ends[i].spent);
            buffer_deinit(&transcript);
            decoder_deinit(&decoder);
            assert_int_equal(decoder_pool_lent(pool), 0);
            feed(&next, pool, "\x81\x02", 2, "");
            feed(&next, pool, "hi\x89\x01!", 5, "<message 1 0 2:hi><ping 0 0 1:!>");
            assert_true(is_idle(&next));
        }
    }
    decoder_pool_free(pool);
}

static void no_bytes_are_no_event(void **state)
{
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};

    (void) state;
    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, 0), 0);
    feed(&decoder, pool, "", 0, "");
    assert_true(is_idle(&decoder));
    feed(&decoder, pool, "\x81", 1, "");
    feed(&decoder, pool, "", 0, "");
    feed(&decoder, pool, "\x01x", 2, "<message 1 0 1:x>");
    decoder_pool_free(pool);
    decoder_pool_free(NULL); /* harmless */
}

/* ---- compressed messages: RFC 7692 ---- */

/* A client that may be sent compressed messages; `takeover`: by a server that takes its context
 * from one to the next. */
static struct buffer inflate(bool takeover, uint64_t max, const char *input, size_t len,
                             size_t step)
{
    const struct extension_deflate agreed = {
        .agreed = true,
        .server_no_context_takeover = !takeover,
        .server_max_window_bits = 15,
        .client_max_window_bits = 15,
    };
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};
    struct buffer transcript = {0};

    assert_int_equal(decoder_pool_new(&pool, DECODER_CLIENT, max), 0);
    assert_null(decoder_deflate(&decoder));
    assert_int_equal(decoder_allow_deflate(&decoder, &agreed), 0);
    assert_true(decoder_deflate(&decoder)->agreed);
    for (size_t at = 0; at < len; at += step) {
        size_t piece = len - at < step ? len - at : step;

        if (!feed_piece(&decoder, pool, (const uint8_t *) input + at, piece, &transcript))
            break;
    }
    decoder_deinit(&decoder);
    assert_int_equal(decoder_pool_lent(pool), 0);
    decoder_pool_free(pool);
    return transcript;
}

static void check_inflated(bool takeover, uint64_t max, const char *input, size_t len,
                           const char *expected)
{
    static const size_t steps[] = {SIZE_MAX / 2, 1, 3};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct buffer got = inflate(takeover, max, input, len, steps[i]);

        if (got.len != strlen(expected) || memcmp(got.data, expected, got.len) != 0)
            fail_msg("%.*s instead of %s", (int) got.len, (char *) got.data, expected);
        buffer_deinit(&got);
    }
}

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00" /* RFC 7692, 7.2.3.1 */

/* RFC 7692, 7.2.3 */
static void the_samples_of_the_compression_rfc_are_inflated(void **state)
{
    (void) state;
    check_inflated(false, 0, BYTES("\xc1\x07" HELLO "\xc1\x07" HELLO),
                   "<message 1 0 5:Hello><message 1 0 5:Hello>");
    check_inflated(false, 0,
                   BYTES("\x41\x03\xf2\x48\xcd"
                         "\x89\x00"
                         "\x80\x04\xc9\xc9\x07\x00"),
                   "<ping 0 0 0:><message 1 0 5:Hello>");
    check_inflated(true, 0, BYTES("\xc1\x07" HELLO "\xc1\x05\xf2\x00\x11\x00\x00"),
                   "<message 1 0 5:Hello><message 1 0 5:Hello>");
    check_inflated(false, 0, BYTES("\xc1\x0b\x00\x05\x00\xfa\xffHello\x00"),
                   "<message 1 0 5:Hello>");
    check_inflated(false, 0, BYTES("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
                   "<message 1 0 5:Hello>");
    check_inflated(false, 0, BYTES("\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
                   "<message 1 0 5:Hello>");
    check_inflated(false, 0, BYTES("\xc2\x01\x00"), "<message 2 0 0:>");
}

static void messages_that_are_not_compressed_may_come_between(void **state)
{
    (void) state;
    check_inflated(true, 0,
                   BYTES("\xc1\x07" HELLO "\x81\x02hi\x01\x01x\x80\x01y"
                         "\xc1\x05\xf2\x00\x11\x00\x00"),
                   "<message 1 0 5:Hello><message 1 0 2:hi><message 1 0 2:xy>"
                   "<message 1 0 5:Hello>");
}

/* RFC 7692, 6: the bit belongs to the first frame of a message. */
static void the_bit_of_compression_may_stand_nowhere_else(void **state)
{
    (void) state;
    check_inflated(false, 0, BYTES("\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00"),
                   "<fault 0 1002 0:>");
    check_inflated(false, 0, BYTES("\x01\x01x\xc0\x01y"), "<fault 0 1002 0:>");
    check_inflated(false, 0, BYTES("\xc9\x00"), "<fault 0 1002 0:>");
    check_inflated(false, 0, BYTES("\xc8\x00"), "<fault 0 1002 0:>");
    check_inflated(false, 0, BYTES("\xa1\x00"), "<fault 0 1002 0:>");
    check_inflated(false, 0, BYTES("\x91\x00"), "<fault 0 1002 0:>");
    check_inflated(false, 0, BYTES("\xe1\x07" HELLO), "<fault 0 1002 0:>");
}

static void what_cannot_be_inflated_is_a_fault(void **state)
{
    (void) state;
    check_inflated(false, 0, BYTES("\xc1\x03\xff\xff\xff"), "<fault 0 1007 0:>");
    check_inflated(false, 0, BYTES("\xc1\x02\xf2\x48"), "<fault 0 1007 0:>"); /* cut short */
    check_inflated(false, 0, BYTES("\xc1\x07" HELLO "\xc1\x05\xf2\x00\x11\x00\x00"),
                   "<message 1 0 5:Hello><fault 0 1007 0:>"); /* refers to what is forgotten */
    /* Stored blocks with a byte that is not UTF-8: in a text, and in a binary message. */
    check_inflated(false, 0, BYTES("\xc1\x07\x00\x01\x00\xfe\xff\xff\x00"), "<fault 0 1007 0:>");
    check_inflated(false, 0, BYTES("\xc1\x07\x00\x01\x00\xfe\xff\xc3\x00"), "<fault 0 1007 0:>");
    check_inflated(false, 0, BYTES("\xc2\x07\x00\x01\x00\xfe\xff\xff\x00"), "<message 2 0 1:\xff>");
}

static void the_limit_is_on_what_comes_out(void **state)
{
    /* A thousand times 'a'. */
    static const char bomb[] = "\xc1\x0b\x4a\x4c\x1c\x05\xa3\x60\x14\x0c\x77\x00\x00";

    (void) state;
    check_inflated(false, 5, BYTES("\xc1\x07" HELLO), "<message 1 0 5:Hello>");
    check_inflated(false, 4, BYTES("\xc1\x07" HELLO), "<fault 0 1009 0:>");
    check_inflated(false, 999, bomb, sizeof bomb - 1, "<fault 0 1009 0:>");
    /* Many times longer than any compressed form of 5 bytes: on the header alone. */
    check_inflated(false, 5, BYTES("\xc1\x7f\0\0\0\0\0\2\0\0"), "<fault 0 1009 0:>");
    check_inflated(false, 5, BYTES("\x81\x06"), "<fault 0 1009 0:>");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_samples_of_the_rfc_are_understood),
        cmocka_unit_test(messages_of_all_sizes_are_whole),
        cmocka_unit_test(fragments_may_have_control_frames_between_them),
        cmocka_unit_test(empty_fragments_make_an_empty_message),
        cmocka_unit_test(a_bad_header_is_a_fault_before_anything_follows),
        cmocka_unit_test(within_a_message_only_its_continuation_may_follow),
        cmocka_unit_test(every_opcode_and_reserved_bit_that_is_not_defined_is_a_fault),
        cmocka_unit_test(a_frame_in_the_wrong_direction_is_a_fault),
        cmocka_unit_test(a_bad_frame_is_a_fault_for_a_client_that_has_all_of_it),
        cmocka_unit_test(a_whole_frame_does_not_cut_into_a_message),
        cmocka_unit_test(a_message_that_is_too_big_is_a_fault_on_its_header_alone),
        cmocka_unit_test(a_message_may_be_as_big_as_the_limit_and_control_frames_do_not_count),
        cmocka_unit_test(fragments_are_added_up_to_the_limit),
        cmocka_unit_test(memory_is_not_taken_on_the_word_of_a_header),
        cmocka_unit_test(a_message_may_have_so_many_fragments_and_so_many_empty_ones),
        cmocka_unit_test(a_message_that_is_too_big_names_its_limit_and_a_broken_one_none),
        cmocka_unit_test(text_may_be_cut_within_a_character_by_fragments_and_by_reads),
        cmocka_unit_test(text_that_is_not_utf8_is_a_fault_and_binary_may_be_anything),
        cmocka_unit_test(invalid_text_is_a_fault_at_its_first_bad_byte),
        cmocka_unit_test(every_close_code_is_judged),
        cmocka_unit_test(a_close_may_have_no_body_or_a_code_or_a_code_and_a_reason),
        cmocka_unit_test(a_bad_close_body_is_a_fault),
        cmocka_unit_test(between_frames_a_decoder_holds_nothing),
        cmocka_unit_test(within_a_frame_a_context_is_lent_and_at_its_end_returned),
        cmocka_unit_test(between_fragments_no_context_is_lent),
        cmocka_unit_test(connections_that_share_a_pool_do_not_mix),
        cmocka_unit_test(nothing_of_a_connection_that_ends_reaches_the_next),
        cmocka_unit_test(no_bytes_are_no_event),
        cmocka_unit_test(the_samples_of_the_compression_rfc_are_inflated),
        cmocka_unit_test(messages_that_are_not_compressed_may_come_between),
        cmocka_unit_test(the_bit_of_compression_may_stand_nowhere_else),
        cmocka_unit_test(what_cannot_be_inflated_is_a_fault),
        cmocka_unit_test(the_limit_is_on_what_comes_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

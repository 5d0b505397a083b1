#include "common/websocket/frame.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/websocket/decoder.h"

/* Encodes one frame into memory of exactly its size; the caller frees it. */
static uint8_t *encode(struct frame_encoder *encoder, bool masked, enum frame_opcode opcode,
                       const struct frame_part *parts, size_t count, size_t *len)
{
    size_t payload = 0;
    uint8_t *out;

    for (size_t i = 0; i < count; i++)
        payload += parts[i].len;
    *len = frame_size(masked, payload);
    out = malloc(*len);
    assert_non_null(out);
    assert_int_equal(frame_encode(encoder, out, opcode, false, parts, count), 0);
    return out;
}

static struct frame_encoder *new_encoder(bool masked)
{
    struct frame_encoder *encoder = NULL;

    assert_int_equal(frame_encoder_new(&encoder, masked), 0);
    return encoder;
}

static void sizes_follow_the_three_forms_of_the_length(void **state)
{
    static const struct {
        uint64_t payload;
        size_t header;
    } cases[] = {
        {0, 2}, {1, 2}, {125, 2}, {126, 4}, {127, 4}, {65535, 4}, {65536, 10}, {1 << 30, 10},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(frame_size(false, cases[i].payload), cases[i].header + cases[i].payload);
        assert_int_equal(frame_size(true, cases[i].payload),
                         cases[i].header + 4 + cases[i].payload);
    }
}

static void a_header_tells_its_length_once_it_is_there(void **state)
{
    static const struct {
        uint8_t bytes[10];
        size_t header;
        uint64_t payload;
    } cases[] = {
        {{0x81, 0}, 2, 0},
        {{0x81, 0x80 | 125}, 2, 125},
        {{0x82, 126, 0, 126}, 4, 126},
        {{0x82, 126, 0, 5}, 4, 5}, /* not its to judge */
        {{0x82, 0x80 | 126, 0xff, 0xfe}, 4, 65534},
        {{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 2}, 10, 65538},
        {{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 10, UINT64_MAX},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t payload = 0;

        for (size_t len = 0; len < cases[i].header; len++)
            assert_int_equal(frame_peek(cases[i].bytes, len, &payload), 0);
        assert_int_equal(frame_peek(cases[i].bytes, sizeof cases[i].bytes, &payload),
                         cases[i].header);
        assert_int_equal(payload, cases[i].payload);
    }
}

/* The samples of RFC 6455, 5.7. */
static void the_samples_of_the_rfc_come_out(void **state)
{
    static const struct frame_part hello = {"Hello", 5};
    static const uint8_t text[] = {0x81, 0x05, 'H', 'e', 'l', 'l', 'o'};
    static const uint8_t ping[] = {0x89, 0x05, 'H', 'e', 'l', 'l', 'o'};
    struct frame_encoder *encoder = new_encoder(false);
    size_t len;
    uint8_t *out;

    (void) state;
    out = encode(encoder, false, FRAME_TEXT, &hello, 1, &len);
    assert_int_equal(len, sizeof text);
    assert_memory_equal(out, text, len);
    free(out);
    out = encode(encoder, false, FRAME_PING, &hello, 1, &len);
    assert_memory_equal(out, ping, len);
    free(out);
    frame_encoder_free(encoder);
}

static void only_rsv1_says_that_a_frame_is_compressed(void **state)
{
    static const struct frame_part hello = {"Hello", 5};
    struct frame_encoder *encoder = new_encoder(false);
    uint8_t plain[7], compressed[7];

    (void) state;
    assert_int_equal(frame_encode(encoder, plain, FRAME_TEXT, false, &hello, 1), 0);
    assert_int_equal(frame_encode(encoder, compressed, FRAME_TEXT, true, &hello, 1), 0);
    assert_int_equal(plain[0], 0x81);
    assert_int_equal(compressed[0], 0xc1);
    assert_memory_equal(plain + 1, compressed + 1, 6);
    frame_encoder_free(encoder);
}

static void the_header_has_the_shortest_length_and_the_opcode(void **state)
{
    static const struct {
        size_t payload;
        uint8_t header[10];
        size_t header_len;
    } cases[] = {
        {125, {0x82, 125}, 2},
        {126, {0x82, 126, 0, 126}, 4},
        {65535, {0x82, 126, 0xff, 0xff}, 4},
        {65536, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, 10},
        {1 << 20, {0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0}, 10},
    };
    struct frame_encoder *encoder = new_encoder(false);
    uint8_t *payload = calloc(1, 1 << 20);

    (void) state;
    assert_non_null(payload);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct frame_part part = {payload, cases[i].payload};
        size_t len;
        uint8_t *out = encode(encoder, false, FRAME_BINARY, &part, 1, &len);

        assert_memory_equal(out, cases[i].header, cases[i].header_len);
        assert_int_equal(len, cases[i].header_len + cases[i].payload);
        free(out);
    }
    free(payload);
    frame_encoder_free(encoder);
}

/* Decodes one whole frame and compares what it says. */
static void check_decoded(bool masked, const uint8_t *frame, size_t len, enum frame_opcode opcode,
                          const uint8_t *payload, size_t payload_len)
{
    struct decoder_pool *pool = NULL;
    struct decoder decoder = {0};
    struct decoder_event event;

    assert_int_equal(decoder_pool_new(&pool, masked ? DECODER_SERVER : DECODER_CLIENT, 0), 0);
    assert_int_equal(decoder_feed(&decoder, pool, frame, len), 0);
    decoder_next(&decoder, &event);
    assert_int_equal(event.type, DECODER_MESSAGE);
    assert_int_equal(event.opcode, opcode);
    assert_int_equal(event.len, payload_len);
    assert_memory_equal(event.data, payload, payload_len);
    decoder_next(&decoder, &event);
    assert_int_equal(event.type, DECODER_MORE);
    decoder_deinit(&decoder);
    decoder_pool_free(pool);
}

static void what_is_encoded_is_what_is_decoded(void **state)
{
    static const size_t sizes[] = {0,    1,    3,     4,     5,     125,   126,    127,
                                   4091, 4096, 65535, 65536, 65537, 70000, 1 << 20};
    uint8_t *payload = malloc(1 << 20);

    (void) state;
    assert_non_null(payload);
    for (size_t i = 0; i < 1 << 20; i++)
        payload[i] = (uint8_t) (i * 7 + i / 251);
    for (int masked = 0; masked < 2; masked++) {
        struct frame_encoder *encoder = new_encoder(masked != 0);

        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct frame_part part = {payload, sizes[i]};
            size_t len;
            uint8_t *out = encode(encoder, masked != 0, FRAME_BINARY, &part, 1, &len);

            check_decoded(masked != 0, out, len, FRAME_BINARY, payload, sizes[i]);
            free(out);
        }
        frame_encoder_free(encoder);
    }
    free(payload);
}

static void parts_are_put_together_whichever_are_empty(void **state)
{
    static const struct {
        struct frame_part parts[5];
        size_t count;
        const char *text;
    } cases[] = {
        {{{NULL, 0}}, 0, ""},
        {{{NULL, 0}}, 1, ""},
        {{{NULL, 0}, {"", 0}, {NULL, 0}}, 3, ""},
        {{{"a", 1}}, 1, "a"},
        {{{"Message: ", 9}, {"hello", 5}}, 2, "Message: hello"},
        {{{"", 0}, {"hello", 5}}, 2, "hello"},
        {{{"Message: ", 9}, {NULL, 0}}, 2, "Message: "},
        {{{NULL, 0}, {"a", 1}, {NULL, 0}, {"bcd", 3}, {NULL, 0}}, 5, "abcd"},
        {{{"a", 1}, {"bc", 2}, {"def", 3}, {"ghij", 4}, {"klmno", 5}}, 5, "abcdefghijklmno"},
    };

    (void) state;
    for (int masked = 0; masked < 2; masked++) {
        struct frame_encoder *encoder = new_encoder(masked != 0);

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            size_t len;
            uint8_t *out =
                encode(encoder, masked != 0, FRAME_TEXT, cases[i].parts, cases[i].count, &len);

            check_decoded(masked != 0, out, len, FRAME_TEXT, (const uint8_t *) cases[i].text,
                          strlen(cases[i].text));
            free(out);
        }
        frame_encoder_free(encoder);
    }
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, 4);
}

/* RFC 6455, 5.3. The stock of keys is drawn anew several times within so many frames. */
static void every_frame_has_a_masking_key_of_its_own(void **state)
{
    enum { FRAMES = 2000 };
    static const uint8_t zeros[4];
    static uint8_t keys[FRAMES][4];
    struct frame_encoder *encoder = new_encoder(true);
    struct frame_part part = {zeros, sizeof zeros};
    unsigned same = 0;

    (void) state;
    for (size_t i = 0; i < FRAMES; i++) {
        size_t len;
        uint8_t *out = encode(encoder, true, FRAME_BINARY, &part, 1, &len);

        assert_int_equal(out[1], 0x80 | 4);
        memcpy(keys[i], out + 2, 4);
        assert_memory_equal(out + 6, keys[i], 4); /* zeros, masked */
        free(out);
    }
    frame_encoder_free(encoder);
    qsort(keys, FRAMES, sizeof *keys, compare_keys);
    for (size_t i = 1; i < FRAMES; i++)
        same += memcmp(keys[i - 1], keys[i], 4) == 0;
    assert_in_range(same, 0, 1); /* by chance: one pair in 2000 runs, two in millions */
}

static void two_encoders_do_not_share_their_keys(void **state)
{
    static const struct frame_part part = {"same", 4};
    struct frame_encoder *one = new_encoder(true), *other = new_encoder(true);
    uint8_t frames[2][8 * 10];

    (void) state;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(frame_encode(one, frames[0] + 10 * i, FRAME_TEXT, false, &part, 1), 0);
        assert_int_equal(frame_encode(other, frames[1] + 10 * i, FRAME_TEXT, false, &part, 1), 0);
    }
    assert_memory_not_equal(frames[0], frames[1], sizeof frames[0]);
    frame_encoder_free(one);
    frame_encoder_free(other);
    frame_encoder_free(NULL); /* harmless */
}

/* Nothing behind the header is looked at. */
static void the_length_of_a_frame_stands_in_its_header(void **state)
{
    static const size_t payloads[] = {0, 1, 125, 126, 127, 65535, 65536, 65537, 200000};
    static const char zeroes[200000];

    (void) state;
    for (size_t i = 0; i < 2 * sizeof payloads / sizeof *payloads; i++) {
        bool masked = i % 2 == 1;
        struct frame_encoder *encoder = new_encoder(masked);
        struct frame_part part = {zeroes, payloads[i / 2]};
        size_t len, header;
        uint8_t *frame = encode(encoder, masked, FRAME_BINARY, &part, 1, &len), *head;

        assert_true(frame_length(frame) == len);
        header = len - payloads[i / 2];
        head = malloc(header);
        assert_non_null(head);
        memcpy(head, frame, header);
        assert_true(frame_length(head) == len);
        free(head);
        free(frame);
        frame_encoder_free(encoder);
    }
    /* More than 32 bits, which no log holds. */
    assert_true(frame_length((const uint8_t[]){0x82, 127, 0, 0, 1, 0, 0, 0, 0, 5}) ==
                ((uint64_t) 1 << 40) + 5 + 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_follow_the_three_forms_of_the_length),
        cmocka_unit_test(a_header_tells_its_length_once_it_is_there),
        cmocka_unit_test(the_samples_of_the_rfc_come_out),
        cmocka_unit_test(only_rsv1_says_that_a_frame_is_compressed),
        cmocka_unit_test(the_header_has_the_shortest_length_and_the_opcode),
        cmocka_unit_test(what_is_encoded_is_what_is_decoded),
        cmocka_unit_test(parts_are_put_together_whichever_are_empty),
        cmocka_unit_test(every_frame_has_a_masking_key_of_its_own),
        cmocka_unit_test(two_encoders_do_not_share_their_keys),
        cmocka_unit_test(the_length_of_a_frame_stands_in_its_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/base/utf8.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 3629, 4, read off the page: how many bytes of `data` are its first character; 0 if they
 * are invalid, -1 if they are the beginning of one. */
static int character(const uint8_t *data, size_t len)
{
    uint8_t low = 0x80, high = 0xbf; /* the range of the second byte */
    int length;

    if (data[0] <= 0x7f)
        return 1;
    if (data[0] < 0xc2 || data[0] > 0xf4)
        return 0;
    length = data[0] < 0xe0 ? 2 : data[0] < 0xf0 ? 3 : 4;
    if (data[0] == 0xe0)
        low = 0xa0;
    if (data[0] == 0xed)
        high = 0x9f;
    if (data[0] == 0xf0)
        low = 0x90;
    if (data[0] == 0xf4)
        high = 0x8f;
    for (int i = 1; i < length; i++) {
        if ((size_t) i == len)
            return -1;
        if (data[i] < low || data[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

enum reading { INVALID, INCOMPLETE, COMPLETE };

/* What a text is, judged character by character. */
static enum reading read_slowly(const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        int n = character(data + at, len - at);

        if (n <= 0)
            return n == 0 ? INVALID : INCOMPLETE;
        at += (size_t) n;
    }
    return COMPLETE;
}

/* What a text is by the code under test, fed in two parts. */
static enum reading feed(const uint8_t *data, size_t len, size_t cut)
{
    struct utf8 utf8 = {0};

    if (!utf8_feed(&utf8, data, cut) || !utf8_feed(&utf8, data + cut, len - cut))
        return INVALID;
    return utf8_complete(&utf8) ? COMPLETE : INCOMPLETE;
}

/* Whole, cut in two anywhere, and behind enough ASCII to be past the fast path. */
static void check(const uint8_t *data, size_t len)
{
    enum reading expected = read_slowly(data, len);
    uint8_t behind[64];

    for (size_t cut = 0; cut <= len; cut++)
        assert_int_equal(feed(data, len, cut), expected);
    assert_int_equal(utf8_valid(data, len), expected == COMPLETE);
    assert_true(len + 9 <= sizeof behind);
    memset(behind, 'a', sizeof behind);
    memcpy(behind + 9, data, len);
    assert_int_equal(feed(behind, len + 9, 0), expected);
}

/* After Markus Kuhn's UTF-8 decoder capability and stress test. */
static const struct sample {
    const char *what;
    const char *text;
    bool valid;
} samples[] = {
    {"the empty text", "", true},
    {"Greek", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true},
    {"2.1.2 first of 2 bytes", "\xc2\x80", true},
    {"2.1.3 first of 3 bytes", "\xe0\xa0\x80", true},
    {"2.1.4 first of 4 bytes", "\xf0\x90\x80\x80", true},
    {"2.1.5 first of 5 bytes", "\xf8\x88\x80\x80\x80", false},
    {"2.1.6 first of 6 bytes", "\xfc\x84\x80\x80\x80\x80", false},
    {"2.2.1 last of 1 byte", "\x7f", true},
    {"2.2.2 last of 2 bytes", "\xdf\xbf", true},
    {"2.2.3 last of 3 bytes", "\xef\xbf\xbf", true},
    {"2.2.4 last of 4 bytes as there once were", "\xf7\xbf\xbf\xbf", false},
    {"2.3.1 U+D7FF", "\xed\x9f\xbf", true},
    {"2.3.2 U+E000", "\xee\x80\x80", true},
    {"2.3.3 U+FFFD", "\xef\xbf\xbd", true},
    {"2.3.4 U+10FFFF", "\xf4\x8f\xbf\xbf", true},
    {"2.3.5 U+110000", "\xf4\x90\x80\x80", false},
    {"3.1.1 lonely continuation", "\x80", false},
    {"3.1.2 lonely continuation", "\xbf", false},
    {"3.1.3 two of them", "\x80\xbf", false},
    {"3.2.1 lonely lead of 2", "\xc3 ", false},
    {"3.2.2 lonely lead of 3", "\xe3 ", false},
    {"3.2.3 lonely lead of 4", "\xf3 ", false},
    {"3.3.1 last byte missing of 2", "\xc3", false},
    {"3.3.2 last byte missing of 3", "\xe3\x80", false},
    {"3.3.3 last byte missing of 4", "\xf3\x80\x80", false},
    {"3.3.4 last byte missing, text goes on", "\xe3\x80z", false},
    {"3.4 incomplete sequences in a row", "\xc3\xe3\x80\xf3\x80\x80", false},
    {"3.5.1 impossible byte", "\xfe", false},
    {"3.5.2 impossible byte", "\xff", false},
    {"4.1.1 slash in 2 bytes", "\xc0\xaf", false},
    {"4.1.2 slash in 3 bytes", "\xe0\x80\xaf", false},
    {"4.1.3 slash in 4 bytes", "\xf0\x80\x80\xaf", false},
    {"4.2.1 overlong U+007F", "\xc1\xbf", false},
    {"4.2.2 overlong U+07FF", "\xe0\x9f\xbf", false},
    {"4.2.3 overlong U+FFFF", "\xf0\x8f\xbf\xbf", false},
    {"4.3.1 overlong NUL", "\xc0\x80", false},
    {"5.1.1 surrogate U+D800", "\xed\xa0\x80", false},
    {"5.1.7 surrogate U+DFFF", "\xed\xbf\xbf", false},
    {"5.2.1 surrogate pair", "\xed\xa0\x80\xed\xb0\x80", false},
    {"5.3.1 U+FFFE", "\xef\xbf\xbe", true},
    {"ASCII, then a bad byte", "0123456789abcdef\xff", false},
    {"a bad byte, then ASCII", "\xffghijklmnopqrstuv", false},
    {"a bad byte amid ASCII", "0123456\x80ghijklmn", false},
    {"a character across a word", "0123456\xc3\xa9ghijklm", true},
};

static void the_classic_samples_are_judged_right_wherever_they_are_cut(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const uint8_t *text = (const uint8_t *) samples[i].text;
        size_t len = strlen(samples[i].text);

        if (utf8_valid(text, len) != samples[i].valid)
            fail_msg("wrong about %s", samples[i].what);
        for (size_t cut = 0; cut <= len; cut++) {
            if ((feed(text, len, cut) == COMPLETE) != samples[i].valid)
                fail_msg("wrong about %s, cut at %zu", samples[i].what, cut);
        }
    }
}

static void a_nul_is_a_character_like_any(void **state)
{
    static const uint8_t text[] = {'a', 0, 0xc3, 0xa9, 0};

    (void) state;
    check(text, sizeof text);
    assert_true(utf8_valid(text, sizeof text));
}

static void every_sequence_of_one_or_two_bytes_is_judged_as_rfc_3629_has_it(void **state)
{
    (void) state;
    for (unsigned n = 0; n < 1U << 8; n++)
        check((const uint8_t[]){(uint8_t) n}, 1);
    for (unsigned n = 0; n < 1U << 16; n++)
        check((const uint8_t[]){(uint8_t) (n >> 8), (uint8_t) n}, 2);
}

static void every_sequence_of_three_bytes_is_judged_as_rfc_3629_has_it(void **state)
{
    (void) state;
    for (unsigned n = 0; n < 1U << 24; n++) {
        uint8_t text[3] = {(uint8_t) (n >> 16), (uint8_t) (n >> 8), (uint8_t) n};

        /* Two cuts suffice here: not to spend a minute on asserts. */
        if (feed(text, 3, 0) != read_slowly(text, 3) || feed(text, 3, 2) != read_slowly(text, 3))
            fail_msg("wrong about %06x", n);
    }
}

static void sequences_of_four_bytes_are_judged_as_rfc_3629_has_it(void **state)
{
    static const uint8_t second[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};

    (void) state;
    for (unsigned lead = 0xe0; lead <= 0xff; lead++)
        for (size_t i = 0; i < sizeof second; i++)
            for (size_t j = 0; j < sizeof second; j++)
                for (size_t k = 0; k < sizeof second; k++)
                    check((const uint8_t[]){(uint8_t) lead, second[i], second[j], second[k]}, 4);
}

static void every_code_point_is_valid_but_for_the_surrogates(void **state)
{
    (void) state;
    for (uint32_t point = 0x10000; point <= 0x13ffff; point++) {
        uint8_t text[4] = {(uint8_t) (0xf0 | point >> 18), (uint8_t) (0x80 | (point >> 12 & 0x3f)),
                           (uint8_t) (0x80 | (point >> 6 & 0x3f)),
                           (uint8_t) (0x80 | (point & 0x3f))};

        if (utf8_valid(text, 4) != (point <= 0x10ffff))
            fail_msg("wrong about U+%x", point);
    }
    for (uint32_t point = 0x800; point <= 0xffff; point++) {
        uint8_t text[3] = {(uint8_t) (0xe0 | point >> 12), (uint8_t) (0x80 | (point >> 6 & 0x3f)),
                           (uint8_t) (0x80 | (point & 0x3f))};

        if (utf8_valid(text, 3) != (point < 0xd800 || point > 0xdfff))
            fail_msg("wrong about U+%x", point);
    }
}

static void invalid_utf8_is_noticed_at_its_first_bad_byte(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const uint8_t *text = (const uint8_t *) samples[i].text;
        size_t len = strlen(samples[i].text);
        struct utf8 utf8 = {0};

        for (size_t at = 0; at < len; at++) {
            bool good = read_slowly(text, at + 1) != INVALID;

            if (utf8_feed(&utf8, text + at, 1) != good)
                fail_msg("wrong about byte %zu of %s", at, samples[i].what);
            if (!good)
                break;
        }
    }
}

static void a_text_of_all_kinds_may_be_cut_in_any_two_places(void **state)
{
    static const char text[] = "plain ascii text \xc3\xa9\xc3\xa8 and \xe2\x82\xac, "
                               "\xf0\x9f\x98\x80\xf0\x9f\x98\x81 01234567 \xce\xb1\xe4\xb8\xad";
    const uint8_t *data = (const uint8_t *) text;
    size_t len = sizeof text - 1;

    (void) state;
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            struct utf8 utf8 = {0};

            assert_true(utf8_feed(&utf8, data, a));
            assert_int_equal(utf8_complete(&utf8), read_slowly(data, a) == COMPLETE);
            assert_true(utf8_feed(&utf8, data + a, b - a));
            assert_int_equal(utf8_complete(&utf8), read_slowly(data, b) == COMPLETE);
            assert_true(utf8_feed(&utf8, data + b, len - b));
            assert_true(utf8_complete(&utf8));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_classic_samples_are_judged_right_wherever_they_are_cut),
        cmocka_unit_test(a_nul_is_a_character_like_any),
        cmocka_unit_test(every_sequence_of_one_or_two_bytes_is_judged_as_rfc_3629_has_it),
        cmocka_unit_test(every_sequence_of_three_bytes_is_judged_as_rfc_3629_has_it),
        cmocka_unit_test(sequences_of_four_bytes_are_judged_as_rfc_3629_has_it),
        cmocka_unit_test(every_code_point_is_valid_but_for_the_surrogates),
        cmocka_unit_test(invalid_utf8_is_noticed_at_its_first_bad_byte),
        cmocka_unit_test(a_text_of_all_kinds_may_be_cut_in_any_two_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

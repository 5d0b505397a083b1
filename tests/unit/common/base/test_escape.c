#include "common/base/escape.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct sample {
    const char *text;
    const char *escaped;
} samples[] = {
    {"", ""},
    {"plain text, ~ and all", "plain text, ~ and all"},
    {"a\\b", "a\\b"},
    {"a\nb\r\t", "a\\x0ab\\x0d\\x09"},
    {"\x1b[2J", "\\x1b[2J"},
    {"\x7f", "\\x7f"},
    {"\xc2\x9b[J", "\\xc2\\x9b[J"}, /* the C1 form of ESC [ */
    {"\xc2\xa0\xc3\xa9", "\xc2\xa0\xc3\xa9"},
    {"\xe2\x82\xac \xe4\xb8\xad \xf0\x9f\x98\x80", "\xe2\x82\xac \xe4\xb8\xad \xf0\x9f\x98\x80"},
    /* NOLINTBEGIN(misc-misleading-bidirectional): to mislead is what they are here for */
    {"\xe2\x80\xaexyz", "\\xe2\\x80\\xaexyz"}, /* right-to-left override */
    {"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},       /* left-to-right isolate */
    /* NOLINTEND(misc-misleading-bidirectional) */
    {"\xd8\x9c\xe2\x80\x8e", "\\xd8\\x9c\\xe2\\x80\\x8e"}, /* marks */
    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},                   /* line separator */
    {"\x80\xff", "\\x80\\xff"},
    {"\xe2\x82", "\\xe2\\x82"},
    {"\xc0\xaf", "\\xc0\\xaf"},
    {"\xf5", "\\xf5"},
    {"\xed\xa0\x80x", "\\xed\\xa0\\x80x"},
};

static void what_acts_on_a_terminal_is_shown_and_the_rest_is_left_alone(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const uint8_t *text = (const uint8_t *) samples[i].text;
        size_t len = strlen(samples[i].text);
        struct buffer buffer = {0};
        char out[256];

        assert_string_equal(escape_text(out, sizeof out, text, len), samples[i].escaped);
        assert_int_equal(escape_append(&buffer, text, len), 0);
        assert_int_equal(buffer.len, strlen(samples[i].escaped));
        assert_memory_equal(buffer.data, samples[i].escaped, buffer.len);
        buffer_deinit(&buffer);
    }
}

static void a_nul_does_not_end_the_text(void **state)
{
    char out[16];

    (void) state;
    assert_string_equal(escape_text(out, sizeof out, "a\0b", 3), "a\\x00b");
}

/* As many whole characters as leave room for the three dots. */
static void what_does_not_fit_is_cut_between_characters(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        size_t len = strlen(samples[i].text);
        size_t whole = strlen(samples[i].escaped);

        for (size_t size = 8; size < 64; size++) {
            char out[64];
            size_t kept;

            memset(out, '#', sizeof out);
            (void) escape_text(out, size, samples[i].text, len);
            assert_int_equal(out[size], '#'); /* behind what it was given */
            if (whole + 4 <= size) {
                assert_string_equal(out, samples[i].escaped);
                continue;
            }
            if (strcmp(out, samples[i].escaped) == 0)
                continue;
            kept = strlen(out) - 3;
            assert_string_equal(out + kept, "...");
            assert_memory_equal(out, samples[i].escaped, kept);
            assert_int_not_equal((uint8_t) samples[i].escaped[kept] & 0xc0, 0x80);
        }
    }
}

static void a_cut_never_splits_an_escape(void **state)
{
    char out[8];

    (void) state;
    assert_string_equal(escape_text(out, sizeof out, "12345678", 8), "1234...");
    assert_string_equal(escape_text(out, sizeof out, "123\n", 4), "123\\x0a");
    assert_string_equal(escape_text(out, sizeof out, "1234\n", 5), "1234...");
    assert_string_equal(escape_text(out, sizeof out, "1\n234", 5), "1...");
    assert_string_equal(escape_text(out, sizeof out, "123\n4", 5), "123...");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_acts_on_a_terminal_is_shown_and_the_rest_is_left_alone),
        cmocka_unit_test(a_nul_does_not_end_the_text),
        cmocka_unit_test(what_does_not_fit_is_cut_between_characters),
        cmocka_unit_test(a_cut_never_splits_an_escape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

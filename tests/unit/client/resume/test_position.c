#include "client/resume/position.h"

#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A "00112233445566aa"
#define B "ffeeddccbbaa9988"

static struct position place_at(const char *text)
{
    struct position position = {.known = text != NULL};

    if (text != NULL)
        assert_int_equal(position_parse(text, strlen(text), &position.id), 0);
    return position;
}

static void assert_at(const struct position *position, const char *text)
{
    char shown[EVENT_ID_SIZE];

    assert_int_equal(position->known, text != NULL);
    if (text != NULL)
        assert_string_equal(event_id_print(position->id, shown), text);
}

static void a_connection_tells_what_was_lost_before_it(void **state)
{
    static const struct {
        const char *before, *text, *after;
        uint64_t lost;
        bool back;
    } cases[] = {
        {NULL, A "-7", A "-7", 0, false},
        {NULL, NULL, NULL, 0, false},
        {NULL, "nonsense", NULL, 0, false},
        {A "-7", A "-7", A "-7", 0, false},
        {A "-7", A "-24", A "-24", 17, false},
        {A "-0", A "-9223372036854775807", A "-9223372036854775807", INT64_MAX, false},
        {A "-7", A "-6", A "-6", 0, true},
        {A "-7", B "-7", B "-7", POSITION_UNKNOWN, false},
        {A "-7", B "-0", B "-0", POSITION_UNKNOWN, false},
        {A "-7", NULL, NULL, POSITION_UNKNOWN, false},
        {A "-7", "", NULL, POSITION_UNKNOWN, false},
        {A "-7", A "-9223372036854775808", NULL, POSITION_UNKNOWN, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct position position = place_at(cases[i].before);
        bool back = true;

        if (position_open(&position, cases[i].text, &back) != cases[i].lost ||
            back != cases[i].back)
            fail_msg("case %zu", i);
        assert_at(&position, cases[i].after);
    }
}

static void a_ping_that_is_further_on_is_a_gap(void **state)
{
    static const struct {
        const char *before, *payload, *after;
        uint64_t lost;
    } cases[] = {
        {A "-7", A "-8", A "-8", 1},
        {A "-7", A "-24", A "-24", 17},
        {A "-7", B "-3", B "-3", POSITION_UNKNOWN},
        {A "-7", A "-7", A "-7", 0},
        {A "-7", A "-3", A "-7", 0},
        {A "-7", "", A "-7", 0},
        {A "-7", A "-24 ", A "-7", 0},
        {A "-7", A "-18446744073709551615", A "-7", 0},
        {NULL, A "-24", NULL, 0},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct position position = place_at(cases[i].before);
        const char *payload = cases[i].payload;

        if (position_ping(&position, (const uint8_t *) payload, strlen(payload)) != cases[i].lost)
            fail_msg("case %zu", i);
        assert_at(&position, cases[i].after);
    }
}

static void messages_move_the_place(void **state)
{
    struct position position = place_at(A "-9");
    bool back;

    (void) state;
    position_count(&position);
    assert_at(&position, A "-10");
    assert_int_equal(position_open(&position, A "-10", &back), 0);
    position = (struct position){.known = false};
    position_count(&position);
    assert_at(&position, NULL);
}

static void what_is_unknown_stays_unknown(void **state)
{
    (void) state;
    assert_int_equal(position_add_gaps(3, 4), 7);
    assert_int_equal(position_add_gaps(0, POSITION_UNKNOWN), POSITION_UNKNOWN);
    assert_int_equal(position_add_gaps(POSITION_UNKNOWN, 0), POSITION_UNKNOWN);
    assert_int_equal(position_add_gaps(POSITION_UNKNOWN, 5), POSITION_UNKNOWN);
    assert_int_equal(position_add_gaps(POSITION_UNKNOWN - 2, 5), POSITION_UNKNOWN);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_tells_what_was_lost_before_it),
        cmocka_unit_test(a_ping_that_is_further_on_is_a_gap),
        cmocka_unit_test(messages_move_the_place),
        cmocka_unit_test(what_is_unknown_stays_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/websocket/event_id.h"

#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int parse(const char *text, struct event_id *id)
{
    return event_id_parse(text, strlen(text), id);
}

static void what_is_printed_is_parsed_again(void **state)
{
    static const struct event_id ids[] = {
        {0, 0},
        {0x9f86d081884c7d65, 1024},
        {1, 1},
        {UINT64_MAX, UINT64_MAX},
    };
    char text[EVENT_ID_SIZE];
    struct event_id id;

    (void) state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(parse(event_id_print(ids[i], text), &id), 0);
        assert_true(id.epoch == ids[i].epoch && id.sequence == ids[i].sequence);
    }
    assert_string_equal(event_id_print(ids[1], text), "9f86d081884c7d65-1024");
    assert_string_equal(event_id_print(ids[0], text), "0000000000000000-0");
}

static void nothing_else_is_parsed(void **state)
{
    static const char *const texts[] = {
        "",
        "-",
        "5",
        "9f86d081884c7d65",
        "9f86d081884c7d65-",
        "9f86d081884c7d65-01",
        "9f86d081884c7d65-00",
        "9f86d081884c7d65--1",
        "9f86d081884c7d65-+1",
        "9f86d081884c7d65- 1",
        "9f86d081884c7d65-1 ",
        "9f86d081884c7d65-1x",
        "9f86d081884c7d65-0x1",
        "9f86d081884c7d65_1",
        "9f86d081884c7d6-1",
        "9f86d081884c7d655-1",
        "9F86D081884C7D65-1",
        "9f86d081884c7d6g-1",
        " 9f86d081884c7d65-1",
        "9f86d081884c7d65-18446744073709551616",
        "9f86d081884c7d65-99999999999999999999999999",
    };
    struct event_id id;

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (parse(texts[i], &id) != UV_EINVAL)
            fail_msg("'%s' was parsed", texts[i]);
    }
    assert_int_equal(event_id_parse("9f86d081884c7d65-1\0", 19, &id), UV_EINVAL);
    assert_int_equal(event_id_parse("9f86d081884c7d65-12", 18, &id), 0);
    assert_int_equal(id.sequence, 1); /* the length counts, not what is behind it */
}

static void epochs_differ(void **state)
{
    uint64_t one = 0, other = 0;

    (void) state;
    assert_int_equal(event_id_draw_epoch(&one), 0);
    assert_int_equal(event_id_draw_epoch(&other), 0);
    assert_true(one != other);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_parsed_again),
        cmocka_unit_test(nothing_else_is_parsed),
        cmocka_unit_test(epochs_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

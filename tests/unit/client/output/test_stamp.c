#include "client/output/stamp.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int64_t SECOND = 1000000000;

static void assert_iso(struct stamp_cache *cache, int64_t time, const char *text)
{
    char out[STAMP_MAX];
    size_t len = stamp_iso(cache, out, time);

    assert_int_equal(len, strlen(text));
    assert_memory_equal(out, text, len);
}

static void iso_is_utc_with_microseconds_cut_and_not_rounded(void **state)
{
    struct stamp_cache cache = {0};

    (void) state;
    assert_iso(&cache, 0, "1970-01-01T00:00:00.000000Z");
    assert_iso(&cache, 999999999, "1970-01-01T00:00:00.999999Z");
    assert_iso(&cache, 1795397527 * SECOND + 186611367, "2026-11-23T01:32:07.186611Z");
    assert_iso(&cache, 951782400 * SECOND + 1, "2000-02-29T00:00:00.000000Z");
    assert_iso(&cache, 253402300799 * (SECOND / 1000), "1978-01-11T21:31:40.799000Z");
    assert_iso(&cache, INT64_MAX, "2262-04-11T23:47:16.854775Z");
}

static void local_time_has_its_offset(void **state)
{
    struct stamp_cache cache = {0};
    char out[STAMP_MAX];
    static const char east[] = "2001-09-09T07:16:40.250000+05:30";
    static const char west[] = "2001-09-08T23:16:40.250000-02:30";

    (void) state;
    (void) setenv("TZ", "<+0530>-5:30", 1);
    tzset();
    assert_int_equal(stamp_local(&cache, out, 1000000000 * SECOND + SECOND / 4), sizeof east - 1);
    assert_memory_equal(out, east, sizeof east - 1);
    (void) setenv("TZ", "<-0230>2:30", 1);
    tzset();
    cache = (struct stamp_cache){0};
    assert_int_equal(stamp_local(&cache, out, 1000000000 * SECOND + SECOND / 4), sizeof west - 1);
    assert_memory_equal(out, west, sizeof west - 1);
}

static void a_second_that_is_remembered_is_not_taken_for_another(void **state)
{
    struct stamp_cache cache = {0};

    (void) state;
    assert_iso(&cache, 5 * SECOND + 1000, "1970-01-01T00:00:05.000001Z");
    assert_iso(&cache, 5 * SECOND + 2000, "1970-01-01T00:00:05.000002Z");
    assert_iso(&cache, 6 * SECOND, "1970-01-01T00:00:06.000000Z");
    assert_iso(&cache, 5 * SECOND, "1970-01-01T00:00:05.000000Z");
}

static void before_1970_fractions_count_forward(void **state)
{
    struct stamp_cache cache = {0};

    (void) state;
    assert_iso(&cache, -1000, "1969-12-31T23:59:59.999999Z");
    assert_iso(&cache, -SECOND, "1969-12-31T23:59:59.000000Z");
    assert_iso(&cache, INT64_MIN, "1677-09-21T00:12:43.145224Z");
}

static void seconds_have_the_decimals_that_are_asked_for(void **state)
{
    static const struct {
        int64_t time;
        unsigned decimals;
        const char *text;
    } cases[] = {
        {0, 6, "0.000000"},
        {1, 9, "0.000000001"},
        {1, 6, "0.000000"},
        {1234567891, 6, "1.234567"},
        {1795397527186611367, 9, "1795397527.186611367"},
        {12999999999, 0, "12"},
        {-1500000000, 3, "-1.500"},
        {INT64_MAX, 9, "9223372036.854775807"},
        {INT64_MIN, 9, "-9223372036.854775808"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[STAMP_MAX];
        size_t len = stamp_seconds(out, cases[i].time, cases[i].decimals);

        assert_int_equal(len, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, len);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(iso_is_utc_with_microseconds_cut_and_not_rounded),
        cmocka_unit_test(local_time_has_its_offset),
        cmocka_unit_test(a_second_that_is_remembered_is_not_taken_for_another),
        cmocka_unit_test(before_1970_fractions_count_forward),
        cmocka_unit_test(seconds_have_the_decimals_that_are_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

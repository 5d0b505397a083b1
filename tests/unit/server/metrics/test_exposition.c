#include "server/metrics/exposition.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct buffer out;
static struct exposition page;

static void begin(void)
{
    buffer_init(&out);
    exposition_init(&page, &out);
}

static void check_page(const char *text)
{
    assert_int_equal(page.status, 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal((const char *) out.data, text);
    buffer_deinit(&out);
}

static void a_family_is_told_once_and_its_samples_follow(void **state)
{
    (void) state;
    begin();
    exposition_family(&page, "a_total", "counter", "How many.");
    exposition_count(&page, UINT64_MAX);
    exposition_family(&page, "b", "gauge", "How much.");
    exposition_count_of(&page, "limit", "max-lag", 3);
    exposition_count_of(&page, "limit", "max-memory", 0);
    exposition_number(&page, 0.5);
    exposition_number(&page, 1795714999.25); /* a time: all of its digits */
    check_page("# HELP a_total How many.\n# TYPE a_total counter\na_total 18446744073709551615\n"
               "# HELP b How much.\n# TYPE b gauge\n"
               "b{limit=\"max-lag\"} 3\nb{limit=\"max-memory\"} 0\nb 0.5\nb 1795714999.25\n");
}

static void label_values_cannot_break_out(void **state)
{
    (void) state;
    begin();
    exposition_family(&page, "a", "gauge", "A.");
    exposition_count_of(&page, "l", "\"} 1\n\\", 1);
    check_page("# HELP a A.\n# TYPE a gauge\na{l=\"\\\"} 1\\n\\\\\"} 1\n");
}

static void buckets_are_cumulative_and_the_last_one_is_the_count(void **state)
{
    struct duration_histogram histogram = {.sum = 0}, more = {.sum = 0};

    (void) state;
    duration_observe(&histogram, 0, 1);
    duration_observe(&histogram, 50000, 1); /* a bound belongs to its bucket */
    duration_observe(&histogram, 50001, 2);
    duration_observe(&more, 2500000001, 1);
    duration_add(&histogram, &more);
    begin();
    exposition_family(&page, "d_seconds", "histogram", "D.");
    exposition_duration(&page, "worker", "0", &histogram);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_non_null(strstr((const char *) out.data,
                           "d_seconds_bucket{worker=\"0\",le=\"5e-05\"} 2\n"
                           "d_seconds_bucket{worker=\"0\",le=\"0.0001\"} 4\n"));
    assert_non_null(strstr((const char *) out.data, "le=\"2.5\"} 4\n"));
    assert_non_null(strstr((const char *) out.data, "le=\"+Inf\"} 5\n"
                                                    "d_seconds_sum{worker=\"0\"} 2.50015"));
    assert_non_null(strstr((const char *) out.data, "d_seconds_count{worker=\"0\"} 5\n"));
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_told_once_and_its_samples_follow),
        cmocka_unit_test(label_values_cannot_break_out),
        cmocka_unit_test(buckets_are_cumulative_and_the_last_one_is_the_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

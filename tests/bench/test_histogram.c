#include "tests/bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct histogram histogram;

static int start_empty(void **state)
{
    (void) state;
    histogram_reset(&histogram);
    return 0;
}

static void nothing_has_no_quantile_but_0(void **state)
{
    (void) state;
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
}

static void every_value_falls_into_a_bucket_and_buckets_are_in_order(void **state)
{
    size_t last = 0;

    (void) state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t power = (uint64_t) 1 << bit;

        for (uint64_t part = 0; part < 64; part++) {
            size_t bucket = histogram_bucket(power + power / 64 * part);

            assert_true(bucket < HISTOGRAM_BUCKETS);
            assert_true(bucket >= last);
            last = bucket;
        }
    }
    assert_true(histogram_bucket(UINT64_MAX) < HISTOGRAM_BUCKETS);
}

static void a_quantile_is_within_a_bucket_of_the_truth(void **state)
{
    static const double shares[] = {0.01, 0.5, 0.99, 0.999};

    (void) state;
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&histogram, 1000 * value, 1);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double truth = shares[i] * 100000 * 1000;
        double got = (double) histogram_quantile(&histogram, shares[i]);

        assert_true(got >= truth * 0.999 && got <= truth * 1.017);
    }
    assert_int_equal(histogram_quantile(&histogram, 1), 100000 * 1000);
}

static void many_at_once_count_as_many(void **state)
{
    (void) state;
    histogram_add(&histogram, 10, 99);
    histogram_add(&histogram, 50, 1);
    assert_int_equal(histogram.count, 100);
    assert_int_equal(histogram_quantile(&histogram, 0.99), 10);
    assert_int_equal(histogram_quantile(&histogram, 0.995), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_has_no_quantile_but_0, start_empty),
        cmocka_unit_test_setup(every_value_falls_into_a_bucket_and_buckets_are_in_order,
                               start_empty),
        cmocka_unit_test_setup(a_quantile_is_within_a_bucket_of_the_truth, start_empty),
        cmocka_unit_test_setup(many_at_once_count_as_many, start_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/metrics/process_metrics.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The value of a sample without labels, of a page written now. */
static double value_of(const char *sample)
{
    struct buffer out;
    struct exposition page;
    const char *at;
    double value;

    buffer_init(&out);
    exposition_init(&page, &out);
    process_metrics_write(&page);
    assert_int_equal(page.status, 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    at = strstr((const char *) out.data, sample);
    assert_non_null(at);
    value = strtod(at + strlen(sample), NULL);
    buffer_deinit(&out);
    return value;
}

/* Asks for each descriptor by its number. */
static int open_files(void)
{
    int count = 0;

    for (int fd = 0; fd < 65536; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static void open_files_are_counted_without_the_one_that_counts(void **state)
{
    double before = value_of("\nprocess_open_fds ");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void) state;
    assert_true(fd >= 0);
    assert_true(before == open_files() - 1);
    assert_true(value_of("\nprocess_open_fds ") == before + 1);
    close(fd);
}

static void the_limit_of_files_is_the_one_in_force(void **state)
{
    struct rlimit limit = {.rlim_cur = 77, .rlim_max = 0};
    struct rlimit old;

    (void) state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(value_of("\nprocess_max_fds ") == 77);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static void the_process_started_a_moment_ago(void **state)
{
    double age = (double) time(NULL) - value_of("\nprocess_start_time_seconds ");

    (void) state;
    assert_true(age > -5 && age < 300);
}

static void cpu_and_memory_are_in_base_units(void **state)
{
    double cpu = value_of("\nprocess_cpu_seconds_total ");
    double memory = value_of("\nprocess_resident_memory_bytes ");

    (void) state;
    assert_true(cpu >= 0 && cpu < 300);
    assert_true(memory > 100e3 && memory < 100e9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_files_are_counted_without_the_one_that_counts),
        cmocka_unit_test(the_limit_of_files_is_the_one_in_force),
        cmocka_unit_test(the_process_started_a_moment_ago),
        cmocka_unit_test(cpu_and_memory_are_in_base_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

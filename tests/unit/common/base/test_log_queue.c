#include "common/base/log_queue.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/log.h"

enum { THREADS = 4, LINES = 2000, MANY = 200000, SECOND = 1000 };

static int pipe_ends[2], real_stderr;
static char *text; /* all that was written */
static size_t text_len;

/* From here on stderr is a pipe that nobody reads. */
static int set_up(void **state)
{
    (void) state;
    log_init("prog", LOG_INFO);
    if (pipe(pipe_ends) != 0)
        return -1;
    real_stderr = dup(STDERR_FILENO);
    return dup2(pipe_ends[1], STDERR_FILENO) == -1 ? -1 : close(pipe_ends[1]);
}

static int tear_down(void **state)
{
    (void) state;
    (void) dup2(real_stderr, STDERR_FILENO);
    (void) close(real_stderr);
    (void) close(pipe_ends[0]);
    free(text);
    text = NULL;
    text_len = 0;
    return 0;
}

static void read_on(void)
{
    char *larger;
    ssize_t n;

    larger = realloc(text, text_len + 65537);
    assert_non_null(larger);
    text = larger;
    n = read(pipe_ends[0], text + text_len, 65536);
    assert_true(n >= 0);
    text_len += (size_t) n;
    text[text_len] = '\0';
}

/* On a thread of its own, to the end of the pipe. */
static void read_all(void *argument)
{
    size_t before;

    (void) argument;
    do {
        before = text_len;
        read_on();
    } while (text_len > before);
}

static void say_many(void *argument)
{
    int number = *(int *) argument;

    for (int i = 0; i < LINES; i++)
        log_info("thread %d says %d", number, i);
}

static unsigned long number_behind(const char *line, const char *what)
{
    const char *at = strstr(line, what);

    assert_non_null(at);
    return strtoul(at + strlen(what), NULL, 10);
}

static void lines_of_all_threads_come_whole_and_in_their_order(void **state)
{
    unsigned long next[THREADS] = {0}, lines = 0;
    int numbers[THREADS];
    uv_thread_t threads[THREADS], reader;
    struct log_queue *queue;
    char *line, *rest;

    (void) state;
    assert_int_equal(log_queue_start(&queue), 0);
    assert_int_equal(uv_thread_create(&reader, read_all, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(uv_thread_create(&threads[i], say_many, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_join(&threads[i]), 0);
    log_queue_stop(queue, 60 * SECOND);
    (void) dup2(real_stderr, STDERR_FILENO); /* closes the pipe's last writing end */
    assert_int_equal(uv_thread_join(&reader), 0);
    for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        unsigned long number, i;

        assert_int_equal(strncmp(line, "prog: ", 6), 0);
        if (strstr(line, " log line") != NULL) {
            lines += number_behind(line, "prog: ");
            continue;
        }
        number = number_behind(line, "thread ");
        i = number_behind(line, "says ");
        assert_in_range(number, 0, THREADS - 1);
        assert_in_range(i, next[number], LINES - 1);
        next[number] = i + 1;
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void what_finds_no_room_is_dropped_and_counted_in_its_place(void **state)
{
    static const char marker[] = " log lines dropped here";
    struct log_queue *queue;
    unsigned long last, dropped;
    char *at;

    (void) state;
    assert_int_equal(log_queue_start(&queue), 0);
    for (int i = 0; i < MANY; i++)
        log_info("line %d", i);
    do
        read_on();
    while (strstr(text, marker) == NULL);
    log_info("and one more");
    log_queue_stop(queue, 60 * SECOND);
    while (strstr(text, "prog: and one more\n") == NULL)
        read_on();
    at = strstr(text, marker);
    assert_true(at < strstr(text, "prog: and one more\n"));
    *at = '\0';
    at = strrchr(text, '\n'); /* the last of those that came is the one before */
    dropped = number_behind(at, "prog: ");
    *at = '\0';
    last = number_behind(strrchr(text, '\n'), "line ");
    assert_int_equal(last + 1 + dropped, MANY);
}

static void the_end_waits_no_longer_than_it_is_told(void **state)
{
    struct log_queue *queue;
    uint64_t begin;

    (void) state;
    assert_int_equal(log_queue_start(&queue), 0);
    say_many(&(int){0});
    say_many(&(int){1});
    say_many(&(int){2});
    begin = uv_hrtime();
    log_queue_stop(queue, 50);
    assert_in_range(uv_hrtime() - begin, 50 * 1000000, UINT64_MAX);
    log_error("nobody reads this"); /* and nothing waits for it */
    while (text == NULL || strstr(text, "thread 2 says 1999") == NULL)
        read_on(); /* the thread goes on as long as the process */
    assert_null(strstr(text, "nobody"));
}

static void after_the_end_lines_are_written_at_once(void **state)
{
    struct log_queue *queue;

    (void) state;
    assert_int_equal(log_queue_start(&queue), 0);
    log_info("one");
    log_queue_stop(queue, 60 * SECOND);
    log_info("two");
    read_on();
    assert_string_equal(text, "prog: one\nprog: two\n");
}

static void repeated_lines_are_counted_and_told_at_the_end(void **state)
{
    struct log_queue *queue;
    int lines = 0;

    (void) state;
    assert_int_equal(log_queue_start(&queue), 0);
    for (int i = 0; i < 25; i++)
        log_repeated(LOG_INFO, "refused", "192.0.2.1 port 9", "192.0.2.1 port 9: refused");
    log_queue_stop(queue, 60 * SECOND);
    read_on();
    for (const char *at = text; (at = strstr(at, "port 9: refused\n")) != NULL; at++)
        lines++;
    assert_int_equal(lines, 10);
    assert_non_null(
        strstr(text, "prog: 192.0.2.1: refused: 15 more such lines within 10 s not logged\n"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_of_all_threads_come_whole_and_in_their_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_finds_no_room_is_dropped_and_counted_in_its_place,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_the_end_lines_are_written_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(repeated_lines_are_counted_and_told_at_the_end, set_up,
                                        tear_down),
        /* Leaves its queue to the end of the process: the last one. */
        cmocka_unit_test_setup_teardown(the_end_waits_no_longer_than_it_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

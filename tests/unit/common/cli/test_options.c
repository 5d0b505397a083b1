#include "common/cli/options.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- parsing, by a table of the test's own ---- */

struct target {
    bool raw;
    bool quiet;
    const char *names[4];
    size_t name_count;
    const char *word;
    uint64_t count;
    uint64_t size;
    uint64_t time;
    unsigned choice;
    unsigned optional;
};

static int store_name(void *target, const char *argument, struct error *error)
{
    struct target *t = target;

    if (*argument == '!')
        return error_set(error, UV_EINVAL, "'%s' is no name", argument);
    t->names[t->name_count++] = argument;
    return 0;
}

static const struct option_spec specs[] = {
    {.help = "A group:"},
    {"raw", 'r', NULL, "just a flag", OPTION_AT(FLAG, struct target, raw)},
    {"name", 'n', "NAME", "takes an argument", OPTION_BY(store_name)},
    {.help = "Another group:"},
    {"quiet", 'q', NULL, "another flag", OPTION_AT(FLAG, struct target, quiet)},
    {"count", 0, "N",
     "has no short name, and an explanation that is longer than what is left of a line of eighty "
     "columns; in fact it is so long that it takes three lines to tell, more or less, as it goes "
     "on",
     OPTION_AT(COUNT, struct target, count), .min = 1, .max = 10},
    {"an-option-with-a-very-long-name", 'a', "ARGUMENT", "stands on a line of its own",
     OPTION_BY(store_name)},
    {"word", 'w', "WORD", "borrowed", OPTION_AT(STRING, struct target, word)},
    {"size", 0, "SIZE", "bytes", OPTION_AT(SIZE, struct target, size), .min = 16, .max = 4096},
    {"time", 't', "SECONDS", "a time", OPTION_AT(SECONDS, struct target, time), .min = 1},
    {"one-blank-would", 0, "N", "there is room for", OPTION_AT(COUNT, struct target, count)},
    {"time-or-none", 0, "SECONDS", "a time, or 0", OPTION_AT(SECONDS, struct target, time)},
    {"choice", 'c', "one|two|three", "a word", OPTION_AT(CHOICE, struct target, choice)},
    {"optional", 0, "iso|epoch", "a word, or none", OPTION_AT(CHOICE, struct target, optional),
     .min = 5, .optional = true},
};

static const struct option_status statuses[] = {
    {0, "all is well"},
    {124, "so much is not that the line has to be broken where it would be wider than all the "
          "others"},
    {OPTION_STATUS_N, "not known beforehand"},
};

static const struct option_table table = {
    .program = "prog",
    .synopsis = "[OPTION]... [OPERAND]...",
    .summary = "Does nothing.",
    .specs = specs,
    .count = sizeof specs / sizeof *specs,
    .epilogue = "The end.\n",
    .statuses = statuses,
    .status_count = sizeof statuses / sizeof *statuses,
};

enum { MAX_ARGS = 8 };

static char *arguments[MAX_ARGS + 2];

/* Parses the words (getopt moves them about: `arguments` has them afterwards). */
static int parse(const char *const words[], struct target *target, int *operands,
                 struct error *error)
{
    static char program[] = "prog";
    int count = 1;

    *target = (struct target){0};
    *error = (struct error){""};
    arguments[0] = program;
    while (words[count - 1] != NULL) {
        arguments[count] = (char *) (uintptr_t) words[count - 1];
        count++;
    }
    arguments[count] = NULL;
    return options_parse(&table, count, arguments, target, operands, error);
}

static void long_and_short_names_are_the_same_option(void **state)
{
    static const char *const ways[][MAX_ARGS] = {
        {"--raw", "--name", "x", "--quiet"},
        {"-r", "-n", "x", "-q"},
        {"-rqnx"},
        {"-qrn", "x"},
        {"--name=x", "-rq"},
        {"--ra", "--nam=x", "--q"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct target target;
        struct error error;
        int operands = 0;

        assert_int_equal(parse(ways[i], &target, &operands, &error), 0);
        assert_true(target.raw);
        assert_true(target.quiet);
        assert_int_equal(target.name_count, 1);
        assert_string_equal(target.names[0], "x");
        assert_null(arguments[operands]);
    }
}

static void operands_are_moved_to_the_end_in_order(void **state)
{
    static const char *const words[] = {"one", "-r", "two", "-n", "x", "-", "--", "-q", NULL};
    static const char *const expected[] = {"one", "two", "-", "-q"};
    struct target target;
    struct error error;
    int operands;

    (void) state;
    assert_int_equal(parse(words, &target, &operands, &error), 0);
    assert_true(target.raw);
    assert_false(target.quiet);
    for (int i = 0; i < 4; i++)
        assert_string_equal(arguments[operands + i], expected[i]);
    assert_null(arguments[operands + 4]);
}

static void an_argument_may_look_like_anything(void **state)
{
    static const char *const words[] = {"-n", "-r", "--name", "--", "--name=", "-n", "", NULL};
    static const char *const expected[] = {"-r", "--", "", ""};
    struct target target;
    struct error error;
    int operands;

    (void) state;
    assert_int_equal(parse(words, &target, &operands, &error), 0);
    assert_false(target.raw);
    assert_int_equal(target.name_count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(target.names[i], expected[i]);
}

static void each_kind_of_option_is_stored_where_it_belongs(void **state)
{
    static const char *const words[] = {"--count", "10", "--size=4K", "-t", "1.5", "-w", "", NULL};
    static const char *const zero[] = {"--time-or-none", "0", NULL};
    struct target target;
    struct error error;
    int operands;

    (void) state;
    assert_int_equal(parse(words, &target, &operands, &error), 0);
    assert_int_equal(target.count, 10);
    assert_int_equal(target.size, 4096);
    assert_int_equal(target.time, 1500);
    assert_ptr_equal(target.word, words[6]);
    assert_false(target.raw || target.quiet);
    assert_int_equal(parse(zero, &target, &operands, &error), 0);
    assert_int_equal(target.time, 0);
}

static void each_kind_of_option_keeps_its_bounds(void **state)
{
    static const char *const cases[][3] = {
        {"--count", "0"},   {"--count", "11"},        {"--count", "1K"},       {"--size", "15"},
        {"--size", "4097"}, {"--size", "5K"},         {"--size", "x"},         {"--time", "0"},
        {"--time", "x"},    {"--time-or-none", "-0"}, {"--time-or-none", "x"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target target;
        struct error error;
        char quoted[64];
        int operands;

        if (parse(cases[i], &target, &operands, &error) != UV_EINVAL)
            fail_msg("%s %s is accepted", cases[i][0], cases[i][1]);
        (void) snprintf(quoted, sizeof quoted, "option '%s': '%s' ", cases[i][0], cases[i][1]);
        assert_memory_equal(error.text, quoted, strlen(quoted));
    }
}

static void an_error_names_the_option(void **state)
{
    static const struct {
        const char *words[MAX_ARGS];
        const char *text;
    } cases[] = {
        {{"-z"}, "option '-z' is unknown"},
        {{"-rz"}, "option '-z' is unknown"},
        {{"-zr"}, "option '-z' is unknown"},
        {{"--raw", "-z"}, "option '-z' is unknown"},
        {{"x", "-z", "y"}, "option '-z' is unknown"},
        {{"--zzz"}, "option '--zzz' is unknown"},
        {{"--raw", "--zzz"}, "option '--zzz' is unknown"},
        {{"-n"}, "option '-n' needs an argument"},
        {{"-rn"}, "option '-n' needs an argument"},
        {{"--raw", "-n"}, "option '-n' needs an argument"},
        {{"--name"}, "option '--name' needs an argument"},
        {{"x", "--name"}, "option '--name' needs an argument"},
        {{"--raw=x"}, "option '--raw=x' takes no argument"},
        {{"--count=11"}, "option '--count': '11' is not a whole number from 1 to 10"},
        {{"--co", "x"}, "option '--count': 'x' is not a whole number from 1 to 10"},
        {{"-n", "!"}, "option '--name': '!' is no name"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target target;
        struct error error;
        int operands;

        assert_int_equal(parse(cases[i].words, &target, &operands, &error), UV_EINVAL);
        assert_string_equal(error.text, cases[i].text);
    }
}

/* getopt has not moved on yet when it finds a bad letter that others follow. */
static void an_error_within_a_cluster_does_not_name_the_option_before(void **state)
{
    static const char *const words[] = {"--raw", "-zq", NULL};
    struct target target;
    struct error error;
    int operands;

    (void) state;
    assert_int_equal(parse(words, &target, &operands, &error), UV_EINVAL);
    assert_string_equal(error.text, "option '-z' is unknown");
}

/* Such a letter has several bytes; getopt takes the first, a negative char, for the letter. */
static void an_error_about_a_letter_beyond_ascii_names_no_other_word(void **state)
{
    static const char *const cases[][3] = {{"-\xc3\xa9"}, {"--raw", "-\xc3\xa9"}, {"-r\xc3\xa9"}};

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target target;
        struct error error;
        int operands;

        assert_int_equal(parse(cases[i], &target, &operands, &error), UV_EINVAL);
        assert_null(strstr(error.text, "'--raw'"));
        assert_null(strstr(error.text, "'prog'"));
        assert_non_null(strstr(error.text, "unknown"));
    }
}

static void a_choice_is_one_of_the_words_that_help_shows(void **state)
{
    static const struct {
        const char *words[MAX_ARGS];
        unsigned choice, optional;
        const char *text; /* of the error, or NULL */
    } cases[] = {
        {{"-c", "one"}, 0, 0, NULL},
        {{"--choice=three"}, 2, 0, NULL},
        {{"--optional"}, 0, 5, NULL},
        {{"--optional=epoch"}, 0, 6, NULL},
        {{"--optional", "epoch"}, 0, 5, NULL}, /* an operand */
        {{"-c", "on"}, 0, 0, "option '--choice': 'on' is none of one|two|three"},
        {{"-c", "one|two"}, 0, 0, "option '--choice': 'one|two' is none of one|two|three"},
        {{"-c", ""}, 0, 0, "option '--choice': '' is none of one|two|three"},
        {{"--optional="}, 0, 0, "option '--optional': '' is none of iso|epoch"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target target;
        struct error error;
        int operands;
        int status = parse(cases[i].words, &target, &operands, &error);

        assert_int_equal(status, cases[i].text == NULL ? 0 : UV_EINVAL);
        assert_int_equal(target.choice, cases[i].choice);
        assert_int_equal(target.optional, cases[i].optional);
        if (cases[i].text != NULL)
            assert_string_equal(error.text, cases[i].text);
    }
}

/* ---- help ---- */

/* The help, in memory of its own. */
static char *help(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    options_print_help(&table, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void help_is_made_from_the_table(void **state)
{
    char *text = help();

    (void) state;
    assert_string_equal(
        text, "Usage: prog [OPTION]... [OPERAND]...\n"
              "\n"
              "Does nothing.\n"
              "\n"
              "A group:\n"
              "  -r, --raw               just a flag\n"
              "  -n, --name NAME         takes an argument\n"
              "\n"
              "Another group:\n"
              "  -q, --quiet             another flag\n"
              "      --count N           has no short name, and an explanation that is longer\n"
              "                          than what is left of a line of eighty columns; in\n"
              "                          fact it is so long that it takes three lines to tell,\n"
              "                          more or less, as it goes on\n"
              "  -a, --an-option-with-a-very-long-name ARGUMENT\n"
              "                          stands on a line of its own\n"
              "  -w, --word WORD         borrowed\n"
              "      --size SIZE         bytes\n"
              "  -t, --time SECONDS      a time\n"
              "      --one-blank-would N\n"
              "                          there is room for\n"
              "      --time-or-none SECONDS\n"
              "                          a time, or 0\n"
              "  -c, --choice one|two|three\n"
              "                          a word\n"
              "      --optional[=iso|epoch]\n"
              "                          a word, or none\n"
              "\n"
              "The end.\n"
              "\n"
              "Exit status:\n"
              "  0    all is well\n"
              "  124  so much is not that the line has to be broken where it would be wider\n"
              "       than all the others\n"
              "  N    not known beforehand\n");
    free(text);
}

/* ---- values ---- */

static void sizes_are_bytes_or_powers_of_1024(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"007", 7},
        {"1K", 1024},
        {"1k", 1024},
        {"3M", 3 * 1024 * 1024},
        {"3m", 3 * 1024 * 1024},
        {"2G", (uint64_t) 2 << 30},
        {"2g", (uint64_t) 2 << 30},
        {"18446744073709551615", UINT64_MAX},
        {"17179869183G", (uint64_t) 17179869183 << 30},
    };
    struct error error;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t size = 12345;

        if (options_parse_size(cases[i].text, 0, UINT64_MAX, &size, &error) != 0)
            fail_msg("'%s': %s", cases[i].text, error.text);
        if (size != cases[i].size)
            fail_msg("'%s' is %llu", cases[i].text, (unsigned long long) size);
    }
}

static void what_is_no_size_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "K",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1 K",
        "1KB",
        "1KiB",
        "1KK",
        "1T",
        "1b",
        "1.5",
        "0x10",
        "1e3",
        "1K ",
        "x",
        "1\n",
        "1\v",
        "0 ",
        "18446744073709551616",
        "99999999999999999999999",
        "17179869184G",
        "18014398509481984K",
        "18446744073709551615G",
    };
    struct error error;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t size = 12345;

        if (options_parse_size(cases[i], 0, UINT64_MAX, &size, &error) != UV_EINVAL)
            fail_msg("'%s' is taken for %llu", cases[i], (unsigned long long) size);
        assert_int_equal(size, 12345);
        assert_non_null(strstr(error.text, cases[i]));
    }
}

static void a_size_keeps_its_bounds(void **state)
{
    static const struct {
        const char *text;
        uint64_t min, max;
        const char *bound; /* that it breaks; NULL: none */
    } cases[] = {
        {"4096", 0, 4096, NULL},   {"4K", 0, 4096, NULL},        {"0G", 0, 4096, NULL},
        {"4097", 0, 4096, "4096"}, {"5K", 0, 4096, "4096"},      {"1G", 0, 4096, "4096"},
        {"4K", 4096, 8192, NULL},  {"4095", 4096, 8192, "4096"}, {"3K", 4096, 8192, "4096"},
        {"0", 1, UINT64_MAX, "1"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        uint64_t size = 0;
        int status = options_parse_size(cases[i].text, cases[i].min, cases[i].max, &size, &error);

        assert_int_equal(status, cases[i].bound == NULL ? 0 : UV_EINVAL);
        if (cases[i].bound != NULL)
            assert_non_null(strstr(error.text, cases[i].bound));
    }
}

static void counts_are_whole_numbers_within_their_bounds(void **state)
{
    static const char *const bad[] = {"",   "4",  "11", "-5", "+5",  " 5",
                                      "5 ", "5K", "5.", "x",  "0x5", "18446744073709551621"};
    struct error error;
    uint64_t count = 0;

    (void) state;
    assert_int_equal(options_parse_count("5", 5, 10, &count, &error), 0);
    assert_int_equal(count, 5);
    assert_int_equal(options_parse_count("10", 5, 10, &count, &error), 0);
    assert_int_equal(count, 10);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(options_parse_count(bad[i], 5, 10, &count, &error), UV_EINVAL);
        assert_non_null(strstr(error.text, "5 to 10"));
        assert_int_equal(count, 10);
    }
    assert_int_equal(options_parse_count("18446744073709551615", 0, UINT64_MAX, &count, &error), 0);
    assert_true(count == UINT64_MAX);
    assert_int_equal(options_parse_count("18446744073709551616", 0, UINT64_MAX, &count, &error),
                     UV_EINVAL);
}

static void seconds_become_milliseconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t milliseconds;
    } cases[] = {
        {"1", 1000},      {"0.5", 500},        {".25", 250},
        {"3.", 3000},     {"0.001", 1},        {"0.0001", 1},
        {"10.75", 10750}, {"86400", 86400000}, {"2147483", 2147483000},
    };
    struct error error;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t milliseconds = 0;

        if (options_parse_seconds(cases[i].text, false, &milliseconds, &error) != 0)
            fail_msg("'%s': %s", cases[i].text, error.text);
        if (milliseconds != cases[i].milliseconds)
            fail_msg("'%s' is %llu", cases[i].text, (unsigned long long) milliseconds);
    }
}

static void no_time_at_all_is_a_time_only_where_that_is_allowed(void **state)
{
    struct error error;
    uint64_t milliseconds = 12345;

    (void) state;
    assert_int_equal(options_parse_seconds("0", false, &milliseconds, &error), UV_EINVAL);
    assert_int_equal(options_parse_seconds("0", true, &milliseconds, &error), 0);
    assert_int_equal(milliseconds, 0);
    assert_int_equal(options_parse_seconds("0.5", true, &milliseconds, &error), 0);
    assert_int_equal(milliseconds, 500);
    assert_int_equal(options_parse_seconds("-1", true, &milliseconds, &error), UV_EINVAL);
    assert_int_equal(options_parse_seconds("", true, &milliseconds, &error), UV_EINVAL);
}

static void whole_milliseconds_are_exact(void **state)
{
    struct error error;

    (void) state;
    for (unsigned n = 1; n <= 100000; n++) {
        uint64_t milliseconds = 0;
        char text[32];

        (void) snprintf(text, sizeof text, "%u.%03u", n / 1000, n % 1000);
        assert_int_equal(options_parse_seconds(text, false, &milliseconds, &error), 0);
        if (milliseconds != n)
            fail_msg("'%s' is %llu", text, (unsigned long long) milliseconds);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "0",
        "0.0",
        ".",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1s",
        "1e3",
        "0x1",
        "inf",
        "nan",
        "1,5",
        "1.2.3",
        "2147484",
        "315576001",
        "1e999",
        "99999999999999999999",
    };
    struct error error;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t milliseconds = 12345;

        if (options_parse_seconds(cases[i], false, &milliseconds, &error) != UV_EINVAL)
            fail_msg("'%s' is taken for %llu", cases[i], (unsigned long long) milliseconds);
        assert_int_equal(milliseconds, 12345);
        assert_non_null(strstr(error.text, cases[i]));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_and_short_names_are_the_same_option),
        cmocka_unit_test(operands_are_moved_to_the_end_in_order),
        cmocka_unit_test(an_argument_may_look_like_anything),
        cmocka_unit_test(each_kind_of_option_is_stored_where_it_belongs),
        cmocka_unit_test(each_kind_of_option_keeps_its_bounds),
        cmocka_unit_test(an_error_names_the_option),
        cmocka_unit_test(an_error_within_a_cluster_does_not_name_the_option_before),
        cmocka_unit_test(an_error_about_a_letter_beyond_ascii_names_no_other_word),
        cmocka_unit_test(a_choice_is_one_of_the_words_that_help_shows),
        cmocka_unit_test(help_is_made_from_the_table),
        cmocka_unit_test(sizes_are_bytes_or_powers_of_1024),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(a_size_keeps_its_bounds),
        cmocka_unit_test(counts_are_whole_numbers_within_their_bounds),
        cmocka_unit_test(seconds_become_milliseconds),
        cmocka_unit_test(no_time_at_all_is_a_time_only_where_that_is_allowed),
        cmocka_unit_test(whole_milliseconds_are_exact),
        cmocka_unit_test(what_is_no_time_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

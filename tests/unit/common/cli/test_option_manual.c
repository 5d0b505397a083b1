#include "common/cli/option_manual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct option_spec specs[] = {
    {.help = "A \"group\", No less:"},
    {"raw", 'r', NULL, "print just that; see --name, -r, -q (or --name) or --nam",
     .kind = OPTION_FLAG},
    {"name", 0, "NAME", ".dot, 'quote' and \\; NAME is NAMED", .kind = OPTION_STRING},
    {.help = "Another"},
    {"stamp", 't', "iso|epoch", "-1 is no option, nor is -- (--raw is)", .kind = OPTION_STRING,
     .optional = true},
};

static const struct option_status statuses[] = {
    {0, "all is well"}, {124, "too late: --name"}, {OPTION_STATUS_N, "128 + N"}};

static const struct option_table table = {
    .program = "prog",
    .specs = specs,
    .count = sizeof specs / sizeof *specs,
    .statuses = statuses,
    .status_count = sizeof statuses / sizeof *statuses,
};

/* Makes the page into `page` (to be freed). */
static int make(const char *source, char **page, struct error *error)
{
    FILE *template = fmemopen((char *) (uintptr_t) source, strlen(source), "r");
    size_t len = 0;
    FILE *out = open_memstream(page, &len);
    int status;

    assert_non_null(template);
    assert_non_null(out);
    status = option_manual_print(&table, template, out, error);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fclose(template), 0);
    return status;
}

static void the_page_is_the_template_with_what_the_table_knows(void **state)
{
    struct error error;
    char *page;

    (void) state;
    assert_int_equal(
        make(".Os @VERSION@, @VERSION@.\n@OPTIONS@\nmail a@b\n@EXIT_STATUS@\nlast", &page, &error),
        0);
    assert_string_equal(page, ".Os " WS_VERSION ", " WS_VERSION ".\n"
                              ".Ss \"A \\(dqgroup\\(dq, No less\"\n"
                              ".Bl -tag -width Ds\n"
                              ".It Fl r , Fl -raw\n"
                              "print just that; see\n"
                              ".Fl -name ,\n"
                              ".Fl r ,\n"
                              "\\-q (or\n"
                              ".Fl -name )\n"
                              "or \\-\\-nam\n"
                              ".It Fl -name Ar NAME\n"
                              "\\&.dot, \\(aqquote\\(aq and \\e;\n"
                              ".Ar NAME\n"
                              "is NAMED\n"
                              ".El\n"
                              ".Ss \"Another\"\n"
                              ".Bl -tag -width Ds\n"
                              ".It Fl t , Fl -stamp Ns Oo = Ns Ar iso|epoch Oc\n"
                              "\\-1 is no option, nor is \\-\\- (\\-\\-raw is)\n"
                              ".El\n"
                              "mail a@b\n"
                              ".Bl -tag -width 124 -compact\n"
                              ".It 0\n"
                              "all is well\n"
                              ".It 124\n"
                              "too late:\n"
                              ".Fl -name\n"
                              ".It Ar N\n"
                              "128 +\n"
                              ".Ar N\n"
                              ".El\n"
                              "last");
    free(page);
}

static void a_template_that_would_lose_something_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"@OPTIONS@\n", "@EXIT_STATUS@"},
        {"@EXIT_STATUS@\n", "@OPTIONS@"},
        {"@OPTIONS@ \n@EXIT_STATUS@\n", "'@OPTIONS@ '"},
        {"@OPTIONS@\n@EXIT_STATUS@\n@OPTION@\n", "'@OPTION@'"},
        {"x", "@OPTIONS@"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        char *page;

        assert_int_equal(make(cases[i][0], &page, &error), UV_EINVAL);
        if (strstr(error.text, cases[i][1]) == NULL)
            fail_msg("'%s' is not in: %s", cases[i][1], error.text);
        free(page);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_the_template_with_what_the_table_knows),
        cmocka_unit_test(a_template_that_would_lose_something_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

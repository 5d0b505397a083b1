/* What holds for the help of both programs. To be included by a test, after cmocka.h. */
#ifndef WS_TESTS_UNIT_OPTION_HELP_H
#define WS_TESTS_UNIT_OPTION_HELP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/options.h"

/* No line of it has more than 80 columns, and it names every option. */
static inline void check_help(const struct option_table *table)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    options_print_help(table, out);
    assert_int_equal(fclose(out), 0);
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        if (end - line > 80)
            fail_msg("too wide: %.*s", (int) (end - line), line);
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->specs[i].name != NULL && strstr(text, table->specs[i].name) == NULL)
            fail_msg("--%s is missing", table->specs[i].name);
    }
    free(text);
}

#endif

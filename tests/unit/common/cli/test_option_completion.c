#include "common/cli/option_completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct option_spec specs[] = {
    {.help = "A group:"},
    {"raw", 'r', NULL, "it's [raw]\\; and more", .kind = OPTION_FLAG},
    {"file", 'f', "FILE", "by name (default: none)", .kind = OPTION_STRING},
    {"dir", 0, "DIR", "by name", .kind = OPTION_STRING},
    {"exec", 0, "COMMAND", "by name", .kind = OPTION_STRING},
    {"socket", 0, "PATH", "by hand", .kind = OPTION_STRING, .offer = OPTION_OFFER_FILES},
    {"head", 'H', "FILE", "not by name", .kind = OPTION_CUSTOM, .offer = OPTION_OFFER_NOTHING},
    {"end", 'e', "close|keep", "one of two", .kind = OPTION_STRING},
    {"level", 0, "LEVEL", "one of two", .kind = OPTION_STRING, .values = "high|low"},
    {"stamp", 't', "iso|epoch", "may stand alone", .kind = OPTION_STRING, .optional = true},
    {"at", 0, "HOST:PORT",
     "free: and more than fits beside an option in a list of them, in a terminal of 80 columns",
     .kind = OPTION_STRING},
};

static const struct option_table table = {
    .program = "prog",
    .specs = specs,
    .count = sizeof specs / sizeof *specs,
};

static void assert_printed(void (*print)(const struct option_table *table, FILE *out),
                           const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    print(&table, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void zsh_gets_the_language_of_its_arguments_function(void **state)
{
    (void) state;
    assert_printed(
        option_completion_print_zsh,
        "#compdef prog\n"
        "# zsh completion of prog, made from its table of options: changes belong "
        "there.\n"
        "_arguments -s -S \\\n"
        "    '(-r --raw)'{-r,--raw}'[it'\\''s \\[raw\\]\\\\]' \\\n"
        "    '(-f --file)'{-f+,--file=}'[by name]:FILE:_files' \\\n"
        "    --dir='[by name]:DIR:_files -/' \\\n"
        "    --exec='[by name]:COMMAND:_cmdstring' \\\n"
        "    --socket='[by hand]:PATH:_files' \\\n"
        "    '*'{-H+,--head=}'[not by name]:FILE: ' \\\n"
        "    '(-e --end)'{-e+,--end=}'[one of two]:close|keep:(close keep)' \\\n"
        "    --level='[one of two]:LEVEL:(high low)' \\\n"
        "    '(-t --stamp)'{-t-,--stamp=-}'[may stand alone]::iso|epoch:(iso epoch)' \\\n"
        "    --at='[free]:HOST\\:PORT: '\n");
}

static void fish_gets_a_line_for_each_option(void **state)
{
    (void) state;
    assert_printed(option_completion_print_fish,
                   "# fish completion of prog, made from its table of options: changes belong "
                   "there.\n"
                   "complete -c prog -f\n"
                   "complete -c prog -s r -l raw -d 'it\\'s [raw]\\\\'\n"
                   "complete -c prog -s f -l file -r -F -d 'by name'\n"
                   "complete -c prog -l dir -x -a '(__fish_complete_directories)' -d 'by name'\n"
                   "complete -c prog -l exec -x -a '(__fish_complete_command)' -d 'by name'\n"
                   "complete -c prog -l socket -r -F -d 'by hand'\n"
                   "complete -c prog -s H -l head -x -d 'not by name'\n"
                   "complete -c prog -s e -l end -x -a 'close keep' -d 'one of two'\n"
                   "complete -c prog -l level -x -a 'high low' -d 'one of two'\n"
                   "complete -c prog -s t -l stamp -a 'iso epoch' -d 'may stand alone'\n"
                   "complete -c prog -l at -x -d 'free'\n");
}

/* What the function does with a line is for the integration suite, where there is a bash. */
static void bash_has_a_case_for_every_argument(void **state)
{
    static const char *const parts[] = {
        "\n_prog()\n",
        "        -e | --end | --end=)\n"
        "            mapfile -t COMPREPLY < <(compgen -W 'close keep' -- \"$word\")\n",
        "        --level | --level=)\n"
        "            mapfile -t COMPREPLY < <(compgen -W 'high low' -- \"$word\")\n",
        "        --stamp=)\n"
        "            mapfile -t COMPREPLY < <(compgen -W 'iso epoch' -- \"$word\")\n",
        "        -f | --file | --file= | \\\n"
        "        --socket | --socket=)\n",
        "        --dir | --dir=)\n",
        "        --exec | --exec=)\n",
        "        -H | --head | --head= | \\\n"
        "        --at | --at=)\n"
        "            return\n",
        "        --raw -r\n        --file -f\n        --dir\n",
        "\ncomplete -F _prog prog\n",
    };
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void) state;
    assert_non_null(out);
    option_completion_print_bash(&table, out);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(text, parts[i]) == NULL)
            fail_msg("not there:\n%sbut:\n%s", parts[i], text);
    }
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(zsh_gets_the_language_of_its_arguments_function),
        cmocka_unit_test(fish_gets_a_line_for_each_option),
        cmocka_unit_test(bash_has_a_case_for_every_argument),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

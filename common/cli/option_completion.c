#include "common/cli/option_completion.h"

#include <stdbool.h>
#include <string.h>

enum { BRIEF_MAX = 80 }; /* beyond this an explanation is long: see brief_len */

/* What is offered for an option's argument. */
struct offer {
    enum option_offer kind; /* never OPTION_OFFER_BY_NAME */
    const char *words;      /* between bars; NULL: none */
};

/* Of an option that takes an argument. */
static struct offer offer_of(const struct option_spec *spec)
{
    struct offer offer = {.kind = spec->offer, .words = spec->values};

    if (offer.kind != OPTION_OFFER_BY_NAME)
        return offer;
    offer.kind = OPTION_OFFER_NOTHING;
    if (strcmp(spec->argument, "FILE") == 0)
        offer.kind = OPTION_OFFER_FILES;
    else if (strcmp(spec->argument, "DIR") == 0)
        offer.kind = OPTION_OFFER_DIRECTORIES;
    else if (strcmp(spec->argument, "COMMAND") == 0)
        offer.kind = OPTION_OFFER_COMMANDS;
    else if (offer.words == NULL && strchr(spec->argument, '|') != NULL)
        offer.words = spec->argument;
    return offer;
}

static void print_words(FILE *out, const char *words)
{
    for (; *words != '\0'; words++)
        fputc(*words == '|' ? ' ' : *words, out);
}

/* Prints text that stands in single quotes, with a backslash before each char of `special`; the
 * shell's own way to write a quote there is `quote`. */
static void print_quoted(FILE *out, const char *text, size_t len, const char *special,
                         const char *quote)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') {
            fputs(quote, out);
            continue;
        }
        if (strchr(special, text[i]) != NULL)
            fputc('\\', out);
        fputc(text[i], out);
    }
}

/* How much of an explanation fits beside an option: up to the first semicolon or the default; and
 * of what is long even then, up to the first colon. */
static size_t brief_len(const char *help)
{
    const char *by_default = strstr(help, " (default");
    const char *colon = strstr(help, ": ");
    size_t len = strcspn(help, ";");

    if (by_default != NULL && (size_t) (by_default - help) < len)
        len = (size_t) (by_default - help);
    if (len > BRIEF_MAX && colon != NULL && (size_t) (colon - help) < len)
        len = (size_t) (colon - help);
    return len;
}

static void print_title(FILE *out, const struct option_table *table, const char *shell)
{
    fprintf(out, "# %s completion of %s, made from its table of options: changes belong there.\n",
            shell, table->program);
}

/* ---- bash ---- */

/* "-n | --count | --count=": the words behind which the argument stands. One that may be left out
 * is only there behind a '='. */
static void print_bash_pattern(const struct option_spec *spec, FILE *out)
{
    if (!spec->optional && spec->letter != 0)
        fprintf(out, "-%c | ", spec->letter);
    if (!spec->optional)
        fprintf(out, "--%s | ", spec->name);
    fprintf(out, "--%s=", spec->name);
}

/* Prints the patterns of each option whose argument is of this kind (those with words of their own
 * aside); returns how many there are. */
static size_t print_bash_patterns(const struct option_table *table, FILE *out,
                                  enum option_offer kind)
{
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *spec = &table->specs[i];
        struct offer offer;

        if (spec->name == NULL || spec->argument == NULL)
            continue;
        offer = offer_of(spec);
        if (offer.kind != kind || offer.words != NULL)
            continue;
        fputs(count++ == 0 ? "        " : " | \\\n        ", out);
        print_bash_pattern(spec, out);
    }
    return count;
}

static void print_bash_words(const struct option_spec *spec, FILE *out)
{
    struct offer offer = offer_of(spec);

    if (offer.words == NULL)
        return;
    fputs("        ", out);
    print_bash_pattern(spec, out);
    fputs(")\n            mapfile -t COMPREPLY < <(compgen -W '", out);
    print_words(out, offer.words);
    fputs("' -- \"$word\")\n            return\n            ;;\n", out);
}

static void print_bash_arguments(const struct option_table *table, FILE *out)
{
    static const struct {
        enum option_offer kind;
        const char *action;
    } kinds[] = {
        {OPTION_OFFER_FILES, "f"},
        {OPTION_OFFER_DIRECTORIES, "d"},
        {OPTION_OFFER_COMMANDS, "c"},
        {OPTION_OFFER_NOTHING, NULL},
    };

    fputs("    case $option in\n", out);
    for (size_t i = 0; i < table->count; i++) {
        if (table->specs[i].name != NULL && table->specs[i].argument != NULL)
            print_bash_words(&table->specs[i], out);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (print_bash_patterns(table, out, kinds[i].kind) == 0)
            continue;
        fputs(")\n", out);
        if (kinds[i].action != NULL)
            fprintf(out,
                    "            compopt -o filenames 2>/dev/null\n"
                    "            mapfile -t COMPREPLY < <(compgen -%s -- \"$word\")\n",
                    kinds[i].action);
        fputs("            return\n            ;;\n", out);
    }
    fputs("    esac\n", out);
}

void option_completion_print_bash(const struct option_table *table, FILE *out)
{
    print_title(out, table, "bash");
    fprintf(out,
            "_%s()\n"
            "{\n"
            "    local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} i\n"
            "\n"
            "    COMPREPLY=()\n"
            "    # readline has cut --option=word into three.\n"
            "    if [[ $word == '=' ]]; then\n"
            "        word='' option+='='\n"
            "    elif [[ $option == '=' ]]; then\n"
            "        option=${COMP_WORDS[COMP_CWORD - 2]}=\n"
            "    fi\n",
            table->program);
    print_bash_arguments(table, out);
    fputs("    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        [[ ${COMP_WORDS[i]} == -- ]] && return\n"
          "    done\n"
          "    [[ $word == -* ]] || return 0\n"
          "    mapfile -t COMPREPLY < <(compgen -W '\n",
          out);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *spec = &table->specs[i];

        if (spec->name == NULL)
            continue;
        fprintf(out, "        --%s", spec->name);
        if (spec->letter != 0)
            fprintf(out, " -%c", spec->letter);
        fputc('\n', out);
    }
    fprintf(out, "    ' -- \"$word\")\n}\ncomplete -F _%s %s\n", table->program, table->program);
}

/* ---- zsh ---- */

static void print_zsh_argument(const struct option_spec *spec, FILE *out)
{
    struct offer offer = offer_of(spec);

    fputs(spec->optional ? "::" : ":", out);
    print_quoted(out, spec->argument, strlen(spec->argument), "\\:", "'\\''");
    if (offer.words != NULL) {
        fputs(":(", out);
        print_words(out, offer.words);
        fputc(')', out);
        return;
    }
    switch (offer.kind) {
    case OPTION_OFFER_FILES:
        fputs(":_files", out);
        break;
    case OPTION_OFFER_DIRECTORIES:
        fputs(":_files -/", out);
        break;
    case OPTION_OFFER_COMMANDS:
        fputs(":_cmdstring", out);
        break;
    default:
        fputs(": ", out); /* only its name is shown */
    }
}

/* One option in the language of _arguments, as
 *   '(-n --count)'{-n+,--count=}'[close and exit 0 after N messages]:N: '
 * An option with a function of its own may collect what it is given: it is offered again. */
static void print_zsh_option(const struct option_spec *spec, FILE *out)
{
    const char *shorts = spec->argument == NULL ? "" : "+";
    const char *longs = spec->argument == NULL ? "" : "=";
    bool again = spec->kind == OPTION_CUSTOM;

    if (spec->argument != NULL && spec->optional) {
        shorts = "-";
        longs = "=-";
    }
    fputs(" \\\n    ", out);
    if (again)
        fputs("'*'", out);
    else if (spec->letter != 0)
        fprintf(out, "'(-%c --%s)'", spec->letter, spec->name);
    if (spec->letter != 0)
        fprintf(out, "{-%c%s,--%s%s}'[", spec->letter, shorts, spec->name, longs);
    else
        fprintf(out, "--%s%s'[", spec->name, longs);
    print_quoted(out, spec->help, brief_len(spec->help), "\\[]", "'\\''");
    fputc(']', out);
    if (spec->argument != NULL)
        print_zsh_argument(spec, out);
    fputc('\'', out);
}

void option_completion_print_zsh(const struct option_table *table, FILE *out)
{
    fprintf(out, "#compdef %s\n", table->program);
    print_title(out, table, "zsh");
    fputs("_arguments -s -S", out);
    for (size_t i = 0; i < table->count; i++) {
        if (table->specs[i].name != NULL)
            print_zsh_option(&table->specs[i], out);
    }
    fputc('\n', out);
}

/* ---- fish ---- */

static void print_fish_argument(const struct option_spec *spec, FILE *out)
{
    struct offer offer = offer_of(spec);

    if (offer.words != NULL) {
        fputs(spec->optional ? " -a '" : " -x -a '", out);
        print_words(out, offer.words);
        fputc('\'', out);
        return;
    }
    switch (offer.kind) {
    case OPTION_OFFER_FILES:
        fputs(" -r -F", out);
        break;
    case OPTION_OFFER_DIRECTORIES:
        fputs(" -x -a '(__fish_complete_directories)'", out);
        break;
    case OPTION_OFFER_COMMANDS:
        fputs(" -x -a '(__fish_complete_command)'", out);
        break;
    default:
        fputs(spec->optional ? "" : " -x", out);
    }
}

void option_completion_print_fish(const struct option_table *table, FILE *out)
{
    print_title(out, table, "fish");
    fprintf(out, "complete -c %s -f\n", table->program);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *spec = &table->specs[i];

        if (spec->name == NULL)
            continue;
        fprintf(out, "complete -c %s", table->program);
        if (spec->letter != 0)
            fprintf(out, " -s %c", spec->letter);
        fprintf(out, " -l %s", spec->name);
        if (spec->argument != NULL)
            print_fish_argument(spec, out);
        fputs(" -d '", out);
        print_quoted(out, spec->help, brief_len(spec->help), "\\", "\\'");
        fputs("'\n", out);
    }
}

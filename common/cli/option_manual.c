#include "common/cli/option_manual.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Of the lines of the page's source, not counting what escapes add: nothing that a reader sees. */
enum { TEXT_WIDTH = 64 };

/* Running text in mdoc: words on lines, between lines that are macros. */
struct text {
    FILE *out;
    size_t column; /* 0: at the beginning of a line */
};

static void end_line(struct text *text)
{
    if (text->column > 0)
        fputc('\n', text->out);
    text->column = 0;
}

/* A character that roff would read as something else, or render as a typographer's. */
static void print_char(FILE *out, char c)
{
    switch (c) {
    case '\\':
        fputs("\\e", out);
        break;
    case '\'':
        fputs("\\(aq", out);
        break;
    case '`':
        fputs("\\(ga", out);
        break;
    case '^':
        fputs("\\(ha", out);
        break;
    case '~':
        fputs("\\(ti", out);
        break;
    case '"': /* which would begin a quoted argument of a macro */
        fputs("\\(dq", out);
        break;
    default:
        fputc(c, out);
    }
}

static void print_word(struct text *text, const char *word, size_t len)
{
    if (text->column + 1 + len > TEXT_WIDTH)
        end_line(text);
    if (text->column > 0)
        fputc(' ', text->out);
    else if (*word == '.')
        fputs("\\&", text->out); /* else it would be a macro */
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '-' && (i == 0 || !isalnum((unsigned char) word[i - 1])))
            fputc('\\', text->out); /* a minus that can be copied into a shell */
        print_char(text->out, word[i]);
    }
    text->column += 1 + len;
}

/* A macro of its own line: ".Fl -raw ,"; punctuation behind the word stays apart from it. */
static void print_macro(struct text *text, const char *macro, const char *word, size_t len,
                        size_t word_len)
{
    end_line(text);
    fprintf(text->out, ".%s %.*s", macro, (int) word_len, word);
    for (size_t i = word_len; i < len; i++)
        fprintf(text->out, " %c", word[i]);
    fputc('\n', text->out);
}

/* Is this an option of the program: "-x" or "--some-name"? */
static bool is_option(const struct option_table *table, const char *word, size_t len)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *spec = &table->specs[i];

        if (spec->name == NULL || len < 2 || *word != '-')
            continue;
        if (len == 2 && spec->letter == word[1])
            return true;
        if (word[1] == '-' && strlen(spec->name) == len - 2 &&
            strncmp(spec->name, word + 2, len - 2) == 0)
            return true;
    }
    return false;
}

/* The explanation of an option, with other options and its own argument set in their fonts. */
static void print_text(const struct option_table *table, const char *words, const char *argument,
                       FILE *out)
{
    struct text text = {.out = out};

    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        size_t word_len = len;

        while (word_len > 0 && strchr(".,;:)", words[word_len - 1]) != NULL)
            word_len--;
        if (is_option(table, words, word_len))
            print_macro(&text, "Fl", words + 1, len - 1, word_len - 1);
        else if (argument != NULL && word_len > 0 && strlen(argument) == word_len &&
                 strncmp(words, argument, word_len) == 0)
            print_macro(&text, "Ar", words, len, word_len);
        else
            print_word(&text, words, len);
        words += len;
        words += strspn(words, " ");
    }
    end_line(&text);
}

/* "A group:" as a subsection; quoted, so that no word of it is taken for a macro. */
static void print_heading(FILE *out, const char *heading)
{
    size_t len = strlen(heading);

    if (len > 0 && heading[len - 1] == ':')
        len--;
    fputs(".Ss \"", out);
    for (size_t i = 0; i < len; i++)
        print_char(out, heading[i]);
    fputs("\"\n", out);
}

static void print_option(const struct option_table *table, const struct option_spec *spec,
                         FILE *out)
{
    fputs(".It ", out);
    if (spec->letter != 0)
        fprintf(out, "Fl %c , ", spec->letter);
    fprintf(out, "Fl -%s", spec->name);
    if (spec->argument != NULL && spec->optional)
        fprintf(out, " Ns Oo = Ns Ar %s Oc", spec->argument);
    else if (spec->argument != NULL)
        fprintf(out, " Ar %s", spec->argument);
    fputc('\n', out);
    print_text(table, spec->help, spec->argument, out);
}

static void print_options(const struct option_table *table, FILE *out)
{
    bool in_list = false;

    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *spec = &table->specs[i];

        if (in_list && spec->name == NULL)
            fputs(".El\n", out);
        if (spec->name == NULL)
            print_heading(out, spec->help);
        else if (!in_list)
            fputs(".Bl -tag -width Ds\n", out);
        in_list = spec->name != NULL;
        if (in_list)
            print_option(table, spec, out);
    }
    if (in_list)
        fputs(".El\n", out);
}

static void print_statuses(const struct option_table *table, FILE *out)
{
    fputs(".Bl -tag -width 124 -compact\n", out);
    for (size_t i = 0; i < table->status_count; i++) {
        const struct option_status *status = &table->statuses[i];

        if (status->status == OPTION_STATUS_N)
            fputs(".It Ar N\n", out);
        else
            fprintf(out, ".It %d\n", status->status);
        print_text(table, status->meaning, "N", out);
    }
    fputs(".El\n", out);
}

static void print_line(const char *line, FILE *out)
{
    static const char word[] = "@VERSION@";
    const char *at;

    while ((at = strstr(line, word)) != NULL) {
        fprintf(out, "%.*s%s", (int) (at - line), line, WS_VERSION);
        line = at + sizeof word - 1;
    }
    fputs(line, out);
}

int option_manual_print(const struct option_table *table, FILE *template, FILE *out,
                        struct error *error)
{
    bool has_options = false;
    bool has_statuses = false;
    char *line = NULL;
    size_t size = 0;
    int status = 0;

    while (status == 0 && getline(&line, &size, template) != -1) {
        if (strcmp(line, "@OPTIONS@\n") == 0) {
            print_options(table, out);
            has_options = true;
        } else if (strcmp(line, "@EXIT_STATUS@\n") == 0) {
            print_statuses(table, out);
            has_statuses = true;
        } else if (*line == '@') {
            status = error_set(error, UV_EINVAL,
                               "the template has a line '%.*s': only @OPTIONS@ and @EXIT_STATUS@ "
                               "can be replaced",
                               (int) strcspn(line, "\n"), line);
        } else {
            print_line(line, out);
        }
    }
    free(line);
    if (status == 0 && !(has_options && has_statuses))
        status = error_set(error, UV_EINVAL, "the template lacks a line '%s'",
                           has_options ? "@EXIT_STATUS@" : "@OPTIONS@");
    return status;
}

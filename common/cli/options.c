#include "common/cli/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/decimal.h"

enum {
    OPTIONS_MAX = 128, /* options in a table */
    HELP_COLUMN = 26,  /* where the explanations begin */
    STATUS_COLUMN = 7,
    HELP_WIDTH = 79,
};

static int complain(struct error *error, const char *name, const char *what)
{
    return error_set(error, UV_EINVAL, "option '%s' %s", name, what);
}

/* Names the options that begin with the long name `word`. False when there are none. */
static bool list_candidates(const struct option_table *table, const char *word, char *out,
                            size_t size)
{
    size_t len = strcspn(word + 2, "=");
    size_t used = 0;

    for (size_t i = 0; i < table->count && len > 0; i++) {
        const char *name = table->specs[i].name;
        int n;

        if (name == NULL || strncmp(name, word + 2, len) != 0)
            continue;
        n = snprintf(out + used, size - used, "%s--%s", used > 0 ? ", " : "", name);
        if (n < 0 || (size_t) n >= size - used)
            break;
        used += (size_t) n;
    }
    return used > 0;
}

/* A long option that getopt does not know, or that stands for several. */
static int complain_of_name(const struct option_table *table, const char *word, struct error *error)
{
    char candidates[256];

    if (!list_candidates(table, word, candidates, sizeof candidates))
        return complain(error, word, "is unknown");
    return error_set(error, UV_EINVAL, "option '%s' is ambiguous: %s", word, candidates);
}

/* Says what getopt found wrong with the argument it just looked at. */
static int complain_of(const struct option_table *table, int found, char **argv,
                       struct error *error)
{
    char letter[3] = {'-', (char) optopt, '\0'};
    bool is_short = optopt > 0 && optopt < 256; /* long options have higher numbers, or 0 */
    const char *word = is_short ? letter : argv[optind - 1];

    if (optopt < 0) /* a char beyond ASCII, whose other bytes are elsewhere */
        return error_set(error, UV_EINVAL, "a letter that is not ASCII is unknown as an option");
    if (found == ':')
        return complain(error, word, "needs an argument");
    if (optopt >= 256)
        return complain(error, word, "takes no argument");
    if (is_short || strncmp(word, "--", 2) != 0)
        return complain(error, word, "is unknown");
    return complain_of_name(table, word, error);
}

/* Stores which word of its argument's name an option was given; without one it is the first. */
static int store_choice(const struct option_spec *spec, unsigned *member, const char *argument,
                        struct error *error)
{
    unsigned choice = 0;
    int status = 0;

    if (argument != NULL)
        status = options_parse_choice(argument, spec->argument, &choice, error);
    if (status == 0)
        *member = (unsigned) spec->min + choice;
    return status;
}

/* Stores an option by its kind. */
static int store_by_kind(const struct option_spec *spec, void *target, const char *argument,
                         struct error *error)
{
    void *member = (char *) target + spec->at;

    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *) member = true;
        return 0;
    case OPTION_STRING:
        *(const char **) member = argument;
        return 0;
    case OPTION_SIZE:
        return options_parse_size(argument, spec->min, spec->max, member, error);
    case OPTION_COUNT:
        return options_parse_count(argument, spec->min, spec->max, member, error);
    case OPTION_SECONDS:
        return options_parse_seconds(argument, spec->min == 0, member, error);
    case OPTION_CHOICE:
        return store_choice(spec, member, argument, error);
    case OPTION_CUSTOM:
        break;
    }
    return spec->store(target, argument, error);
}

static int store(const struct option_spec *spec, void *target, const char *argument,
                 struct error *error)
{
    struct error why = {""};
    int status = store_by_kind(spec, target, argument, &why);

    if (status != 0)
        error_set(error, status, "option '--%s': %s", spec->name, why.text);
    return status;
}

static int has_argument(const struct option_spec *spec)
{
    if (spec->argument == NULL)
        return no_argument;
    return spec->optional ? optional_argument : required_argument;
}

/* The table in getopt's own terms. */
struct getopt_table {
    struct option longs[OPTIONS_MAX + 1];
    const struct option_spec *specs[OPTIONS_MAX];
    char shorts[2 * OPTIONS_MAX + 2];
};

static void to_getopt(const struct option_table *table, struct getopt_table *getopt_table)
{
    char *shorts = getopt_table->shorts;
    size_t n = 0;

    assert(table->count <= OPTIONS_MAX);
    *shorts++ = ':'; /* tell a missing argument from an unknown option */
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *spec = &table->specs[i];

        if (spec->name == NULL)
            continue;
        getopt_table->longs[n] = (struct option){
            .name = spec->name,
            .has_arg = has_argument(spec),
            .val = 256 + (int) n,
        };
        getopt_table->specs[n++] = spec;
        if (spec->letter == 0)
            continue;
        *shorts++ = spec->letter;
        if (spec->argument != NULL)
            *shorts++ = ':';
        assert(!spec->optional); /* a short name's argument would have to be glued to it */
    }
    getopt_table->longs[n] = (struct option){0};
    *shorts = '\0';
}

static const struct option_spec *spec_of(const struct option_table *table,
                                         const struct getopt_table *getopt_table, int found)
{
    if (found >= 256)
        return getopt_table->specs[found - 256];
    for (size_t i = 0; i < table->count; i++) {
        if (table->specs[i].name != NULL && table->specs[i].letter == found)
            return &table->specs[i];
    }
    return NULL;
}

size_t options_find(const struct option_table *table, const char *name)
{
    size_t i = 0;

    while (i < table->count &&
           (table->specs[i].name == NULL || strcmp(table->specs[i].name, name) != 0))
        i++;
    return i;
}

int options_store_value(const struct option_spec *spec, const char *value, void *target,
                        struct error *error)
{
    unsigned choice;

    if (spec->kind != OPTION_FLAG)
        return store_by_kind(spec, target, value, error);
    if (options_parse_choice(value, "off|on", &choice, error) != 0)
        return UV_EINVAL;
    *(bool *) ((char *) target + spec->at) = choice != 0;
    return 0;
}

int options_parse(const struct option_table *table, int argc, char **argv, void *target,
                  int *operands, struct error *error)
{
    struct options_observer observer = {.on_given = NULL};
    int status = options_parse_observed(table, argc, argv, target, &observer, error);

    *operands = observer.operands;
    return status;
}

int options_parse_observed(const struct option_table *table, int argc, char **argv, void *target,
                           struct options_observer *observer, struct error *error)
{
    struct getopt_table getopt_table = {0};
    int found, status;

    to_getopt(table, &getopt_table);
    optind = 0; /* start afresh, also in a test that parses twice */
    opterr = 0;
    while ((found = getopt_long(argc, argv, getopt_table.shorts, getopt_table.longs, NULL)) != -1) {
        const struct option_spec *spec =
            found == '?' || found == ':' ? NULL : spec_of(table, &getopt_table, found);

        if (spec == NULL)
            return complain_of(table, found, argv, error);
        status = store(spec, target, optarg, error);
        if (status != 0)
            return status;
        if (observer->on_given != NULL)
            observer->on_given(observer->context, (size_t) (spec - table->specs), optarg);
    }
    observer->operands = optind;
    return 0;
}

/* Prints `text`, broken at spaces, from `column` on; the cursor stands at `at`, and what stands
 * there already is two spaces away, or on a line of its own. */
static void print_wrapped(FILE *out, const char *text, int at, int column)
{
    if (at + 2 > column) {
        fputc('\n', out);
        at = 0;
    }
    while (*text != '\0') {
        int len = (int) strcspn(text, " ");

        if (at > column && at + 1 + len > HELP_WIDTH) {
            fputc('\n', out);
            at = 0;
        }
        if (at < column)
            at += fprintf(out, "%*s", column - at, "");
        else
            at += fprintf(out, " ");
        at += fprintf(out, "%.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void options_print_help(const struct option_table *table, FILE *out)
{
    fprintf(out, "Usage: %s %s\n\n%s\n", table->program, table->synopsis, table->summary);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *spec = &table->specs[i];
        int at;

        if (spec->name == NULL) {
            fprintf(out, "\n%s\n", spec->help);
            continue;
        }
        at = spec->letter != 0 ? fprintf(out, "  -%c, ", spec->letter) : fprintf(out, "      ");
        at += fprintf(out, "--%s", spec->name);
        if (spec->argument != NULL)
            at += fprintf(out, spec->optional ? "[=%s]" : " %s", spec->argument);
        print_wrapped(out, spec->help, at, HELP_COLUMN);
    }
    fprintf(out, "\n%s", table->epilogue);
    if (table->status_count > 0)
        fprintf(out, "\nExit status:\n");
    for (size_t i = 0; i < table->status_count; i++) {
        const struct option_status *status = &table->statuses[i];
        int at = status->status == OPTION_STATUS_N ? fprintf(out, "  N")
                                                   : fprintf(out, "  %d", status->status);

        print_wrapped(out, status->meaning, at, STATUS_COLUMN);
    }
}

int options_answer(const struct option_table *table, bool help, struct error *error)
{
    int status;

    (void) signal(SIGPIPE, SIG_DFL);
    errno = 0;
    if (help)
        options_print_help(table, stdout);
    else
        (void) printf("%s %s\n", table->program, WS_VERSION);
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return 0;
    status = uv_translate_sys_error(errno != 0 ? errno : EIO);
    return error_set(error, status, "cannot write to standard output: %s", uv_strerror(status));
}

/* A decimal number without sign or white space, and what follows it. False on overflow too. */
static bool parse_digits(const char *text, uint64_t *number, const char **rest)
{
    size_t digits = decimal_read(text, strlen(text), number);

    *rest = text + digits;
    return decimal_parse(text, digits, UINT64_MAX, number);
}

int options_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *size,
                       struct error *error)
{
    static const char suffixes[] = "KMG";
    const char *rest;
    uint64_t number;
    unsigned shift = 0;

    if (!parse_digits(text, &number, &rest))
        goto fail;
    if (*rest != '\0') {
        const char *suffix = strchr(suffixes, *rest >= 'a' ? *rest - ('a' - 'A') : *rest);

        if (suffix == NULL || rest[1] != '\0')
            goto fail;
        shift = 10 * (unsigned) (suffix - suffixes + 1);
    }
    if (number > max >> shift)
        return error_set(error, UV_EINVAL, "'%s' is more than the %llu bytes that are possible",
                         text, (unsigned long long) max);
    *size = number << shift;
    if (*size >= min)
        return 0;
    return error_set(error, UV_EINVAL, "'%s' is less than the %llu bytes that are the least", text,
                     (unsigned long long) min);
fail:
    return error_set(error, UV_EINVAL,
                     "'%s' is not a number of bytes, with or without a suffix K, M or G", text);
}

int options_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *count,
                        struct error *error)
{
    const char *rest;
    uint64_t number;

    if (!parse_digits(text, &number, &rest) || *rest != '\0' || number < min || number > max)
        return error_set(error, UV_EINVAL, "'%s' is not a whole number from %llu to %llu", text,
                         (unsigned long long) min, (unsigned long long) max);
    *count = number;
    return 0;
}

int options_parse_choice(const char *text, const char *words, unsigned *choice, struct error *error)
{
    const char *word = words;

    for (unsigned n = 0;; n++) {
        size_t len = strcspn(word, "|");

        if (strlen(text) == len && memcmp(text, word, len) == 0) {
            *choice = n;
            return 0;
        }
        if (word[len] == '\0')
            return error_set(error, UV_EINVAL, "'%s' is none of %s", text, words);
        word += len + 1;
    }
}

int options_parse_seconds(const char *text, bool or_zero, uint64_t *milliseconds,
                          struct error *error)
{
    const double most = INT32_MAX / 1000.0;
    const double rounding =
        1e-6; /* 2.007 has no exact form, and is 2007 milliseconds all the same */
    double seconds, exact;
    char *end;

    errno = 0;
    seconds = strtod(text, &end);
    if (strspn(text, "0123456789.") != strlen(text) || end == text || *end != '\0' ||
        !(seconds > 0 || (or_zero && seconds >= 0)) || seconds > most)
        return error_set(error, UV_EINVAL, "'%s' is not a number of seconds %s 0 (at most %.0f)",
                         text, or_zero ? "from" : "greater than", most);
    exact = seconds * 1000 - rounding;
    *milliseconds = (uint64_t) exact;
    *milliseconds += exact > (double) *milliseconds ? 1 : 0; /* up; without 300 KiB of libm */
    return 0;
}

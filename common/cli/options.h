/* Command-line options from a table: the table is what is parsed, what --help prints, and what the
 * man page and the completions are made from (option_manual.h, option_completion.h), so that
 * none of them can differ. The parsing itself is getopt_long's. */
#ifndef WS_COMMON_CLI_OPTIONS_H
#define WS_COMMON_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/error.h"

/* How an option's argument is stored. */
enum option_kind {
    OPTION_CUSTOM,  /* by the option's own function */
    OPTION_FLAG,    /* bool: true */
    OPTION_STRING,  /* const char *: borrowed from the command line */
    OPTION_SIZE,    /* uint64_t: bytes, from `min` to `max` */
    OPTION_COUNT,   /* uint64_t: a whole number, from `min` to `max` */
    OPTION_SECONDS, /* uint64_t: milliseconds; 0 only where `min` is 0 */
    OPTION_CHOICE,  /* unsigned: which of the words of `argument` ("a|b"), the first being `min` */
};

/* What a shell offers where an option's argument belongs. */
enum option_offer {
    OPTION_OFFER_BY_NAME, /* as `argument` says: FILE, DIR, COMMAND, words between bars */
    OPTION_OFFER_NOTHING,
    OPTION_OFFER_FILES,
    OPTION_OFFER_DIRECTORIES,
    OPTION_OFFER_COMMANDS,
};

/* One option; or, with no name, the heading of a group in --help. */
struct option_spec {
    const char *name;     /* long name, without the dashes */
    char letter;          /* short name, or 0 */
    const char *argument; /* what --help calls the argument; NULL when the option takes none */
    const char *help;     /* wrapped by --help; a heading's text */
    enum option_kind kind;
    size_t at; /* offset of the member in `target`: see OPTION_AT */
    uint64_t min;
    uint64_t max;
    bool optional; /* of OPTION_CHOICE: the argument may be left out, and the first word is meant */
    bool repeatable; /* in a file, it may stand several times */
    bool scoped;     /* in a file, sections for a part of what is served may have it */
    /* For OPTION_CUSTOM: stores the option in `target`. Returns 0, or UV_EINVAL with a text that
     * says what the argument should be; the option's name is put before it. */
    int (*store)(void *target, const char *argument, struct error *error);
    const char *values;      /* all that the argument can be, as in "error|warn"; or NULL */
    enum option_offer offer; /* where `argument` and `values` do not say it */
};

/* The fields that say where an option is stored, and how. */
#define OPTION_AT(what, type, member) .kind = OPTION_##what, .at = offsetof(type, member)
#define OPTION_BY(function) .store = (function)

enum { OPTION_STATUS_N = -1 }; /* a status that is not known beforehand: printed as N */

/* One exit status of the program. */
struct option_status {
    int status;
    const char *meaning; /* wrapped by --help */
};

struct option_table {
    const char *program;
    const char *synopsis; /* what follows the program's name in the usage line */
    const char *summary;  /* what the program is, a few lines */
    const struct option_spec *specs;
    size_t count;
    const char *epilogue;                 /* examples: as it is, below the options */
    const struct option_status *statuses; /* printed last; or NULL */
    size_t status_count;
};

/* Parses the arguments into `target`, by the table's store functions. Operands are permuted to the
 * end; `*operands` is the index of the first. Returns 0, or UV_EINVAL with a text for the user.
 * Not for more than one thread: getopt keeps state. */
int options_parse(const struct option_table *table, int argc, char **argv, void *target,
                  int *operands, struct error *error);

/* What is told of the parsing: each option that has been stored, by its index in the table, with
 * its argument or NULL; and where the operands begin. */
struct options_observer {
    void (*on_given)(void *context, size_t index, const char *argument);
    void *context;
    int operands;
};

/* The same, with an observer. */
int options_parse_observed(const struct option_table *table, int argc, char **argv, void *target,
                           struct options_observer *observer, struct error *error);

/* The index of the spec of this long name; `count` of the table if there is none. */
size_t options_find(const struct option_table *table, const char *name);

/* Stores one option as a file has it: a flag is "on" or "off", anything else as on the command
 * line. Strings are borrowed. Returns 0, or UV_EINVAL with a text that does not name the option. */
int options_store_value(const struct option_spec *spec, const char *value, void *target,
                        struct error *error);

/* Prints the help, at most 80 columns wide. */
void options_print_help(const struct option_table *table, FILE *out);

/* Does what --help (`help`) or --version asks for, on standard output: prints the help, or the
 * program's name and version. If the reader stops early, SIGPIPE ends the program, as it does any
 * filter. Returns 0, or a negative UV_E* code with a text when it cannot be written. */
int options_answer(const struct option_table *table, bool help, struct error *error);

/* A number of bytes from `min` to `max`: decimal, with an optional suffix K, M or G (powers of
 * 1024). Returns 0, or UV_EINVAL with a text. */
int options_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *size,
                       struct error *error);

/* A whole number from `min` to `max`. Returns 0, or UV_EINVAL with a text. */
int options_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *count,
                        struct error *error);

/* Which of `words`, written "a|b|c", the text is, counted from 0. Returns 0, or UV_EINVAL with a
 * text. */
int options_parse_choice(const char *text, const char *words, unsigned *choice,
                         struct error *error);

/* Seconds, fractions allowed, into milliseconds, rounded up; at most 24 days (2^31 ms), and 0 only
 * if `or_zero`. Returns 0, or UV_EINVAL with a text. */
int options_parse_seconds(const char *text, bool or_zero, uint64_t *milliseconds,
                          struct error *error);

#endif

/* The completions of the shells, from the option table. Pure. What a shell offers for an option's
 * argument is decided by option_offer, `values` and the argument's name (options.h). */
#ifndef WS_COMMON_CLI_OPTION_COMPLETION_H
#define WS_COMMON_CLI_OPTION_COMPLETION_H

#include <stdio.h>

#include "common/cli/options.h"

/* A file for share/bash-completion/completions: it needs nothing of that package. */
void option_completion_print_bash(const struct option_table *table, FILE *out);

/* A function for a directory of $fpath, to be called _PROGRAM. */
void option_completion_print_zsh(const struct option_table *table, FILE *out);

/* A file for share/fish/vendor_completions.d, to be called PROGRAM.fish. */
void option_completion_print_fish(const struct option_table *table, FILE *out);

#endif

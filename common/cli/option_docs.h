/* What the build runs to make a program's documents from its option table: the whole of a main
 * function, for one small program beside each of the two. */
#ifndef WS_COMMON_CLI_OPTION_DOCS_H
#define WS_COMMON_CLI_OPTION_DOCS_H

#include "common/cli/options.h"

/* The arguments are FORM OUTPUT [TEMPLATE]; FORM is man (which needs the template), bash, zsh or
 * fish. Writes the file OUTPUT, or none. Returns main's status: 0, 1 with a line on stderr, or 2
 * for wrong usage. */
int option_docs_main(const struct option_table *table, int argc, char **argv);

#endif

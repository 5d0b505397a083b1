/* A program's man page: a hand-written template in mdoc(7), into which what the option table knows
 * is put, so that the page cannot go stale. Pure: from one stream to another. */
#ifndef WS_COMMON_CLI_OPTION_MANUAL_H
#define WS_COMMON_CLI_OPTION_MANUAL_H

#include <stdio.h>

#include "common/base/error.h"
#include "common/cli/options.h"

/* Copies the template, with these words of it replaced:
 *   @OPTIONS@      alone on its line: the options, in their groups
 *   @EXIT_STATUS@  alone on its line: the exit statuses
 *   @VERSION@      anywhere: the version
 * Returns 0, UV_EINVAL with a text when it has another line that begins with '@', or lacks one of
 * the first two. What streams fail at is left to ferror. */
int option_manual_print(const struct option_table *table, FILE *template, FILE *out,
                        struct error *error);

#endif

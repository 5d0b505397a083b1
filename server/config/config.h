/* The configuration: the defaults, then what the file of --config says, then what the command line
 * says, each in place of what came before. A snapshot: immutable once loaded, and counted, so that
 * threads may hold one while the next is loaded.
 *
 * The file has a section [server], in which each option stands by its long name; one that may be
 * given several times has a line each time. What the file says of an option does not count if the
 * command line gives it, also if it may be given several times. Behind it come sections [channel
 * PATTERN], with options of the channels that match: see channel_sections.h. */
#ifndef WS_SERVER_CONFIG_CONFIG_H
#define WS_SERVER_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include "server/auth/auth.h"
#include "server/config/channel_sections.h"
#include "server/config/server_options.h"
#include "server/config/user_sections.h"

enum { CONFIG_COMMAND_LINE = 0 }; /* in place of a line of the file */

/* A value that was given, and counts. */
struct config_value {
    size_t spec;      /* which option of the table */
    size_t line;      /* of the file; or CONFIG_COMMAND_LINE */
    const char *text; /* NULL: a flag of the command line */
};

struct config {
    _Atomic unsigned _refs;
    struct server_options options;
    struct channel_rules rules; /* what holds for which channels */
    char *admin_token;          /* of --admin-token-file; NULL: there is none */
    struct auth *auth;          /* tokens and keys; NULL: there are no users */
    char *_file;                /* its text, from which strings of the options are borrowed */
    struct config_value *_values;
    size_t _value_count;
    struct channel_sections _sections;
    struct user_sections _users;
};

/* Loads it. `argv` is borrowed for as long as the snapshot lives. Every error is told to
 * `complain`: in a file all of them, each with FILE:LINE:, what is wrong and what to do. Returns 0
 * with one reference, UV_EINVAL, or another negative UV_E* code. One thread at a time may load. */
int config_load(struct config **config, int argc, char **argv,
                void (*complain)(void *context, const char *text), void *context);

struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* Prints it as a file, with where each value comes from. */
void config_print(const struct config *config, FILE *out);

/* Prints a file to begin with: every option, with its help, as a comment. */
void config_print_example(FILE *out);

/* True for options that a file can have: not those that are about the file, or end the program. */
bool config_has(const struct option_spec *spec);

#endif

/* How what is wrong with a configuration file is told: whoever reads a part of it finds the errors,
 * and the loader says which file and line. */
#ifndef WS_SERVER_CONFIG_CONFIG_ERRORS_H
#define WS_SERVER_CONFIG_CONFIG_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cli/options.h"

struct config_errors {
    void *context;
    /* `line` is 0 for what no line is to blame for; `what` is for the call. */
    void (*complain)(void *context, size_t line, const char *what);
};

/* A word of the file's, in quotes, and behind it what is wrong with it. */
void config_errors_word(const struct config_errors *errors, size_t line, const char *word,
                        const char *what);

/* The option stands in another line already. */
void config_errors_twice(const struct config_errors *errors, size_t line,
                         const struct option_spec *spec, size_t first);

void config_errors_memory(const struct config_errors *errors, size_t line);

/* Stores a value, as options_store_value does, or complains of it. */
bool config_errors_store(const struct config_errors *errors, size_t line,
                         const struct option_spec *spec, const char *value, void *target);

#endif

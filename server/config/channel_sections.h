/* The sections [channel PATTERN] of the configuration file, in their order. They are collected
 * while the file is read, and turned into settings once the section [server] and the command line
 * are known: what a section leaves out comes from there. */
#ifndef WS_SERVER_CONFIG_CHANNEL_SECTIONS_H
#define WS_SERVER_CONFIG_CHANNEL_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/broadcast/channel_settings.h"
#include "server/config/config_errors.h"
#include "server/config/server_options.h"

enum { CHANNEL_SECTIONS_MAX = 1000 };

/* A line of a section. */
struct channel_sections_value {
    size_t spec; /* which option of the table */
    size_t line;
    const char *text;
};

struct channel_section {
    const char *pattern;
    size_t line;
    struct channel_sections_value *values;
    size_t count;
};

struct channel_sections {
    struct channel_section *list;
    size_t count;
};

/* Begins a section. `pattern` is borrowed for as long as the sections are. Complains of one that is
 * not valid, or never reached. */
void channel_sections_begin(struct channel_sections *sections, const char *pattern, size_t line,
                            const struct config_errors *errors);

/* A line of the last section; there is one. Complains of an option that sections cannot have, or
 * that this one has already. `text` is borrowed as above. */
void channel_sections_add(struct channel_sections *sections,
                          const struct channel_sections_value *value,
                          const struct config_errors *errors);

/* The rules that follow from the sections and the options, which are settled; `rules->list` is the
 * caller's to free. Complains of values that are not valid, and where memory is short. */
void channel_sections_settle(const struct channel_sections *sections,
                             const struct server_options *options, struct channel_rules *rules,
                             const struct config_errors *errors);

void channel_sections_deinit(struct channel_sections *sections);

#endif

#include "server/config/channel_sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/escape.h"
#include "server/syntax/pattern.h"

/* ---- while the file is read ---- */

/* The section whose pattern matches all that this one does; NULL: none. */
static const struct channel_section *find_wider(const struct channel_sections *sections,
                                                const char *pattern)
{
    for (size_t i = 0; i < sections->count; i++) {
        const char *other = sections->list[i].pattern;

        if (pattern_is_valid(other) && pattern_covers(other, pattern))
            return &sections->list[i];
    }
    return NULL;
}

void channel_sections_begin(struct channel_sections *sections, const char *pattern, size_t line,
                            const struct config_errors *errors)
{
    const struct channel_section *wider;
    struct channel_section *larger;
    char what[160], shown[96];

    if (!pattern_is_valid(pattern)) {
        config_errors_word(
            errors, line, pattern,
            " is not a pattern of channels: write names as in a URL, with '*' for any run "
            "within a part, '**' as the last part, or '=' for the default channel");
    } else {
        wider = find_wider(sections, pattern);
        if (wider != NULL) {
            (void) snprintf(
                what, sizeof what, " is never reached: [channel %s] in line %zu comes first",
                escape_text(shown, sizeof shown, wider->pattern, strlen(wider->pattern)),
                wider->line);
            config_errors_word(errors, line, pattern, what);
        }
    }
    if (sections->count == CHANNEL_SECTIONS_MAX) {
        (void) snprintf(what, sizeof what, "there are more than %d sections of channels",
                        CHANNEL_SECTIONS_MAX);
        errors->complain(errors->context, line, what);
    }
    if (sections->count >= CHANNEL_SECTIONS_MAX)
        return;
    larger = realloc(sections->list, (sections->count + 1) * sizeof *larger);
    if (larger == NULL) {
        config_errors_memory(errors, line);
        return;
    }
    sections->list = larger;
    sections->list[sections->count++] = (struct channel_section){pattern, line, NULL, 0};
}

static const struct channel_sections_value *find_value(const struct channel_section *section,
                                                       size_t spec)
{
    for (size_t i = 0; i < section->count; i++) {
        if (section->values[i].spec == spec)
            return &section->values[i];
    }
    return NULL;
}

void channel_sections_add(struct channel_sections *sections,
                          const struct channel_sections_value *value,
                          const struct config_errors *errors)
{
    const struct option_spec *spec = &server_options_table.specs[value->spec];
    struct channel_section *section;
    const struct channel_sections_value *before;
    struct channel_sections_value *larger;

    if (!spec->scoped) {
        config_errors_word(
            errors, value->line, spec->name,
            " is not an option of single channels: it belongs in the section [server]");
        return;
    }
    if (sections->count == 0) /* there was no memory for the section */
        return;
    section = &sections->list[sections->count - 1];
    before = find_value(section, value->spec);
    if (before != NULL && !spec->repeatable) {
        config_errors_twice(errors, value->line, spec, before->line);
        return;
    }
    larger = realloc(section->values, (section->count + 1) * sizeof *larger);
    if (larger == NULL) {
        config_errors_memory(errors, value->line);
        return;
    }
    section->values = larger;
    section->values[section->count++] = *value;
}

/* ---- when all is known ---- */

static bool has_prefix(const struct channel_section *section)
{
    return find_value(section, options_find(&server_options_table, "prefix")) != NULL;
}

static void settle(const struct channel_section *section, const struct server_options *options,
                   struct channel_settings *settings, const struct config_errors *errors)
{
    struct server_options own = *options;

    if (find_value(section, options_find(&server_options_table, "subprotocol")) != NULL)
        own.subprotocol_count = 0; /* its own take the place of those of [server] */
    for (size_t i = 0; i < section->count; i++) {
        const struct channel_sections_value *value = &section->values[i];

        (void) config_errors_store(errors, value->line, &server_options_table.specs[value->spec],
                                   value->text, &own);
    }
    *settings = server_options_settings(&own);
    /* The prefix of [server] is the default channel's, and no other's. */
    if (has_prefix(section) || strcmp(section->pattern, "=") == 0)
        settings->prefix = own.prefix;
}

void channel_sections_settle(const struct channel_sections *sections,
                             const struct server_options *options, struct channel_rules *rules,
                             const struct config_errors *errors)
{
    struct channel_rule *list = NULL;

    if (sections->count > 0) {
        list = calloc(sections->count, sizeof *list);
        if (list == NULL) {
            config_errors_memory(errors, sections->list[0].line);
            return;
        }
    }
    for (size_t i = 0; i < sections->count; i++) {
        list[i].pattern = sections->list[i].pattern;
        settle(&sections->list[i], options, &list[i].settings, errors);
    }
    *rules = (struct channel_rules){
        .list = list,
        .count = sections->count,
        .others = server_options_settings(options),
    };
    rules->of_default = rules->others;
    rules->of_default.prefix = options->prefix;
}

void channel_sections_deinit(struct channel_sections *sections)
{
    for (size_t i = 0; i < sections->count; i++)
        free(sections->list[i].values);
    free(sections->list);
    *sections = (struct channel_sections){0};
}

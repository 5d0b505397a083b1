#include <inttypes.h>
#include <string.h>

#include "server/config/config.h"

enum { WIDTH = 98 }; /* columns of a comment */

/* ---- values ---- */

/* A value as the file has it: in quotes where it needs them. */
static void print_value(FILE *out, const char *text)
{
    size_t len = strlen(text);
    bool quoted =
        len == 0 || strpbrk(text, "#;\"\\\n\t") != NULL || text[0] == ' ' || text[len - 1] == ' ';

    if (!quoted) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\t')
            fputs("\\t", out);
        else if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

/* The default as the help has it, where that is one word, or one in quotes. */
static bool print_default_of_help(FILE *out, const struct option_spec *spec)
{
    static const char before[] = "(default: ";
    const char *text = strstr(spec->help, before);
    size_t len;

    if (text == NULL)
        return false;
    text += sizeof before - 1;
    len = *text == '\'' ? strcspn(text + 1, "'") : strcspn(text, " )");
    if (*text == '\'')
        return fprintf(out, "\"%.*s\"", (int) len, text + 1) > 0;
    return text[len] == ')' && fprintf(out, "%.*s", (int) len, text) > 0;
}

/* The default of an option whose value can be read from where it is stored. False for others. */
static bool print_default(FILE *out, const struct option_spec *spec,
                          const struct server_options *defaults)
{
    const char *member = (const char *) defaults + spec->at;
    uint64_t number;

    switch (spec->kind) {
    case OPTION_FLAG:
        fputs(*(const bool *) (const void *) member ? "on" : "off", out);
        return true;
    case OPTION_STRING:
        if (*(const char *const *) (const void *) member == NULL)
            return false;
        print_value(out, *(const char *const *) (const void *) member);
        return true;
    case OPTION_SIZE:
    case OPTION_COUNT:
        number = *(const uint64_t *) (const void *) member;
        if (number == UINT64_MAX) /* it follows from others */
            return false;
        fprintf(out, "%" PRIu64, number);
        return true;
    case OPTION_SECONDS:
        fprintf(out, "%g", (double) *(const uint64_t *) (const void *) member / 1000);
        return true;
    case OPTION_CHOICE:
    case OPTION_CUSTOM:
        break;
    }
    return print_default_of_help(out, spec);
}

/* ---- what is in force ---- */

static const struct config_value *find_value(const struct config *config, size_t spec, size_t from)
{
    for (size_t i = from; i < config->_value_count; i++) {
        if (config->_values[i].spec == spec)
            return &config->_values[i];
    }
    return NULL;
}

static void print_given(const struct config *config, const struct config_value *value, FILE *out)
{
    fprintf(out, "%s = ", server_options_table.specs[value->spec].name);
    print_value(out, value->text != NULL ? value->text : "on");
    if (value->line == CONFIG_COMMAND_LINE)
        fprintf(out, "    # command line\n");
    else
        fprintf(out, "    # %s:%zu\n", config->options.config_file, value->line);
}

static void print_section(const struct config *config, const struct channel_section *section,
                          FILE *out)
{
    fprintf(out, "\n[channel %s]    # %s:%zu\n", section->pattern, config->options.config_file,
            section->line);
    for (size_t i = 0; i < section->count; i++) {
        const struct channel_sections_value *value = &section->values[i];

        print_given(config, &(struct config_value){value->spec, value->line, value->text}, out);
    }
}

static void print_user(const struct config *config, const struct user_section *section, FILE *out)
{
    static const char *const names[PRINCIPAL_RIGHTS] = {"subscribe", "publish"};

    fprintf(out, "\n[user %s]    # %s:%zu\n", section->name, config->options.config_file,
            section->line);
    for (size_t i = 0; i < PRINCIPAL_RIGHTS; i++) {
        if (section->rights[i] == NULL)
            continue;
        fprintf(out, "%s = ", names[i]);
        print_value(out, section->rights[i]);
        fprintf(out, "    # %s:%zu\n", config->options.config_file, section->lines[i]);
    }
}

void config_print(const struct config *config, FILE *out)
{
    struct server_options defaults;

    server_options_init(&defaults);
    fprintf(out, "[server]\n");
    for (size_t i = 0; i < server_options_table.count; i++) {
        const struct option_spec *spec = &server_options_table.specs[i];
        const struct config_value *value = find_value(config, i, 0);

        if (!config_has(spec))
            continue;
        if (value == NULL) {
            fprintf(out, "#%s = ", spec->name);
            (void) print_default(out, spec, &defaults);
            fprintf(out, "    # default\n");
        }
        for (; value != NULL; value = find_value(config, i, (size_t) (value - config->_values) + 1))
            print_given(config, value, out);
    }
    for (size_t i = 0; i < config->_sections.count; i++)
        print_section(config, &config->_sections.list[i], out);
    for (size_t i = 0; i < config->_users.count; i++)
        print_user(config, &config->_users.list[i], out);
}

/* ---- an example ---- */

/* A comment, wrapped at spaces. */
static void print_comment(FILE *out, const char *text)
{
    int column = 0;

    while (*text != '\0') {
        int len = (int) strcspn(text, " ");

        if (column == 0 || column + 1 + len > WIDTH) {
            fputs(column == 0 ? "#" : "\n#", out);
            column = 1;
        }
        column += fprintf(out, " %.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void config_print_example(FILE *out)
{
    struct server_options defaults;

    server_options_init(&defaults);
    fprintf(out,
            "# The configuration of wsbroadcastd: wsbroadcastd --config FILE\n"
            "# Each option stands here by its long name; the command line wins over this file.\n"
            "# wsbroadcastd --config FILE --check-config says what is wrong with it.\n"
            "# Behind [server] may come sections for channels, of which the first that matches "
            "holds:\n"
            "#     [channel alerts/*]\n"
            "#     history-messages = 100\n"
            "\n[server]\n");
    for (size_t i = 0; i < server_options_table.count; i++) {
        const struct option_spec *spec = &server_options_table.specs[i];

        if (spec->name == NULL) {
            if (i + 1 < server_options_table.count &&
                config_has(&server_options_table.specs[i + 1]))
                fprintf(out, "\n# ---- %.*s ----\n", (int) strcspn(spec->help, ":"), spec->help);
            continue;
        }
        if (!config_has(spec))
            continue;
        fputc('\n', out);
        print_comment(out, spec->help);
        fprintf(out, "#%s = ", spec->name);
        if (!print_default(out, spec, &defaults))
            fputs(spec->argument != NULL ? spec->argument : "", out);
        fputc('\n', out);
    }
}

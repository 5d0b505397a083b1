/* The configuration file: whatever it has, each line is told once at most, in order, and what is
 * told lies in the text. */
#include <stdlib.h>
#include <string.h>

#include "server/config/ini.h"
#include "server/syntax/pattern.h"
#include "tests/fuzz/fuzz.h"

struct told {
    size_t line;
    size_t lines;
};

static void check_line(struct told *told, size_t line)
{
    fuzz_check(line > told->line && line <= told->lines, "line %zu behind %zu of %zu", line,
               told->line, told->lines);
    told->line = line;
}

static void on_section(void *context, size_t line, const char *name, const char *argument)
{
    check_line(context, line);
    fuzz_check(*name != '\0', "a section without a name");
    if (pattern_is_valid(argument))
        (void) pattern_matches(argument, name);
}

static void on_setting(void *context, size_t line, const char *name, const char *value)
{
    check_line(context, line);
    fuzz_check(*name != '\0' && strlen(value) <= INI_MAX_LINE, "a setting that cannot be");
}

static void on_error(void *context, size_t line, const char *what)
{
    check_line(context, line);
    fuzz_check(*what != '\0', "an error without a reason");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct told told = {.lines = 1};
    const struct ini_handler handler = {&told, on_section, on_setting, on_error};
    char *text = malloc(size + 1);

    fuzz_check(text != NULL, "out of memory");
    memcpy(text, data, size);
    text[size] = '\0';
    for (size_t i = 0; i < size; i++)
        told.lines += text[i] == '\n';
    ini_read(text, size, &handler);
    free(text);
    return 0;
}

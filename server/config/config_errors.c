#include "server/config/config_errors.h"

#include <stdio.h>
#include <string.h>

#include "common/base/escape.h"

void config_errors_word(const struct config_errors *errors, size_t line, const char *word,
                        const char *what)
{
    char text[800], shown[128];

    (void) snprintf(text, sizeof text, "'%s'%s",
                    escape_text(shown, sizeof shown, word, strlen(word)), what);
    errors->complain(errors->context, line, text);
}

void config_errors_twice(const struct config_errors *errors, size_t line,
                         const struct option_spec *spec, size_t first)
{
    char what[128];

    (void) snprintf(what, sizeof what, " stands in line %zu already: keep one of them", first);
    config_errors_word(errors, line, spec->name, what);
}

void config_errors_memory(const struct config_errors *errors, size_t line)
{
    errors->complain(errors->context, line, "out of memory");
}

bool config_errors_store(const struct config_errors *errors, size_t line,
                         const struct option_spec *spec, const char *value, void *target)
{
    struct error why;
    char what[600];

    if (options_store_value(spec, value, target, &why) == 0)
        return true;
    (void) snprintf(what, sizeof what, ": %s", why.text);
    config_errors_word(errors, line, spec->name, what);
    return false;
}

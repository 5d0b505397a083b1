#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *error, int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void) vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return code;
}

#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static const char *log_program = "";
static enum log_level log_threshold = LOG_INFO;
static void (*log_before)(void *owner);
static void *log_before_owner;

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_threshold = level;
}

void log_set_before(void (*before)(void *owner), void *owner)
{
    log_before = before;
    log_before_owner = owner;
}

bool log_enabled(enum log_level level)
{
    return level <= log_threshold;
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    size_t len;
    int n;

    if (!log_enabled(level))
        return;
    n = snprintf(line, sizeof line, "%s: ", log_program);
    len = n > 0 ? (size_t) n : 0;
    va_start(arguments, format);
    n = vsnprintf(line + len, sizeof line - len - 1, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    len += (size_t) n;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    if (log_before != NULL)
        log_before(log_before_owner);
    /* Where stderr itself fails there is nobody left to tell. */
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}

int log_parse_level(const char *text, enum log_level *level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) == 0) {
            *level = (enum log_level) i;
            return 0;
        }
    }
    return UV_EINVAL;
}

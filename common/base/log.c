#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static const char *log_program = "";
static _Atomic enum log_level log_threshold = LOG_INFO;
static _Atomic unsigned long long log_lines_dropped;
static void (*log_before)(void *owner);
static void *log_before_owner;
static struct log_writer log_writer; /* without `write`: stderr */

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_threshold = level;
}

void log_set_level(enum log_level level)
{
    log_threshold = level;
}

void log_set_before(void (*before)(void *owner), void *owner)
{
    log_before = before;
    log_before_owner = owner;
}

void log_set_writer(const struct log_writer *writer)
{
    log_writer = writer != NULL ? *writer : (struct log_writer){.write = NULL};
}

unsigned long long log_dropped(void)
{
    return log_lines_dropped;
}

void log_count_dropped(void)
{
    log_lines_dropped++;
}

bool log_enabled(enum log_level level)
{
    return level <= log_threshold;
}

static void write_line(const char *line, size_t len)
{
    if (log_writer.write != NULL) {
        log_writer.write(log_writer.owner, line, len);
        return;
    }
    if (log_before != NULL)
        log_before(log_before_owner);
    /* A failure of stderr itself cannot be reported. */
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}

static void __attribute__((format(printf, 1, 0))) write_text(const char *format, va_list arguments)
{
    char line[LOG_MAX_LINE];
    int n = snprintf(line, sizeof line, "%s: ", log_program);
    size_t len = n > 0 ? (size_t) n : 0;

    n = vsnprintf(line + len, sizeof line - len - 1, format, arguments);
    if (n < 0)
        return;
    len += (size_t) n;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    write_line(line, len);
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    write_text(format, arguments);
    va_end(arguments);
}

void log_repeated(enum log_level level, const char *kind, const char *address, const char *format,
                  ...)
{
    va_list arguments;

    if (!log_enabled(level) || (!log_enabled(LOG_DEBUG) && log_writer.admits != NULL &&
                                !log_writer.admits(log_writer.owner, kind, address)))
        return;
    va_start(arguments, format);
    write_text(format, arguments);
    va_end(arguments);
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

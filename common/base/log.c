#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static const char *log_program = "";
static _Atomic enum log_level log_threshold = LOG_INFO;
static _Atomic struct log_form log_form_now;
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

void log_set_form(struct log_form form)
{
    log_form_now = form;
}

struct log_form log_form(void)
{
    return log_form_now;
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

/* The parts of a line that every one has. */
static struct log_entry begin_entry(enum log_level level, const char *text)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    return (struct log_entry){
        .program = log_program,
        .level = level,
        .time = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000,
        .text = text,
    };
}

static void write_entry(const struct log_entry *entry)
{
    struct log_form form = log_form_now;
    char line[LOG_LINE_MAX];
    size_t len = log_line_write(line, &form, entry);

    write_line(line, len);
}

size_t log_make(char line[LOG_LINE_MAX], enum log_level level, const char *text)
{
    struct log_form form = log_form_now;
    struct log_entry entry = begin_entry(level, text);

    return log_line_write(line, &form, &entry);
}

void log_write(enum log_level level, const char *format, ...)
{
    char text[LOG_MAX_TEXT];
    struct log_entry entry;
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    (void) vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    entry = begin_entry(level, text);
    write_entry(&entry);
}

void log_repeated(enum log_level level, const char *kind, const char *address, const char *format,
                  ...)
{
    const struct log_field fields[] = {
        {"kind", LOG_FIELD_TEXT, kind, 0},
        {"address", LOG_FIELD_TEXT, address, 0},
    };
    char text[LOG_MAX_TEXT];
    struct log_entry entry;
    va_list arguments;

    if (!log_enabled(level) || (!log_enabled(LOG_DEBUG) && log_writer.admits != NULL &&
                                !log_writer.admits(log_writer.owner, kind, address)))
        return;
    va_start(arguments, format);
    (void) vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    entry = begin_entry(level, text);
    entry.fields = fields;
    entry.field_count = sizeof fields / sizeof *fields;
    entry.fields_in_json = true;
    write_entry(&entry);
}

void log_fields(enum log_level level, const char *text, const struct log_field *fields,
                size_t count)
{
    struct log_entry entry;

    if (!log_enabled(level))
        return;
    entry = begin_entry(level, text);
    entry.fields = fields;
    entry.field_count = count;
    write_entry(&entry);
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

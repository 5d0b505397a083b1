/* One line of a log, made from its parts: for people, for journald, or as JSON. A line is never
 * split, whatever its parts contain, and never longer than LOG_LINE_MAX: longer parts are cut. */
#ifndef WS_COMMON_BASE_LOG_LINE_H
#define WS_COMMON_BASE_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_LINE_MAX = 4096 }; /* bytes, the newline included: what a pipe takes whole (PIPE_BUF) */

enum log_level {
    LOG_ERROR, /* the program cannot do what it was asked to do */
    LOG_WARN,  /* the operator should look at this */
    LOG_INFO,  /* the few events of a normal life: started, stopping */
    LOG_DEBUG, /* one line for each connection's comings and goings */
};

/* What a line of text begins with. */
enum log_prefix {
    LOG_PREFIX_PROGRAM, /* "PROGRAM: " */
    LOG_PREFIX_TIME,    /* "2026-11-27T10:44:03.123Z LEVEL PROGRAM: " (RFC 3339) */
    LOG_PREFIX_JOURNAL, /* "<N>", of syslog's priorities: journald adds time and program */
};

struct log_form {
    bool json; /* behind the prefix of journald, if it is that; with the time in every case */
    enum log_prefix prefix;
};

/* A part of a line that has a name, which is static: letters, digits and '_'. */
struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_MILLISECONDS } type;
    const char *text;
    uint64_t number; /* milliseconds are written as seconds, with a fraction */
};

struct log_entry {
    const char *program;
    enum log_level level;
    uint64_t time; /* milliseconds since 1970 */
    const char *text;
    const struct log_field *fields;
    size_t field_count;
    bool fields_in_json; /* the text says it all: only JSON has the fields */
};

/* Writes the line, with its newline; returns its length. What is not printable or not UTF-8 stands
 * in text as \xNN, and in JSON as it demands (see json.h). Values that are empty, or have spaces,
 * quotes, backslashes or '=' in them, stand in quotes, with a backslash before quotes and
 * backslashes. */
size_t log_line_write(char line[LOG_LINE_MAX], const struct log_form *form,
                      const struct log_entry *entry);

#endif

/* One line for each thing worth telling, on stderr, in the form that was asked for (log_line.h). It
 * is written at once, with one system call, so that lines of several threads never mix; or it goes
 * to a writer that never blocks (log_queue.h). The program's name and the writer are set while
 * there is only one thread, and only read from then on. */
#ifndef WS_COMMON_BASE_LOG_H
#define WS_COMMON_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/log_line.h"

enum { LOG_MAX_TEXT = 1024 }; /* bytes of the text of a line; longer ones are cut */

/* `program` is borrowed for the life of the process. */
void log_init(const char *program, enum log_level level);

/* From any thread: another level, or form, from now on. At first lines begin with the program. */
void log_set_level(enum log_level level);
void log_set_form(struct log_form form);
struct log_form log_form(void);

/* From here on `before` runs before each line: for a program of one thread that has something else
 * on its terminal. NULL for nothing. */
void log_set_before(void (*before)(void *owner), void *owner);

/* Takes the lines of a program in place of stderr. Both functions are called on any thread, and
 * must not block. */
struct log_writer {
    void *owner;
    /* Says whether one more line of this kind and address is to be written: see log_repeated. */
    bool (*admits)(void *owner, const char *kind, const char *address);
    /* Takes a whole line, with its newline; it is borrowed for the call. */
    void (*write)(void *owner, const char *line, size_t len);
};

/* From here on lines go to `writer`, which is copied; NULL: to stderr, at once. */
void log_set_writer(const struct log_writer *writer);

/* True when a line of this level would be written: ask before preparing costly arguments. */
bool log_enabled(enum log_level level);

/* Writes a line. What came from a peer goes through escape_text first. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes a line of this text and these fields, whose values may be a peer's as they came. Their
 * names never change, for those who evaluate the log. */
void log_fields(enum log_level level, const char *text, const struct log_field *fields,
                size_t count);

/* For a writer's own lines: makes one, which a writer is not given. Returns its length. */
size_t log_make(char line[LOG_LINE_MAX], enum log_level level, const char *text);

/* The same as log_write for a line that a client can cause as often as it likes. A writer may leave
 * such lines out, by their kind (static text, which begins the line that counts them) and the
 * client's address (as from stream_peer_name: the port does not matter), which JSON has as fields.
 * With LOG_DEBUG enabled all are written. */
void log_repeated(enum log_level level, const char *kind, const char *address, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

/* How many lines were left out so far, and that one more is. From any thread. */
unsigned long long log_dropped(void);
void log_count_dropped(void);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) \
    do { \
        if (log_enabled(LOG_DEBUG)) \
            log_write(LOG_DEBUG, __VA_ARGS__); \
    } while (0)

/* Parses "error", "warn", "info" or "debug". Returns 0, or UV_EINVAL. */
int log_parse_level(const char *text, enum log_level *level);

#endif

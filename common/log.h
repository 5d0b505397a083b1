/* One line on stderr for each thing worth telling, written with one system call, so that lines of
 * several threads never mix. The level and the program's name are set once, before any thread
 * starts, and only read from then on. */
#ifndef WS_LOG_H
#define WS_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
    LOG_ERROR, /* the program cannot do what it was asked to do */
    LOG_WARN,  /* somebody should look at this */
    LOG_INFO,  /* the few events of a normal life: started, stopping */
    LOG_DEBUG, /* one line for each connection's comings and goings */
};

/* `program` is borrowed for the life of the process. */
void log_init(const char *program, enum log_level level);

/* From here on `before` runs before each line: for a program of one thread that has something else
 * on its terminal. NULL for nothing. */
void log_set_before(void (*before)(void *owner), void *owner);

/* True when a line of this level would be written: ask before preparing costly arguments. */
bool log_enabled(enum log_level level);

/* Writes "PROGRAM: text\n". What came from a peer goes through escape_text
 * first. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

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

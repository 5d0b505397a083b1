/* One line on stderr for each thing worth telling. It is written at once, with one system call, so
 * that lines of several threads never mix; or it goes to a writer that never blocks (log_queue.h).
 * The program's name and the writer are set while there is only one thread, and only read from then
 * on. */
#ifndef WS_COMMON_BASE_LOG_H
#define WS_COMMON_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum { LOG_MAX_LINE = 1024 }; /* bytes of a line, its newline included; longer ones are cut */

enum log_level {
    LOG_ERROR, /* the program cannot do what it was asked to do */
    LOG_WARN,  /* the operator should look at this */
    LOG_INFO,  /* the few events of a normal life: started, stopping */
    LOG_DEBUG, /* one line for each connection's comings and goings */
};

/* `program` is borrowed for the life of the process. */
void log_init(const char *program, enum log_level level);

/* From any thread: another level from now on. */
void log_set_level(enum log_level level);

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

/* Writes "PROGRAM: text\n". What came from a peer goes through escape_text
 * first. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a line that a client can cause as often as it likes. A writer may leave such lines
 * out, by their kind (static text, which begins the line that counts them) and the client's address
 * (as from stream_peer_name: the port does not matter). With LOG_DEBUG enabled all are written. */
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

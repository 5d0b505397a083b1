/* The syntax of the configuration file:
 *
 *     # a comment, also with ';'
 *     [section argument]
 *     name = value                 # a comment, behind white space
 *     name = "a value; # with \"quotes\", \\, \n or \t"
 *
 * White space around names and values does not count. A value that has '#' or ';' behind white
 * space, or begins or ends with white space, needs quotes. Nothing is ever cut: what is too long is
 * an error. Pure: text in, callbacks out. */
#ifndef WS_SERVER_CONFIG_INI_H
#define WS_SERVER_CONFIG_INI_H

#include <stddef.h>

enum {
    INI_MAX_FILE = 4 * 1024 * 1024, /* bytes */
    INI_MAX_LINE = 64 * 1024,       /* bytes, without the line's end */
};

struct ini_handler {
    void *context;
    /* A section begins; `argument` is "" where there is none. Strings are valid for the call. */
    void (*on_section)(void *context, size_t line, const char *name, const char *argument);
    void (*on_setting)(void *context, size_t line, const char *name, const char *value);
    /* The line is malformed; the others are read all the same. */
    void (*on_error)(void *context, size_t line, const char *what);
};

/* Reads a text of `len` bytes, which it changes; a NUL stands behind them. */
void ini_read(char *text, size_t len, const struct ini_handler *handler);

#endif

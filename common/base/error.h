/* What went wrong, in words for the person at the terminal: what happened, to what, why, and what
 * to do about it, in one line. Functions whose failure a user must hear of fill one of these and
 * return the negative UV_E* code that goes with it. */
#ifndef WS_COMMON_BASE_ERROR_H
#define WS_COMMON_BASE_ERROR_H

struct error {
    char text[512];
};

/* Writes the text (cut at the size of the struct) and returns `code`, so that a failing function
 * can end with `return error_set(error, UV_EINVAL, "…")`. */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

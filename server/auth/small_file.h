/* A small file, whole: keys, tokens. */
#ifndef WS_SERVER_AUTH_SMALL_FILE_H
#define WS_SERVER_AUTH_SMALL_FILE_H

#include <stddef.h>

#include "common/base/error.h"

/* Reads the file, of at most `most` bytes; a NUL stands behind them. `*text` is the caller's to
 * free. Returns 0, or a negative UV_E* code with a text that names the file. */
int small_file_read(const char *path, size_t most, char **text, size_t *len, struct error *error);

#endif

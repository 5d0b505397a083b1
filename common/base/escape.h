/* Text from strangers, made fit for a terminal or a log line: what could move the cursor, switch
 * the terminal's state, end the line or turn the order of its characters is shown and not done. */
#ifndef WS_COMMON_BASE_ESCAPE_H
#define WS_COMMON_BASE_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

/* Appends `len` bytes of text to `out`. Left as they are: the printable characters of valid UTF-8.
 * Written as \xNN, byte by byte: C0 and C1 controls, DEL, line and paragraph separators,
 * bidirectional controls, and whatever is not UTF-8. Returns 0 or UV_ENOMEM. */
int escape_append(struct buffer *out, const uint8_t *text, size_t len);

/* The same into `out` (`size` bytes, at least 8), NUL-terminated; what does not fit is cut and ends
 * in "...". Returns `out`, so that the call can stand among the arguments of a log line. */
const char *escape_text(char *out, size_t size, const void *text, size_t len);

#endif

/* Text as JSON (RFC 8259): written, never read. */
#ifndef WS_JSON_H
#define WS_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* Appends `len` bytes of text as a string with its quotation marks. The string has no control
 * character, line separator or bidirectional control in it, whatever the text has: these are
 * escaped, so that a line stays a line and a terminal is left alone. What is not UTF-8 becomes
 * U+FFFD. Returns 0 or UV_ENOMEM. */
int json_append_string(struct buffer *out, const void *text, size_t len);

#endif

/* Text as JSON (RFC 8259): written, never read. */
#ifndef WS_COMMON_BASE_JSON_H
#define WS_COMMON_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum { JSON_MAX_ESCAPE = 6 }; /* bytes that one byte of text becomes at the most: \uXXXX */

/* Appends `len` bytes of text as a string with its quotation marks. The string has no control
 * character, line separator or bidirectional control in it, whatever the text has: these are
 * escaped, so that a line stays a line and a terminal is left alone. What is not UTF-8 becomes
 * U+FFFD. Returns 0 or UV_ENOMEM, with the buffer unchanged. */
int json_append_string(struct buffer *out, const void *text, size_t len);

/* Bytes of that string, quotation marks included; some number above `most`, if there are more. */
size_t json_string_size(const void *text, size_t len, size_t most);

/* The inside of that string in pieces: writes as much of the text as becomes at most `room` bytes,
 * cut between two characters; with room for JSON_MAX_ESCAPE it gets on. `*used` is how many bytes
 * of the text were read. Returns how many were written. `text` has the rest of the text: what is
 * left of it is for the next call. */
size_t json_escape(uint8_t *out, size_t room, const void *text, size_t len, size_t *used);

#endif

/* Decimal numbers as protocols and options have them: digits, without sign or white space. */
#ifndef WS_COMMON_BASE_DECIMAL_H
#define WS_COMMON_BASE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the digits at the front of a text of `len` bytes. Returns how many there are; `*number` is
 * UINT64_MAX if it would be more than that, and 0 if there are no digits. */
size_t decimal_read(const char *text, size_t len, uint64_t *number);

/* True if the whole text is a number of at most `most`; leading zeros are allowed. */
bool decimal_parse(const char *text, size_t len, uint64_t most, uint64_t *number);

#endif

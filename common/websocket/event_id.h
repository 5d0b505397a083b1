/* The name of a message: which log it is in, and its number there. Printed as EPOCH-SEQUENCE, the
 * epoch in 16 hexadecimal digits, the sequence in decimal, as in "9f86d081884c7d65-1024".
 *
 * As a place in the log it means "just behind this message"; sequence 0 is the place before the
 * first one. Only IDs of the same epoch can be compared: an epoch is drawn at random when a log
 * begins. */
#ifndef WS_COMMON_WEBSOCKET_EVENT_ID_H
#define WS_COMMON_WEBSOCKET_EVENT_ID_H

#include <stddef.h>
#include <stdint.h>

enum { EVENT_ID_SIZE = 16 + 1 + 20 + 1 }; /* the longest, with its NUL */

struct event_id {
    uint64_t epoch;
    uint64_t sequence;
};

/* Draws the epoch of a new log. Returns 0, or UV_EIO when the CSPRNG fails. */
int event_id_draw_epoch(uint64_t *epoch);

/* Returns `out`, NUL-terminated. */
char *event_id_print(struct event_id id, char out[EVENT_ID_SIZE]);

/* Parses the `len` bytes of `text`: exactly what event_id_print writes and nothing else. Returns 0
 * or UV_EINVAL. */
int event_id_parse(const char *text, size_t len, struct event_id *id);

#endif

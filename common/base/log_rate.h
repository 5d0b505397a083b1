/* Which lines of a kind that clients can cause at will are logged: of each kind and address the
 * first LOG_RATE_LINES in LOG_RATE_TIME; the others are counted, and the count is told when the
 * time is over. A table of fixed size: where it is full, those that find no room share one entry.
 * Not for several threads at once. */
#ifndef WS_COMMON_BASE_LOG_RATE_H
#define WS_COMMON_BASE_LOG_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_RATE_LINES = 10,
    LOG_RATE_TIME = 10 * 1000, /* milliseconds */
    LOG_RATE_ENTRIES = 256,
};

struct log_rate_entry {
    uint64_t key;   /* a hash of kind and address; 0: the entry is unused */
    uint64_t since; /* milliseconds */
    uint32_t lines;
    uint32_t left_out;
    char name[96]; /* "ADDRESS: KIND" */
};

struct log_rate {
    struct log_rate_entry _entries[LOG_RATE_ENTRIES + 1]; /* the last one is shared */
    unsigned _pending;                                    /* entries with lines left out */
};

void log_rate_init(struct log_rate *rate);

/* True when a line of this kind may be logged at the time `now` (milliseconds); otherwise it is
 * counted. What stands behind " port " in `address` does not matter. */
bool log_rate_admits(struct log_rate *rate, const char *kind, const char *address, uint64_t now);

/* How many counts are to be told. */
unsigned log_rate_pending(const struct log_rate *rate);

/* When log_rate_tell has something to tell next; UINT64_MAX: nothing was left out. */
uint64_t log_rate_due(const struct log_rate *rate);

/* Writes the text that tells one count whose time is over at `now`, which is told once; false when
 * there is none. With UINT64_MAX all are over. */
bool log_rate_tell(struct log_rate *rate, uint64_t now, char *text, size_t size);

#endif

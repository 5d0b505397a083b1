/* The journal on disk: what is submitted is committed to a store (server/store) before anyone sees
 * it, and channels go on after a restart where they were.
 *
 *     worker    submit ──► copy, as a batch of the store
 *     store                 commit, together with all that has come meanwhile
 *     teller    ◄────────── in the order of the commits: appends to the channel's logs
 *     worker    ◄── inbox: the receipt
 *
 * Each channel that there is refers to its counterpart in the store, from which it has its epoch
 * and its number. */
#ifndef WS_SERVER_JOURNAL_JOURNAL_SQLITE_H
#define WS_SERVER_JOURNAL_JOURNAL_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "server/broadcast/channels.h"
#include "server/journal/journal.h"

struct journal_sqlite_config {
    const char *path;
    bool fast;                /* see store.h */
    bool new_epochs;          /* likewise */
    uint64_t disk;            /* bytes that the store may take, about; 0: any number */
    uint64_t memory;          /* bytes of the newest messages that are read at the start */
    uint64_t patience;        /* milliseconds that those wait who do, while writing fails */
    uint64_t compression_min; /* as of a channel_publisher */
    int compression_level;
};

struct journal_sqlite;

/* Opens or creates the store, and reads the newest messages of each channel into its history. Keeps
 * the channels, which are borrowed until journal_sqlite_close, and of which there is just the
 * default one. Returns 0, or a negative UV_E* code with a line in `error`. */
int journal_sqlite_open(struct journal_sqlite **journal, const struct journal_sqlite_config *config,
                        struct channels *channels, struct error *error);

/* Commits and delivers what was submitted, and closes the store. The threads that have submitted
 * have ended; their inboxes, which are closed, are still there. Harmless with NULL. */
void journal_sqlite_close(struct journal_sqlite *journal);

struct journal *journal_sqlite_of(struct journal_sqlite *journal);

/* The channels have other settings. */
void journal_sqlite_reconfigure(struct journal_sqlite *journal, uint64_t disk, uint64_t patience);

#endif

/* Messages on disk: numbered per channel, committed in groups, read back in pieces.
 *
 *     store_submit ──► writer: one transaction for all that has come ──► on_done, in that order
 *
 * A store is a file that one process uses at a time. Functions may be called from any thread, but
 * store_close, after which none may; callbacks run on threads of the store, and must not wait. */
#ifndef WS_SERVER_STORE_STORE_H
#define WS_SERVER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/list.h"

struct store;
struct store_channel;

/* What is kept of a channel; 0: any number. What is older goes in whole rows: a little more than
 * this may stay. */
struct store_policy {
    bool nothing; /* but the channel's numbers */
    uint64_t messages;
    uint64_t bytes; /* of payloads, and 5 for each */
    uint64_t age;   /* milliseconds */
};

typedef void (*store_policy_cb)(void *context, const char *name, struct store_policy *policy);

struct store_config {
    const char *path;
    bool fast;       /* a commit does not wait for the disk: a power loss may take it back, and the
                        epochs change then. Not the end of the process */
    bool new_epochs; /* the file was restored from a backup: epochs are drawn anew */
    uint64_t most;   /* bytes of the file, about; 0: any number. The oldest messages go */
    uint64_t patience; /* milliseconds that batches with `waits` wait while writing fails */
    const char *vfs;   /* of SQLite; NULL: the default one */
    /* What is kept of each channel; also called by store_change_policies. NULL: everything. */
    store_policy_cb policy;
    void *context;
};

/* Opens or creates the file, `PATH-lock`, and those that SQLite keeps beside it. Returns 0 or a
 * negative UV_E* code with a line in `error`; an existing file is unchanged then. */
int store_open(struct store **store, const struct store_config *config, struct error *error);

/* Commits what was submitted (what fails now is not tried again), calls what has to be called, and
 * moves the WAL into the database. From here on nothing may be submitted or read. */
void store_stop(struct store *store);

/* The same, if that has not been done, and frees the store. Harmless with NULL. */
void store_close(struct store *store);

/* Reads everything in the file, which no process uses, and reports what is wrong, a line each;
 * nothing is changed. `report` runs for each line. Returns 0, UV_EILSEQ if something is wrong, or
 * another code with a line in `error` if the file cannot be read. */
int store_check(const char *path, void (*report)(void *context, const char *line), void *context,
                struct error *error);

/* ---- channels ---- */

/* What is known of a channel. */
struct store_range {
    uint64_t epoch;
    uint64_t oldest; /* sequence of the oldest message that is kept; newest + 1: there is none */
    uint64_t newest; /* of the newest one that is committed; 0: none ever was */
};

/* Refers to the channel of this name, which has an epoch from then on; that of one without messages
 * lasts as long as it is referred to. Reads nothing from the disk. Returns 0, UV_ENOMEM, or UV_EIO
 * when the CSPRNG fails. */
int store_channel_ref(struct store *store, const char *name, size_t len,
                      struct store_channel **channel, struct store_range *range);
void store_channel_unref(struct store *store, struct store_channel *channel);

void store_channel_range(struct store *store, const struct store_channel *channel,
                         struct store_range *range);

/* The policies have changed: asks for each anew. */
void store_change_policies(struct store *store, uint64_t most, uint64_t patience);

/* ---- writing ---- */

enum store_result {
    STORE_COMMITTED,
    STORE_NOT_WRITTEN, /* certainly: nor will it be there after a crash */
    STORE_UNKNOWN,     /* it may be there after a crash */
};

/* Messages for one channel, which get consecutive numbers. The submitter's memory until `on_done`,
 * as is what `data` points to. */
struct store_batch {
    struct list _node;
    uint64_t _deadline;
    struct store_channel *channel; /* referred to by the submitter meanwhile */
    const uint8_t *data;           /* messages as store_message.h says */
    size_t len;                    /* bytes */
    size_t count;                  /* messages, at least one */
    bool waits;                    /* has patience */
    void (*on_done)(struct store_batch *batch);
    enum store_result result; /* within on_done, */
    uint64_t first;           /* and the number of its first message, if it is committed */
};

/* `on_done` runs once, always, on one thread for all batches: in the order of the commits, which
 * for batches of one channel is that of their submission. */
void store_submit(struct store *store, struct store_batch *batch);

/* ---- reading ---- */

/* A piece of a channel's past. The asker's memory until `on_done`. */
struct store_read {
    struct list _node;
    struct store_channel *channel; /* referred to by the asker meanwhile */
    uint64_t after;                /* begins behind the message of this number */
    size_t most;                   /* bytes; a row of more is read all the same */
    void (*on_done)(struct store_read *read);
    int status;     /* within on_done: 0, UV_ENOMEM, or what reading failed with */
    uint64_t first; /* number of the first message, which is later than asked for if that is gone,
                        or 0 if there is none */
    size_t count;   /* messages */
    uint8_t *data;  /* of them, as store_message.h says; `_memory` is for free(3) */
    size_t len;     /* bytes */
    void *_memory;
};

/* `on_done` runs once, always, on the reader's thread. */
void store_read(struct store *store, struct store_read *read);

/* Calls `each` for the newest messages of all channels, about `most` bytes of them, in the order of
 * the commits: `after` is the number before those of `data`. Reads on the calling thread, before
 * anything else is asked of the store. Ends early when `each` returns something else than 0, and
 * returns that; or what reading failed with. */
typedef int (*store_recall_cb)(void *context, const char *name, uint64_t after, const uint8_t *data,
                               size_t len);
int store_recall(struct store *store, uint64_t most, store_recall_cb each, void *context);

/* ---- looking ---- */

struct store_state {
    bool degraded;     /* writing fails, */
    char reason[128];  /* for this reason */
    uint64_t pending;  /* bytes that are submitted and not done */
    uint64_t commits;  /* ever, */
    uint64_t failures; /* and those that failed */
    uint64_t bytes;    /* of the file, without the WAL */
    uint64_t channels;
};

void store_look(struct store *store, struct store_state *state);

#endif

/* What the files of a store share. For them alone.
 *
 * The lock guards the queues, the index (names, references, ranges, policies) and the state; it is
 * held for moments, never while something is read or written. What is marked as the writer's is
 * touched by the writer's thread alone, but before it starts and after it has ended. */
#ifndef WS_SERVER_STORE_STORE_PRIVATE_H
#define WS_SERVER_STORE_STORE_PRIVATE_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "server/store/store.h"
#include "server/store/store_vfs.h"

enum {
    STORE_APPLICATION_ID = 0x77736264, /* "wsbd" */
    STORE_VERSION = 1,                 /* of the schema */
    STORE_PAGE = 4096,                 /* bytes */
    STORE_ROW = 256 * 1024,            /* bytes of messages that share a row */
    STORE_GROUP = 8 * 1024 * 1024,     /* bytes of messages in a commit, about */
    STORE_RETRY = 250,                 /* milliseconds between attempts while writing fails */
    STORE_CHECKPOINT = 1000,           /* pages in the WAL from which on they are moved, */
    STORE_WAL = 8192,                  /* and from which on the writer waits for that */
};

/* A row, as far as it is remembered. */
struct store_row {
    uint64_t first;
    uint64_t count;
    uint64_t before; /* bytes of the channel in all rows before, */
    uint64_t size;   /* and in this one */
    uint64_t time;   /* milliseconds since 1970 */
};

struct store_channel {
    struct list node; /* of all */
    size_t refs;
    struct store_range range;
    struct store_policy policy;
    /* The writer's: */
    int64_t id;
    bool stored;             /* it has a row in `channel` */
    uint64_t end;            /* bytes in all rows ever */
    struct store_row oldest; /* row; count 0: there is none */
    struct store_row open;   /* row of the transaction under way, */
    struct buffer row;       /* its messages, */
    uint64_t next_end;       /* what `end` becomes, */
    uint64_t next_newest;    /* and the range's */
    struct store_row next_oldest;
    bool next_stored;
    struct list touched; /* in that transaction */
    struct list over;    /* there is something to drop */
    size_t len;
    char name[]; /* NUL-terminated */
};

struct store_writer {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *add_channel, *add_row, *probe;
    sqlite3_stmt *oldest_row, *oldest_of_all, *drop_row, *drop_channel, *keep_numbers;
    sqlite3_stmt *used, *vacuum;
    struct list touched; /* channels */
    struct list over;
    uint64_t last_time;  /* milliseconds since 1970: never goes back */
    uint64_t retry_at;   /* milliseconds of a clock that only goes forward; 0: writing works */
    uint64_t dropped_at; /* of that clock: the last step of retention */
    uint64_t frames;     /* in the WAL after the last commit */
};

struct store {
    struct store_config config;
    char *path;
    int lock_fd;
    struct store_vfs vfs;
    uv_mutex_t lock;
    uv_cond_t work;   /* for the writer */
    uv_cond_t told;   /* for the teller */
    uv_cond_t asked;  /* for the reader */
    uv_cond_t filled; /* for the checkpointer */
    uv_cond_t paused; /* the writer waits, or may go on */
    struct list submitted, waiting, done, reads;
    void *by_name; /* tsearch(3)'s trees of struct store_channel */
    void *by_id;
    struct list all;
    int64_t last_id;
    struct store_state state;
    bool closing;        /* the writer commits what there is, and ends */
    bool written;        /* the writer has ended: the others do */
    bool pause;          /* the checkpointer wants the writer to wait, */
    bool is_paused;      /* which it does */
    uint64_t wal_frames; /* after the last commit */
    struct store_writer writer;
    sqlite3 *reader, *checkpointer;
    sqlite3_stmt *read_rows;
    uv_thread_t threads[4];
    size_t thread_count;
};

/* ---- store_open.c ---- */

/* Locks and opens the files, and reads the index. Returns 0, or a negative UV_E* code with `error`
 * filled in; store_open_undo is to be called in either case. */
int store_open_files(struct store *store, struct error *error);
void store_open_undo(struct store *store);

/* The threads have ended, and what they wrote is committed: moves the WAL into the database. */
void store_open_finish(struct store *store);

/* Takes the lock of the file: `*fd` becomes a descriptor that holds it. */
int store_open_lock(const char *path, int *fd, struct error *error);

/* Looks at the file before SQLite does: that it is a store, of a version that is known. Returns 0,
 * also if there is none. */
int store_open_look(const char *path, struct error *error);

/* Opens a connection; `vfs` may be NULL. Returns SQLite's result, `*db` NULL if it failed. */
int store_open_connection(const char *path, int flags, const char *vfs, sqlite3 **db);

/* ---- store_index.c ---- */

/* Adds a channel that is in the file or, with `id` 0, is not yet. NULL: out of memory. */
struct store_channel *store_index_add(struct store *store, const char *name, size_t len, int64_t id,
                                      uint64_t epoch);

/* With the lock held, or before there are threads. NULL: there is none. */
struct store_channel *store_index_find(struct store *store, const char *name, size_t len);
struct store_channel *store_index_find_id(struct store *store, int64_t id);
void store_index_remove(struct store *store, struct store_channel *channel);
void store_index_deinit(struct store *store);

/* ---- the threads ---- */

void store_writer_run(void *argument);
void store_teller_run(void *argument);
void store_checkpoint_run(void *argument);
void store_reader_run(void *argument);

/* Prepares the statements. Returns SQLite's result. */
int store_writer_init(struct store *store);
int store_reader_init(struct store *store);

/* ---- the writer's ---- */

/* A transaction begins; ends. The channels that it touches are remembered, and their numbers
 * become those that it gives them, or stay. store_writer_end returns SQLite's result of `result`,
 * which what was done in it gave, or of the commit. */
int store_writer_begin(struct store *store);
int store_writer_end(struct store *store, int result);
void store_writer_touch(struct store *store, struct store_channel *channel);

/* Milliseconds of a clock that only goes forward. */
uint64_t store_writer_clock(void);

/* With the lock held: the channel has changed, and there may be something to drop. */
void store_retention_note(struct store *store, struct store_channel *channel);

/* When it is time, drops some of what is too much or too old; true if there is more. Not to be
 * called while writing fails. */
bool store_retention_step(struct store *store);

#endif

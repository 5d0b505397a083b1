/* A VFS of SQLite that passes everything on to another one, and remembers where the transaction
 * under way has written to the WAL. If its commit fails, that part can be taken back:
 *
 *     WAL ──[ header | frames that are committed | frames of the one that failed ]
 *                                                  ▲ the lowest write
 *
 * Without that, frames that were written, but whose sync failed, could be found whole after a
 * crash, and the transaction would have happened after all. */
#ifndef WS_SERVER_STORE_STORE_VFS_H
#define WS_SERVER_STORE_STORE_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct store_vfs_wal;

struct store_vfs {
    sqlite3_vfs vfs;
    char name[40];
    struct store_vfs_wal *_wal; /* that is open; NULL: none */
    int64_t _lowest;            /* written, and neither kept nor taken back; -1: nothing */
};

/* Registers it for the one connection that writes; `base` is the name of the other VFS, or NULL.
 * It must not move. Returns SQLITE_OK or SQLITE_NOTFOUND. */
int store_vfs_init(struct store_vfs *vfs, const char *base);
void store_vfs_deinit(struct store_vfs *vfs);

/* A transaction has succeeded. */
void store_vfs_keep(struct store_vfs *vfs);

/* It has failed: truncates the WAL to where it was after the last one that succeeded, and syncs.
 * True if no crash can bring back what has failed since. */
bool store_vfs_take_back(struct store_vfs *vfs);

#endif

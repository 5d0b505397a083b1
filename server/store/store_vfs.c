#include "server/store/store_vfs.h"

#include <stdio.h>
#include <string.h>

struct store_vfs_wal {
    sqlite3_file file; /* what SQLite sees; behind this struct lies the file of the other VFS */
    struct store_vfs *vfs;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *) (void *) ((struct store_vfs_wal *) (void *) file + 1);
}

static sqlite3_vfs *base_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* ---- the WAL ---- */

static int wal_close(sqlite3_file *file)
{
    struct store_vfs_wal *wal = (struct store_vfs_wal *) (void *) file;

    if (wal->vfs->_wal == wal)
        wal->vfs->_wal = NULL;
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int wal_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), out, len, at);
}

static int wal_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    struct store_vfs *vfs = ((struct store_vfs_wal *) (void *) file)->vfs;

    if (vfs->_lowest < 0 || at < vfs->_lowest)
        vfs->_lowest = at;
    return real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int wal_sync(sqlite3_file *file, int flags)
{
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int wal_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int wal_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int wal_is_reserved(sqlite3_file *file, int *is)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), is);
}

static int wal_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int wal_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int wal_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_is_reserved,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_size,
    .xDeviceCharacteristics = wal_characteristics,
};

/* ---- the VFS ---- */

/* All files but the WAL are the other VFS's own. */
static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *result)
{
    struct store_vfs *ours = (struct store_vfs *) (void *) vfs;
    struct store_vfs_wal *wal = (struct store_vfs_wal *) (void *) file;
    int status;

    if ((flags & SQLITE_OPEN_WAL) == 0)
        return base_of(vfs)->xOpen(base_of(vfs), name, file, flags, result);
    wal->file.pMethods = NULL;
    wal->vfs = ours;
    status = base_of(vfs)->xOpen(base_of(vfs), name, real_of(file), flags, result);
    if (real_of(file)->pMethods != NULL)
        wal->file.pMethods = &wal_methods;
    if (status == SQLITE_OK)
        ours->_wal = wal;
    return status;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    return base_of(vfs)->xDelete(base_of(vfs), name, sync);
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    return base_of(vfs)->xAccess(base_of(vfs), name, flags, result);
}

static int on_full_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return base_of(vfs)->xFullPathname(base_of(vfs), name, size, out);
}

static int on_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    return base_of(vfs)->xRandomness(base_of(vfs), len, out);
}

static int on_sleep(sqlite3_vfs *vfs, int microseconds)
{
    return base_of(vfs)->xSleep(base_of(vfs), microseconds);
}

static int on_time(sqlite3_vfs *vfs, double *time)
{
    return base_of(vfs)->xCurrentTime(base_of(vfs), time);
}

static int on_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    return base_of(vfs)->xGetLastError(base_of(vfs), len, out);
}

int store_vfs_init(struct store_vfs *vfs, const char *base)
{
    sqlite3_vfs *other = sqlite3_vfs_find(base);

    if (other == NULL)
        return SQLITE_NOTFOUND;
    *vfs = (struct store_vfs){
        .vfs =
            {
                .iVersion = 1,
                .szOsFile = (int) sizeof(struct store_vfs_wal) + other->szOsFile,
                .mxPathname = other->mxPathname,
                .pAppData = other,
                .xOpen = on_open,
                .xDelete = on_delete,
                .xAccess = on_access,
                .xFullPathname = on_full_name,
                .xRandomness = on_randomness,
                .xSleep = on_sleep,
                .xCurrentTime = on_time,
                .xGetLastError = on_last_error,
            },
        ._lowest = -1,
    };
    (void) snprintf(vfs->name, sizeof vfs->name, "wsbroadcast-%p", (void *) vfs);
    vfs->vfs.zName = vfs->name;
    return sqlite3_vfs_register(&vfs->vfs, 0);
}

void store_vfs_deinit(struct store_vfs *vfs)
{
    if (vfs->vfs.zName != NULL)
        (void) sqlite3_vfs_unregister(&vfs->vfs);
}

void store_vfs_keep(struct store_vfs *vfs)
{
    vfs->_lowest = -1;
}

bool store_vfs_take_back(struct store_vfs *vfs)
{
    sqlite3_int64 size;

    if (vfs->_lowest < 0) /* it wrote nothing */
        return true;
    if (vfs->_wal == NULL || wal_size(&vfs->_wal->file, &size) != SQLITE_OK)
        return false;
    if (size > vfs->_lowest && wal_truncate(&vfs->_wal->file, vfs->_lowest) != SQLITE_OK)
        return false;
    if (wal_sync(&vfs->_wal->file, SQLITE_SYNC_FULL) != SQLITE_OK)
        return false;
    vfs->_lowest = -1;
    return true;
}

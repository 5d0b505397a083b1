#include "faulty_disk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 16, NAME = 256, SECTOR = 512 };

struct change {
    struct change *next;
    bool is_truncation;
    size_t at, len;
    uint8_t data[];
};

/* What is known of a file, open or not. */
struct disk_file {
    char name[NAME];
    uint8_t *synced;
    size_t size;
    struct change *first, **last; /* since then */
    bool is_listed;               /* its directory has it for certain */
    bool is_deleted;
};

struct handle {
    sqlite3_file file; /* what SQLite sees; behind this struct lies the file of the default VFS */
    struct disk_file *known;
};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *base;
    struct disk_file files[FILES];
    enum disk_call call;
    enum disk_fault fault;
    unsigned from, until, count, failed;
    unsigned stride, changes;
    void (*look)(void *context);
    void *context;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *) (void *) ((struct handle *) (void *) file + 1);
}

static struct disk_file *known_of(sqlite3_file *file)
{
    return ((struct handle *) (void *) file)->known;
}

/* ---- what is known; with the lock held ---- */

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void drop_changes(struct disk_file *known)
{
    while (known->first != NULL) {
        struct change *change = known->first;

        known->first = change->next;
        free(change);
    }
    known->last = &known->first;
}

static void forget_file(struct disk_file *known)
{
    drop_changes(known);
    free(known->synced);
    *known = (struct disk_file){0};
}

static struct disk_file *find(const char *name, bool is_new)
{
    struct disk_file *unused = NULL;

    for (size_t i = 0; i < FILES; i++) {
        if (strcmp(disk.files[i].name, name) == 0)
            return &disk.files[i];
        if (disk.files[i].name[0] == '\0' && unused == NULL)
            unused = &disk.files[i];
    }
    if (!is_new)
        return NULL;
    must(unused);
    (void) snprintf(unused->name, sizeof unused->name, "%s", name);
    unused->last = &unused->first;
    return unused;
}

static void add_change(struct disk_file *known, const void *data, size_t len, size_t at)
{
    struct change *change = must(malloc(sizeof *change + (data != NULL ? len : 0)));

    *change = (struct change){.is_truncation = data == NULL, .at = at, .len = len};
    if (data != NULL)
        memcpy(change->data, data, len);
    *known->last = change;
    known->last = &change->next;
}

static void write_bytes(uint8_t **bytes, size_t *size, const uint8_t *data, size_t len, size_t at)
{
    if (at + len > *size) {
        *bytes = must(realloc(*bytes, at + len));
        memset(*bytes + *size, 0, at + len - *size);
        *size = at + len;
    }
    memcpy(*bytes + at, data, len);
}

static void truncate_bytes(size_t *size, size_t at)
{
    if (at < *size)
        *size = at;
}

static void sync_file(struct disk_file *known)
{
    for (struct change *change = known->first; change != NULL; change = change->next) {
        if (change->is_truncation)
            truncate_bytes(&known->size, change->at);
        else
            write_bytes(&known->synced, &known->size, change->data, change->len, change->at);
    }
    drop_changes(known);
}

/* The default VFS syncs the directory at the first sync of a WAL or journal that it has created. */
static void sync_directory(void)
{
    for (size_t i = 0; i < FILES; i++) {
        struct disk_file *known = &disk.files[i];

        if (known->is_deleted)
            forget_file(known);
        else if (known->name[0] != '\0')
            known->is_listed = true;
    }
}

/* ---- faults and cuts ---- */

/* Takes the lock. Says how the call is to fail. */
static enum disk_fault begin(enum disk_call call)
{
    enum disk_fault fault = DISK_NO_FAULT;
    bool changes = call == DISK_WRITE || call == DISK_TRUNCATE || call == DISK_SYNC;

    pthread_mutex_lock(&disk.lock);
    if (changes && disk.stride > 0 && ++disk.changes % disk.stride == 0)
        disk.look(disk.context);
    if (call != disk.call || disk.fault == DISK_NO_FAULT)
        return fault;
    disk.count++;
    if (disk.count >= disk.from && disk.count < disk.until) {
        disk.failed++;
        fault = disk.fault;
        if (fault == DISK_EIO_FIRST_DONE)
            fault = disk.failed == 1 ? DISK_EIO_DONE : DISK_EIO;
    }
    return fault;
}

static int end(int result)
{
    pthread_mutex_unlock(&disk.lock);
    return result;
}

static int error_of(enum disk_fault fault, int error)
{
    return fault == DISK_BUSY ? SQLITE_BUSY : error;
}

/* ---- a file ---- */

static int on_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int on_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    if (begin(DISK_READ) != DISK_NO_FAULT)
        return end(SQLITE_IOERR_READ);
    (void) end(0);
    return real_of(file)->pMethods->xRead(real_of(file), out, len, at);
}

static int on_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    enum disk_fault fault = begin(DISK_WRITE);
    int result, most = fault == DISK_SHORT_WRITE ? len / 2 : len;

    if (fault == DISK_EIO || fault == DISK_FULL)
        return end(fault == DISK_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE);
    result = real_of(file)->pMethods->xWrite(real_of(file), data, most, at);
    if (result == SQLITE_OK)
        add_change(known_of(file), data, (size_t) most, (size_t) at);
    if (fault == DISK_SHORT_WRITE)
        result = SQLITE_FULL;
    return end(fault == DISK_EIO_DONE ? SQLITE_IOERR_WRITE : result);
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    enum disk_fault fault = begin(DISK_TRUNCATE);
    int result;

    if (fault == DISK_EIO)
        return end(SQLITE_IOERR_TRUNCATE);
    result = real_of(file)->pMethods->xTruncate(real_of(file), size);
    if (result == SQLITE_OK)
        add_change(known_of(file), NULL, 0, (size_t) size);
    return end(fault == DISK_NO_FAULT ? result : SQLITE_IOERR_TRUNCATE);
}

/* The disk of the machine is not waited for: the one that counts is in memory. */
static int on_sync(sqlite3_file *file, int flags)
{
    enum disk_fault fault = begin(DISK_SYNC);
    struct disk_file *known = known_of(file);
    size_t len = strlen(known->name);

    (void) flags;
    if (fault == DISK_EIO)
        return end(SQLITE_IOERR_FSYNC);
    sync_file(known);
    if (!known->is_listed && len > 4 &&
        (strcmp(known->name + len - 4, "-wal") == 0 || strstr(known->name, "-journal") != NULL))
        sync_directory();
    return end(fault == DISK_NO_FAULT ? SQLITE_OK : SQLITE_IOERR_FSYNC);
}

static int on_size(sqlite3_file *file, sqlite3_int64 *size)
{
    if (begin(DISK_SIZE) != DISK_NO_FAULT)
        return end(SQLITE_IOERR_FSTAT);
    (void) end(0);
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int on_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int on_is_reserved(sqlite3_file *file, int *is)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), is);
}

static int on_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int on_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int on_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int on_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **memory)
{
    if (begin(DISK_SHM_MAP) != DISK_NO_FAULT)
        return end(SQLITE_IOERR_SHMMAP);
    (void) end(0);
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, memory);
}

static int on_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    /* Giving a lock back cannot fail. */
    enum disk_fault fault =
        (flags & SQLITE_SHM_LOCK) != 0 ? begin(DISK_SHM_LOCK) : begin(DISK_CALLS);

    (void) end(0);
    if (fault != DISK_NO_FAULT)
        return error_of(fault, SQLITE_IOERR_SHMLOCK);
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void on_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int on_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_is_reserved,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

/* ---- the VFS ---- */

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *result)
{
    struct handle *handle = (struct handle *) (void *) file;
    enum disk_fault fault = begin(DISK_OPEN);
    int status;

    (void) vfs;
    handle->file.pMethods = NULL;
    if (fault != DISK_NO_FAULT)
        return end(SQLITE_CANTOPEN);
    status = disk.base->xOpen(disk.base, name, real_of(file), flags, result);
    if (status == SQLITE_OK) {
        handle->known = find(name != NULL ? name : "?", true);
        if (handle->known->is_deleted) {
            handle->known->is_deleted = false;
            add_change(handle->known, NULL, 0, 0);
        }
    }
    if (real_of(file)->pMethods != NULL)
        handle->file.pMethods = &methods;
    return end(status);
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct disk_file *known;
    int result;

    (void) vfs;
    pthread_mutex_lock(&disk.lock);
    result = disk.base->xDelete(disk.base, name, sync);
    known = find(name, false);
    if (known != NULL && result == SQLITE_OK && known->is_listed)
        known->is_deleted = true;
    else if (known != NULL && result == SQLITE_OK)
        forget_file(known);
    if (result == SQLITE_OK && sync != 0)
        sync_directory();
    return end(result);
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    (void) vfs;
    return disk.base->xAccess(disk.base, name, flags, result);
}

static int on_full_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void) vfs;
    return disk.base->xFullPathname(disk.base, name, size, out);
}

static int on_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    (void) vfs;
    return disk.base->xRandomness(disk.base, len, out);
}

static int on_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void) vfs;
    return disk.base->xSleep(disk.base, microseconds);
}

static int on_time(sqlite3_vfs *vfs, double *time)
{
    (void) vfs;
    return disk.base->xCurrentTime(disk.base, time);
}

static int on_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    (void) vfs;
    return disk.base->xGetLastError(disk.base, len, out);
}

const char *disk_name(void)
{
    if (disk.base != NULL)
        return disk.vfs.zName;
    disk.base = must(sqlite3_vfs_find(NULL));
    disk.vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int) sizeof(struct handle) + disk.base->szOsFile,
        .mxPathname = disk.base->mxPathname,
        .zName = "faulty-disk",
        .xOpen = on_open,
        .xDelete = on_delete,
        .xAccess = on_access,
        .xFullPathname = on_full_name,
        .xRandomness = on_randomness,
        .xSleep = on_sleep,
        .xCurrentTime = on_time,
        .xGetLastError = on_last_error,
    };
    if (sqlite3_vfs_register(&disk.vfs, 0) != SQLITE_OK)
        abort();
    return disk.vfs.zName;
}

/* ---- for tests ---- */

void disk_fail(enum disk_call call, enum disk_fault fault, unsigned nth, unsigned count)
{
    pthread_mutex_lock(&disk.lock);
    disk.call = call;
    disk.fault = fault;
    disk.from = nth;
    disk.until = count > UINT32_MAX - nth ? UINT32_MAX : nth + count;
    disk.count = 0;
    disk.failed = 0;
    pthread_mutex_unlock(&disk.lock);
}

static unsigned read_locked(const unsigned *number)
{
    unsigned now;

    pthread_mutex_lock(&disk.lock);
    now = *number;
    pthread_mutex_unlock(&disk.lock);
    return now;
}

unsigned disk_count(void)
{
    return read_locked(&disk.count);
}

unsigned disk_failed(void)
{
    return read_locked(&disk.failed);
}

void disk_cut_every(unsigned stride, void (*look)(void *context), void *context)
{
    pthread_mutex_lock(&disk.lock);
    disk.stride = stride;
    disk.changes = 0;
    disk.look = look;
    disk.context = context;
    pthread_mutex_unlock(&disk.lock);
}

void disk_look(void (*look)(void *context), void *context)
{
    pthread_mutex_lock(&disk.lock);
    look(context);
    pthread_mutex_unlock(&disk.lock);
}

/* Some part of the change: sectors of it, all, or nothing. */
static void apply_some(uint8_t **bytes, size_t *size, const struct change *change, unsigned *seed)
{
    int fate = rand_r(seed) % 4;
    size_t done = 0;

    if (change->is_truncation && fate >= 2)
        truncate_bytes(size, change->at);
    if (change->is_truncation || fate == 0)
        return;
    while (done < change->len) {
        size_t len = SECTOR - (change->at + done) % SECTOR;

        if (len > change->len - done)
            len = change->len - done;
        if (fate >= 2 || rand_r(seed) % 2 == 0)
            write_bytes(bytes, size, change->data + done, len, change->at + done);
        done += len;
    }
}

static void write_image(const char *path, const struct disk_file *known, unsigned *seed)
{
    size_t size = known->size;
    uint8_t *bytes = must(malloc(size + 1));
    FILE *file = must(fopen(path, "w"));

    if (size > 0)
        memcpy(bytes, known->synced, size);
    for (const struct change *change = known->first; change != NULL; change = change->next)
        apply_some(&bytes, &size, change, seed);
    if (fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
    free(bytes);
}

void disk_image(const char *to, unsigned seed)
{
    for (size_t i = 0; i < FILES; i++) {
        const struct disk_file *known = &disk.files[i];
        const char *last = strrchr(known->name, '/');
        char path[2 * NAME];

        if (last == NULL || ((known->is_deleted || !known->is_listed) && rand_r(&seed) % 2 == 0))
            continue;
        (void) snprintf(path, sizeof path, "%s%s", to, last);
        write_image(path, known, &seed);
    }
}

void disk_forget(void)
{
    pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < FILES; i++)
        forget_file(&disk.files[i]);
    disk.fault = DISK_NO_FAULT;
    disk.stride = 0;
    pthread_mutex_unlock(&disk.lock);
}

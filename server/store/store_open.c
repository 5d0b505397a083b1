#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/websocket/event_id.h"
#include "server/store/store_private.h"
#include "server/store/store_sql.h"

enum { MAX_PATH = 4096 };

/* ---- before SQLite opens it ---- */

static int path_beside(char out[MAX_PATH], const char *path, const char *suffix)
{
    size_t len = strlen(path), more = strlen(suffix) + 1;

    if (len + more > MAX_PATH)
        return UV_ENAMETOOLONG;
    memcpy(out, path, len);
    memcpy(out + len, suffix, more);
    return 0;
}

static bool exists_beside(const char *path, const char *suffix)
{
    char name[MAX_PATH];
    struct stat status;

    return path_beside(name, path, suffix) == 0 && stat(name, &status) == 0 && status.st_size > 0;
}

/* A lock of the open file description: no other descriptor that is closed drops it. */
int store_open_lock(const char *path, int *fd, struct error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char name[MAX_PATH];

    *fd = -1;
    if (path_beside(name, path, "-lock") != 0)
        return error_set(error, UV_ENAMETOOLONG, "the name of the store is too long: %s", path);
    *fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return error_set(error, -errno,
                         "cannot create %s: %s: the store needs a directory where this user may "
                         "write",
                         name, strerror(errno));
    if (fcntl(*fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(error, UV_EBUSY,
                         "%s is in use by another process: stop that one, or give this one a file "
                         "of its own",
                         path);
    return error_set(error, -errno, "cannot lock %s: %s", name, strerror(errno));
}

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 |
           bytes[3];
}

/* The file's header: https://www.sqlite.org/fileformat.html, 1.3. */
static int check_header(const char *path, const uint8_t *header, size_t len, uint64_t size,
                        struct error *error)
{
    static const char magic[16] = "SQLite format 3";
    uint64_t page, pages;

    if (len < 100 || memcmp(header, magic, sizeof magic) != 0)
        return error_set(error, UV_EINVAL,
                         "%s is not a store of wsbroadcastd: it stays as it is; give the name of "
                         "another file",
                         path);
    if (number_at(header + 68) != STORE_APPLICATION_ID)
        return error_set(error, UV_EINVAL,
                         "%s is a database of another application: it stays as it is; give the "
                         "name of another file",
                         path);
    if (number_at(header + 60) > STORE_VERSION)
        return error_set(error, UV_EINVAL,
                         "%s was written by a newer wsbroadcastd (format %u, and this one knows up "
                         "to %d): use that one",
                         path, number_at(header + 60), STORE_VERSION);
    page = (uint64_t) header[16] << 8 | header[17];
    pages = number_at(header + 28);
    if ((page == 1 ? 65536 : page) * pages > size && !exists_beside(path, "-wal"))
        return error_set(error, UV_EILSEQ,
                         "%s is damaged: it is shorter than it was: restore it from a backup, and "
                         "start once with --new-epoch",
                         path);
    return 0;
}

/* No connection is open yet: closing the descriptor drops no lock of SQLite's. */
int store_open_look(const char *path, struct error *error)
{
    uint8_t header[100];
    struct stat status;
    ssize_t len;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    len = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? pread(fd, header, sizeof header, 0)
                                                             : -1;
    (void) close(fd);
    if (len < 0)
        return error_set(error, UV_EINVAL, "cannot read %s: it must be a regular file", path);
    /* Without a byte it is new; beside a journal of its creation it becomes so. */
    if (len == 0 || exists_beside(path, "-journal"))
        return 0;
    return check_header(path, header, (size_t) len, (uint64_t) status.st_size, error);
}

int store_open_connection(const char *path, int flags, const char *vfs, sqlite3 **db)
{
    int result = sqlite3_open_v2(path, db, flags | SQLITE_OPEN_NOMUTEX, vfs);

    if (result != SQLITE_OK) {
        store_sql_close(*db);
        *db = NULL;
        return result;
    }
    (void) sqlite3_extended_result_codes(*db, 1);
    (void) sqlite3_busy_timeout(*db, 1000);
    return SQLITE_OK;
}

/* ---- the schema ---- */

static const char create[] =
    "PRAGMA page_size = 4096;"
    "BEGIN;"
    "PRAGMA auto_vacuum = INCREMENTAL;"   /* writes: before BEGIN it would be committed by itself */
    "PRAGMA application_id = 2004050532;" /* STORE_APPLICATION_ID */
    "PRAGMA user_version = 1;"            /* STORE_VERSION */
    "CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO state VALUES ('probes', 0);"
    /* `sequence` is that of the newest message before the first row. */
    "CREATE TABLE channel (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " epoch INTEGER NOT NULL, sequence INTEGER NOT NULL);"
    "CREATE TABLE message (id INTEGER PRIMARY KEY, channel INTEGER NOT NULL,"
    " first INTEGER NOT NULL, count INTEGER NOT NULL, before INTEGER NOT NULL,"
    " time INTEGER NOT NULL, data BLOB NOT NULL);"
    "CREATE UNIQUE INDEX message_of_channel ON message (channel, first);"
    "COMMIT;";

static int create_schema(sqlite3 *db)
{
    int result = SQLITE_OK;

    if (store_sql_number(db, "PRAGMA schema_version", -1) == 0)
        result = store_sql_run(db, create);
    if (result == SQLITE_OK &&
        store_sql_number(db, "PRAGMA application_id", 0) != STORE_APPLICATION_ID)
        result = sqlite3_errcode(db) != SQLITE_OK ? sqlite3_errcode(db) : SQLITE_NOTADB;
    if (result == SQLITE_OK)
        result = store_sql_run(db, "PRAGMA journal_mode = WAL");
    return result;
}

/* ---- the index ---- */

static int draw_epoch(sqlite3_context *context, uint64_t *epoch)
{
    int status = event_id_draw_epoch(epoch);

    if (status != 0)
        sqlite3_result_error(context, "the CSPRNG fails", -1);
    return status;
}

static void sql_draw_epoch(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint64_t epoch;

    (void) count;
    (void) values;
    if (draw_epoch(context, &epoch) == 0)
        sqlite3_result_int64(context, (int64_t) epoch);
}

/* The ID of this boot, or "". */
static void read_boot(char boot[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, boot, 63) : -1;

    boot[len > 0 ? len : 0] = '\0';
    boot[strcspn(boot, "\n")] = '\0';
    if (fd >= 0)
        (void) close(fd);
}

/* True if the store may lack what had been committed: it was used without waiting for the disk, and
 * not closed before the machine went down. */
static bool may_lack(sqlite3 *db, const char *boot)
{
    sqlite3_stmt *statement;
    bool lacks = false;

    if (sqlite3_prepare_v2(db,
                           "SELECT 1 FROM state WHERE name = 'fast' AND (value <> ?1"
                           " OR value = '')",
                           -1, &statement, NULL) != SQLITE_OK)
        return false;
    (void) sqlite3_bind_text(statement, 1, boot, -1, SQLITE_STATIC);
    lacks = sqlite3_step(statement) == SQLITE_ROW;
    (void) sqlite3_finalize(statement);
    return lacks;
}

/* What changes at every start, in one transaction: so it is known that the file can be written. */
static int begin_use(struct store *store)
{
    sqlite3 *db = store->writer.db;
    sqlite3_stmt *statement;
    char boot[64];
    int result;

    read_boot(boot);
    result =
        sqlite3_create_function(db, "draw_epoch", 0, SQLITE_UTF8, NULL, sql_draw_epoch, NULL, NULL);
    if (result == SQLITE_OK)
        result = store_sql_run(db, "BEGIN IMMEDIATE;"
                                   "UPDATE state SET value = value + 1 WHERE name = 'probes';"
                                   "DELETE FROM channel WHERE NOT EXISTS"
                                   " (SELECT 1 FROM message WHERE channel = channel.id)");
    if (result == SQLITE_OK && (store->config.new_epochs || may_lack(db, boot)))
        result = store_sql_run(db, "UPDATE channel SET epoch = draw_epoch()");
    if (result == SQLITE_OK)
        result = store_sql_run(db, "DELETE FROM state WHERE name = 'fast'");
    if (result == SQLITE_OK && store->config.fast) {
        result =
            sqlite3_prepare_v2(db, "INSERT INTO state VALUES ('fast', ?)", -1, &statement, NULL);
        if (result == SQLITE_OK) {
            (void) sqlite3_bind_text(statement, 1, boot, -1, SQLITE_STATIC);
            result = store_sql_finish(statement);
            (void) sqlite3_finalize(statement);
        }
    }
    return result == SQLITE_OK ? store_sql_run(db, "COMMIT") : result;
}

static int add_channel(struct store *store, sqlite3_stmt *row)
{
    struct store_channel *channel = store_index_add(
        store, (const char *) sqlite3_column_text(row, 1), (size_t) sqlite3_column_bytes(row, 1),
        sqlite3_column_int64(row, 0), (uint64_t) sqlite3_column_int64(row, 2));

    if (channel == NULL)
        return SQLITE_NOMEM;
    channel->oldest = (struct store_row){
        .first = (uint64_t) sqlite3_column_int64(row, 3),
        .count = (uint64_t) sqlite3_column_int64(row, 4),
        .before = (uint64_t) sqlite3_column_int64(row, 5),
        .size = (uint64_t) sqlite3_column_int64(row, 6),
        .time = (uint64_t) sqlite3_column_int64(row, 7),
    };
    channel->range.oldest = channel->oldest.first;
    channel->range.newest = (uint64_t) sqlite3_column_int64(row, 8);
    channel->end = (uint64_t) sqlite3_column_int64(row, 9);
    return SQLITE_OK;
}

/* Two rows of each channel are looked at, found by the index. */
static int read_index(struct store *store)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(
        store->writer.db,
        "SELECT channel.id, name, epoch, a.first, a.count, a.before, length(a.data), a.time,"
        " b.first + b.count - 1, b.before + length(b.data) FROM channel"
        " JOIN message AS a ON a.channel = channel.id AND a.first ="
        " (SELECT min(first) FROM message WHERE channel = channel.id)"
        " JOIN message AS b ON b.channel = channel.id AND b.first ="
        " (SELECT max(first) FROM message WHERE channel = channel.id)",
        -1, &statement, NULL);

    if (result != SQLITE_OK)
        return result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        result = add_channel(store, statement);
        if (result != SQLITE_OK)
            break;
    }
    (void) sqlite3_finalize(statement);
    store->writer.last_time = (uint64_t) store_sql_number(
        store->writer.db, "SELECT time FROM message ORDER BY id DESC LIMIT 1", 0);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* ---- all of it ---- */

static int open_connections(struct store *store)
{
    struct store_writer *writer = &store->writer;
    int result = store_vfs_init(&store->vfs, store->config.vfs);

    if (result == SQLITE_OK)
        result = store_open_connection(store->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                       store->vfs.name, &writer->db);
    if (result == SQLITE_OK)
        result = create_schema(writer->db);
    if (result == SQLITE_OK)
        result = store_sql_run(writer->db, "PRAGMA synchronous = FULL");
    /* The note that the store is used fast must outlast what it is about: it waits for the disk. */
    if (result == SQLITE_OK)
        result = begin_use(store);
    if (result == SQLITE_OK && store->config.fast)
        result = store_sql_run(writer->db, "PRAGMA synchronous = NORMAL");
    if (result == SQLITE_OK)
        result = read_index(store);
    if (result == SQLITE_OK)
        result = store_writer_init(store);
    if (result == SQLITE_OK)
        result = store_open_connection(store->path, SQLITE_OPEN_READWRITE, store->config.vfs,
                                       &store->checkpointer);
    if (result == SQLITE_OK)
        result = store_open_connection(store->path, SQLITE_OPEN_READONLY, store->config.vfs,
                                       &store->reader);
    if (result == SQLITE_OK)
        result = store_reader_init(store);
    return result;
}

/* The line for what SQLite answered. */
static int explain(const struct store *store, int result, struct error *error)
{
    const char *to_do = "";

    switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a table or column is not there */
        return error_set(error, UV_EILSEQ,
                         "%s is damaged (%s): restore it from a backup, and start once with "
                         "--new-epoch",
                         store->path, sqlite3_errstr(result));
    case SQLITE_FULL:
        to_do = ": make room";
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        to_do = ": this user must be allowed to write to it and to its directory";
        break;
    default:
        break;
    }
    return error_set(error, store_sql_status(result), "cannot open the store %s: %s%s", store->path,
                     store_sql_reason(result), to_do);
}

/* SQLite would make it as the umask allows; what it makes beside it has the mode of this one. */
static int make_private(const char *path, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno != EEXIST)
        return error_set(error, -errno, "cannot create %s: %s", path, strerror(errno));
    if (fd >= 0)
        (void) close(fd);
    return 0;
}

int store_open_files(struct store *store, struct error *error)
{
    int status = store_open_lock(store->path, &store->lock_fd, error);
    int result;

    if (status == 0)
        status = store_open_look(store->path, error);
    if (status == 0)
        status = make_private(store->path, error);
    if (status != 0)
        return status;
    result = open_connections(store);
    return result == SQLITE_OK ? 0 : explain(store, result, error);
}

void store_open_finish(struct store *store)
{
    if (store->config.fast) /* this commit waits for the disk, and for all before it */
        (void) store_sql_run(store->writer.db, "PRAGMA synchronous = FULL;"
                                               "DELETE FROM state WHERE name = 'fast'");
    (void) store_sql_run(store->checkpointer, "PRAGMA wal_checkpoint(TRUNCATE)");
}

void store_open_undo(struct store *store)
{
    store_sql_close(store->reader);
    store_sql_close(store->checkpointer);
    store_sql_close(store->writer.db);
    store_vfs_deinit(&store->vfs);
    if (store->lock_fd >= 0)
        (void) close(store->lock_fd);
}

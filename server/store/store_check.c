#include <stdio.h>
#include <unistd.h>

#include "server/store/store_message.h"
#include "server/store/store_private.h"
#include "server/store/store_sql.h"

struct report {
    void (*line)(void *context, const char *line);
    void *context;
    uint64_t found;
};

static void say(struct report *report, const char *line)
{
    report->found++;
    report->line(report->context, line);
}

/* What SQLite itself finds. */
static int check_database(sqlite3 *db, struct report *report)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL);

    if (result != SQLITE_OK)
        return result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *line = (const char *) sqlite3_column_text(statement, 0);

        if (line != NULL && sqlite3_stricmp(line, "ok") != 0)
            say(report, line);
    }
    (void) sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static uint64_t count_messages(const uint8_t *data, size_t len, size_t *left)
{
    struct store_message message;
    uint64_t count = 0;

    while (store_message_next(&data, &len, &message))
        count++;
    *left = len;
    return count;
}

struct expected {
    int64_t channel;
    uint64_t next; /* number, */
    uint64_t end;  /* and bytes */
};

/* A row must go on where the one before it ended. */
static void check_row(sqlite3_stmt *row, struct expected *expected, struct report *report)
{
    int64_t channel = sqlite3_column_int64(row, 0);
    uint64_t first = (uint64_t) sqlite3_column_int64(row, 1);
    uint64_t count = (uint64_t) sqlite3_column_int64(row, 2);
    uint64_t before = (uint64_t) sqlite3_column_int64(row, 3);
    size_t len = (size_t) sqlite3_column_bytes(row, 4), left;
    const char *name = (const char *) sqlite3_column_text(row, 5);
    const char *what = NULL;
    char line[512];

    if (name == NULL)
        what = "are of no channel that is known";
    else if (count_messages(sqlite3_column_blob(row, 4), len, &left) != count || left != 0)
        what = "are cut off, or not as many as they should be";
    else if (channel == expected->channel && (first != expected->next || before != expected->end))
        what = "do not follow those before them";
    *expected = (struct expected){channel, first + count, before + len};
    if (what == NULL)
        return;
    (void) snprintf(line, sizeof line, "channel \"%.300s\": messages %llu to %llu %s",
                    name != NULL ? name : "?", (unsigned long long) first,
                    (unsigned long long) (first + count - 1), what);
    say(report, line);
}

static int check_messages(sqlite3 *db, struct report *report)
{
    sqlite3_stmt *statement;
    struct expected expected = {0};
    int result = sqlite3_prepare_v2(
        db,
        "SELECT channel, first, count, before, data, name FROM message"
        " LEFT JOIN channel ON channel.id = message.channel ORDER BY channel, first",
        -1, &statement, NULL);

    if (result != SQLITE_OK)
        return result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW)
        check_row(statement, &expected, report);
    (void) sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int store_check(const char *path, void (*report)(void *context, const char *line), void *context,
                struct error *error)
{
    struct report found = {report, context, 0};
    sqlite3 *db = NULL;
    int fd, result, status = store_open_lock(path, &fd, error);

    if (status == 0 && access(path, F_OK) != 0)
        status = error_set(error, UV_ENOENT, "there is no store %s", path);
    if (status == 0)
        status = store_open_look(path, error);
    if (status != 0)
        goto done;
    result = store_open_connection(path, SQLITE_OPEN_READWRITE, NULL, &db);
    /* The last connection to be closed would move the WAL into the file. */
    if (result == SQLITE_OK)
        result = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (result == SQLITE_OK)
        result = check_database(db, &found);
    if (result == SQLITE_OK)
        result = check_messages(db, &found);
    if (result != SQLITE_OK && store_sql_status(result) == UV_EILSEQ)
        say(&found, sqlite3_errmsg(db));
    else if (result != SQLITE_OK)
        status = error_set(error, store_sql_status(result), "cannot read %s: %s", path,
                           store_sql_reason(result));
    if (status == 0 && found.found > 0)
        status = error_set(error, UV_EILSEQ,
                           "%s is damaged: restore it from a backup, and start once with "
                           "--new-epoch",
                           path);
done:
    store_sql_close(db);
    if (fd >= 0)
        (void) close(fd);
    return status;
}

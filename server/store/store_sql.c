#include "server/store/store_sql.h"

#include <uv.h>

int store_sql_status(int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return UV_ENOSPC;
    case SQLITE_NOMEM:
        return UV_ENOMEM;
    case SQLITE_READONLY:
        return UV_EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return UV_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return UV_EILSEQ;
    case SQLITE_TOOBIG:
        return UV_E2BIG;
    case SQLITE_CANTOPEN:
        return UV_EACCES;
    default:
        return UV_EIO;
    }
}

const char *store_sql_reason(int result)
{
    switch (result & 0xff) {
    case SQLITE_FULL:
        return "the disk is full";
    case SQLITE_NOMEM:
        return "out of memory";
    case SQLITE_READONLY:
        return "it is read-only";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program uses it";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "it is damaged";
    default:
        return sqlite3_errstr(result);
    }
}

int store_sql_run(sqlite3 *db, const char *text)
{
    int result = sqlite3_exec(db, text, NULL, NULL, NULL);

    return result == SQLITE_OK ? result : sqlite3_extended_errcode(db);
}

int store_sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

int store_sql_finish(sqlite3_stmt *statement)
{
    int result;

    do
        result = sqlite3_step(statement);
    while (result == SQLITE_ROW);
    (void) sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int64_t store_sql_number(sqlite3 *db, const char *text, int64_t otherwise)
{
    sqlite3_stmt *statement;
    int64_t number = otherwise;

    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK)
        return otherwise;
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    (void) sqlite3_finalize(statement);
    return number;
}

void store_sql_close(sqlite3 *db)
{
    sqlite3_stmt *statement;

    if (db == NULL)
        return;
    while ((statement = sqlite3_next_stmt(db, NULL)) != NULL)
        (void) sqlite3_finalize(statement);
    (void) sqlite3_close(db);
}

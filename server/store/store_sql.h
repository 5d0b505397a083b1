/* What SQLite answers, and what we ask of it again and again. */
#ifndef WS_SERVER_STORE_STORE_SQL_H
#define WS_SERVER_STORE_STORE_SQL_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

/* A result of SQLite as a negative UV_E* code; 0 for SQLITE_OK, SQLITE_ROW and SQLITE_DONE. */
int store_sql_status(int result);

/* Why it failed, for people: "disk full", "input/output error". Static. */
const char *store_sql_reason(int result);

/* Runs statements that have no result. Returns SQLite's result, extended. */
int store_sql_run(sqlite3 *db, const char *text);

/* Prepares a statement that lives as long as the connection. Returns SQLite's result. */
int store_sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **statement);

/* Steps to the end and resets. Returns SQLITE_OK, or why it failed. */
int store_sql_finish(sqlite3_stmt *statement);

/* The first number that a query yields, or `otherwise`, also if it fails. */
int64_t store_sql_number(sqlite3 *db, const char *text, int64_t otherwise);

/* Closes the connection and all its statements. Harmless with NULL. */
void store_sql_close(sqlite3 *db);

#endif

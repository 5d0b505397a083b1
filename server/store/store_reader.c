#include <stdlib.h>

#include "server/store/store_message.h"
#include "server/store/store_private.h"
#include "server/store/store_sql.h"

int store_reader_init(struct store *store)
{
    /* The row that has the number, or else the first one behind it, and those that follow. */
    return store_sql_prepare(
        store->reader,
        "SELECT first, count, data FROM message WHERE channel = ?1 AND first >= coalesce("
        "(SELECT max(first) FROM message WHERE channel = ?1 AND first <= ?2), 0) ORDER BY first",
        &store->read_rows);
}

/* Adds a row. Returns 0, UV_EAGAIN when the piece is full, or an error. */
static int add_row(struct store_read *read, struct buffer *data, sqlite3_stmt *row)
{
    uint64_t first = (uint64_t) sqlite3_column_int64(row, 0);
    uint64_t count = (uint64_t) sqlite3_column_int64(row, 1);
    size_t len = (size_t) sqlite3_column_bytes(row, 2);
    const void *blob = sqlite3_column_blob(row, 2);

    if (first + count <= read->after + 1) /* all of it is before */
        return 0;
    if (read->first != 0 && (data->len + len > read->most || first != read->first + read->count))
        return UV_EAGAIN;
    if (blob == NULL)
        return UV_EILSEQ;
    if (read->first == 0)
        read->first = first;
    read->count += count;
    return buffer_append(data, blob, len);
}

/* Drops what is before the message that was asked for from the first row. */
static int cut_front(struct store_read *read)
{
    const uint8_t *data = read->data;
    struct store_message message;

    while (read->first != 0 && read->first <= read->after) {
        if (!store_message_next(&data, &read->len, &message))
            return UV_EILSEQ;
        read->first++;
        read->count--;
    }
    read->data = (uint8_t *) (uintptr_t) data;
    return 0;
}

static void read_piece(struct store *store, struct store_read *read)
{
    sqlite3_stmt *statement = store->read_rows;
    struct buffer data = {0};
    int result = SQLITE_ROW, status = 0;

    read->first = 0;
    read->count = 0;
    (void) sqlite3_bind_int64(statement, 1, read->channel->id);
    (void) sqlite3_bind_int64(statement, 2, (int64_t) read->after + 1);
    while (status == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
        status = add_row(read, &data, statement);
    (void) sqlite3_reset(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        status = store_sql_status(result);
    read->_memory = data.data;
    read->data = data.data;
    read->len = data.len;
    read->status = status == UV_EAGAIN ? 0 : status;
    if (read->status == 0)
        read->status = cut_front(read);
}

void store_reader_run(void *argument)
{
    struct store *store = argument;
    struct list *node;

    uv_mutex_lock(&store->lock);
    for (;;) {
        node = list_take_first(&store->reads);
        if (node == NULL && store->written)
            break;
        if (node == NULL) {
            uv_cond_wait(&store->asked, &store->lock);
            continue;
        }
        uv_mutex_unlock(&store->lock);
        {
            struct store_read *read = container_of(node, struct store_read, _node);

            read_piece(store, read);
            read->on_done(read);
        }
        uv_mutex_lock(&store->lock);
    }
    uv_mutex_unlock(&store->lock);
}

void store_read(struct store *store, struct store_read *read)
{
    uv_mutex_lock(&store->lock);
    list_init(&read->_node);
    list_append(&store->reads, &read->_node);
    uv_cond_signal(&store->asked);
    uv_mutex_unlock(&store->lock);
}

/* ---- at the start ---- */

/* The row that the newest `most` bytes begin with. */
static int find_begin(struct store *store, uint64_t most, int64_t *id)
{
    sqlite3_stmt *statement;
    uint64_t bytes = 0;
    int result =
        sqlite3_prepare_v2(store->reader, "SELECT id, length(data) FROM message ORDER BY id DESC",
                           -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_sql_status(result);
    *id = INT64_MAX;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        bytes += (uint64_t) sqlite3_column_int64(statement, 1);
        if (bytes > most)
            break;
        *id = sqlite3_column_int64(statement, 0);
    }
    (void) sqlite3_finalize(statement);
    return store_sql_status(result);
}

int store_recall(struct store *store, uint64_t most, store_recall_cb each, void *context)
{
    sqlite3_stmt *statement;
    int64_t id = 0;
    int status = find_begin(store, most, &id), result;

    if (status != 0)
        return status;
    result = sqlite3_prepare_v2(store->reader,
                                "SELECT name, first, data FROM message JOIN channel ON channel.id"
                                " = message.channel WHERE message.id >= ? ORDER BY message.id",
                                -1, &statement, NULL);
    if (result != SQLITE_OK)
        return store_sql_status(result);
    (void) sqlite3_bind_int64(statement, 1, id);
    while (status == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
        status =
            each(context, (const char *) sqlite3_column_text(statement, 0),
                 (uint64_t) sqlite3_column_int64(statement, 1) - 1,
                 sqlite3_column_blob(statement, 2), (size_t) sqlite3_column_bytes(statement, 2));
    (void) sqlite3_finalize(statement);
    return status != 0 ? status : store_sql_status(result);
}

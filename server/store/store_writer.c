#include <time.h>

#include "common/base/log.h"
#include "server/store/store_message.h"
#include "server/store/store_private.h"
#include "server/store/store_sql.h"

static uint64_t milliseconds_of(clockid_t clock)
{
    struct timespec now;

    (void) clock_gettime(clock, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

uint64_t store_writer_clock(void)
{
    return milliseconds_of(CLOCK_MONOTONIC);
}

/* ---- transactions ---- */

static int on_commit(void *context, sqlite3 *db, const char *schema, int frames)
{
    struct store *store = context;

    (void) db;
    (void) schema;
    store->writer.frames = (uint64_t) frames;
    return SQLITE_OK;
}

int store_writer_init(struct store *store)
{
    struct store_writer *writer = &store->writer;
    const struct {
        sqlite3_stmt **statement;
        const char *text;
    } statements[] = {
        {&writer->begin, "BEGIN IMMEDIATE"},
        {&writer->commit, "COMMIT"},
        {&writer->rollback, "ROLLBACK"},
        {&writer->add_channel, "INSERT INTO channel (id, name, epoch, sequence) VALUES (?,?,?,?)"},
        {&writer->add_row, "INSERT INTO message (channel, first, count, before, time, data)"
                           " VALUES (?,?,?,?,?,?)"},
        {&writer->probe, "UPDATE state SET value = value + 1 WHERE name = 'probes'"},
        {&writer->oldest_row, "SELECT first, count, before, length(data), time FROM message"
                              " WHERE channel = ? ORDER BY first LIMIT 1"},
        {&writer->oldest_of_all, "SELECT channel FROM message ORDER BY id LIMIT 1"},
        {&writer->drop_row, "DELETE FROM message WHERE channel = ? AND first = ?"},
        {&writer->drop_channel, "DELETE FROM channel WHERE id = ?"},
        {&writer->keep_numbers, "UPDATE channel SET sequence = ? WHERE id = ?"},
        {&writer->used, "SELECT page_count, freelist_count FROM pragma_page_count,"
                        " pragma_freelist_count"},
        {&writer->vacuum, "PRAGMA incremental_vacuum(256)"},
    };
    int result = SQLITE_OK;

    list_init(&writer->touched);
    list_init(&writer->over);
    store_vfs_keep(&store->vfs); /* what was written while opening */
    for (size_t i = 0; i < sizeof statements / sizeof *statements && result == SQLITE_OK; i++)
        result = store_sql_prepare(writer->db, statements[i].text, statements[i].statement);
    (void) sqlite3_wal_hook(writer->db, on_commit, store);
    return result;
}

void store_writer_touch(struct store *store, struct store_channel *channel)
{
    if (list_linked(&channel->touched))
        return;
    list_append(&store->writer.touched, &channel->touched);
    channel->next_end = channel->end;
    channel->next_newest = channel->range.newest; /* which this thread alone changes */
    channel->next_oldest = channel->oldest;
    channel->next_stored = channel->stored;
    channel->row.len = 0;
    channel->open = (struct store_row){0};
}

int store_writer_begin(struct store *store)
{
    uint64_t now = milliseconds_of(CLOCK_REALTIME);

    if (now > store->writer.last_time)
        store->writer.last_time = now;
    return store_sql_finish(store->writer.begin);
}

/* With the lock held: the numbers that the transaction gave hold. */
static void settle(struct store *store, struct store_channel *channel)
{
    channel->end = channel->next_end;
    channel->oldest = channel->next_oldest;
    channel->stored = channel->next_stored;
    channel->range.newest = channel->next_newest;
    channel->range.oldest =
        channel->oldest.count > 0 ? channel->oldest.first : channel->range.newest + 1;
    if (channel->oldest.count == 0)
        list_remove(&channel->over);
    if (!channel->stored && channel->refs == 0)
        store_index_remove(store, channel);
    else
        store_retention_note(store, channel);
}

int store_writer_end(struct store *store, int result)
{
    struct store_writer *writer = &store->writer;
    struct list *node;

    if (result == SQLITE_OK)
        result = store_sql_finish(writer->commit);
    if (result != SQLITE_OK && sqlite3_get_autocommit(writer->db) == 0)
        (void) store_sql_finish(writer->rollback);
    if (result == SQLITE_OK)
        store_vfs_keep(&store->vfs);
    uv_mutex_lock(&store->lock);
    if (result == SQLITE_OK) {
        store->state.commits++;
        store->wal_frames = writer->frames;
        if (store->wal_frames >= STORE_CHECKPOINT)
            uv_cond_signal(&store->filled);
    }
    while ((node = list_take_first(&writer->touched)) != NULL) {
        struct store_channel *channel = container_of(node, struct store_channel, touched);

        if (channel->row._size > STORE_PAGE)
            buffer_deinit(&channel->row);
        if (result == SQLITE_OK)
            settle(store, channel);
    }
    uv_mutex_unlock(&store->lock);
    return result;
}

/* ---- a group ---- */

static int add_channel(struct store *store, struct store_channel *channel)
{
    sqlite3_stmt *statement = store->writer.add_channel;

    (void) sqlite3_bind_int64(statement, 1, channel->id);
    (void) sqlite3_bind_text(statement, 2, channel->name, (int) channel->len, SQLITE_STATIC);
    (void) sqlite3_bind_int64(statement, 3, (int64_t) channel->range.epoch);
    (void) sqlite3_bind_int64(statement, 4, (int64_t) channel->range.newest);
    channel->next_stored = true;
    return store_sql_finish(statement);
}

/* Writes the channel's open row. */
static int close_row(struct store *store, struct store_channel *channel)
{
    sqlite3_stmt *statement = store->writer.add_row;
    struct store_row *row = &channel->open;
    int result = channel->next_stored ? SQLITE_OK : add_channel(store, channel);

    if (result != SQLITE_OK)
        return result;
    row->before = channel->next_end;
    row->size = channel->row.len;
    row->time = store->writer.last_time;
    (void) sqlite3_bind_int64(statement, 1, channel->id);
    (void) sqlite3_bind_int64(statement, 2, (int64_t) row->first);
    (void) sqlite3_bind_int64(statement, 3, (int64_t) row->count);
    (void) sqlite3_bind_int64(statement, 4, (int64_t) row->before);
    (void) sqlite3_bind_int64(statement, 5, (int64_t) row->time);
    (void) sqlite3_bind_blob64(statement, 6, channel->row.data, row->size, SQLITE_STATIC);
    result = store_sql_finish(statement);
    channel->next_end += row->size;
    if (channel->next_oldest.count == 0)
        channel->next_oldest = *row;
    *row = (struct store_row){0};
    channel->row.len = 0;
    return result;
}

static int add_to_row(struct store_channel *channel, const uint8_t *data, size_t len, size_t count)
{
    if (channel->open.count == 0)
        channel->open.first = channel->next_newest + 1;
    channel->open.count += count;
    channel->next_newest += count;
    return buffer_append(&channel->row, data, len) == 0 ? SQLITE_OK : SQLITE_NOMEM;
}

/* Adds the batch to the channel's open row, or to several if it is long. */
static int add_batch(struct store *store, struct store_batch *batch)
{
    struct store_channel *channel = batch->channel;
    const uint8_t *data = batch->data;
    size_t len = batch->len;
    struct store_message message;
    int result = SQLITE_OK;

    store_writer_touch(store, channel);
    batch->first = channel->next_newest + 1;
    if (channel->row.len > 0 && channel->row.len + len > STORE_ROW)
        result = close_row(store, channel);
    if (result == SQLITE_OK && len <= STORE_ROW)
        return add_to_row(channel, data, len, batch->count);
    for (size_t i = 0; i < batch->count && result == SQLITE_OK; i++) {
        const uint8_t *begin = data;

        if (!store_message_next(&data, &len, &message))
            return SQLITE_MISUSE;
        result = add_to_row(channel, begin, (size_t) (data - begin), 1);
        if (result == SQLITE_OK && channel->row.len >= STORE_ROW)
            result = close_row(store, channel);
    }
    return result;
}

static int write_group(struct store *store, const struct list *group)
{
    int result = store_writer_begin(store);
    struct list *node;

    for (node = group->next; node != group && result == SQLITE_OK; node = node->next)
        result = add_batch(store, container_of(node, struct store_batch, _node));
    for (node = store->writer.touched.next; node != &store->writer.touched && result == SQLITE_OK;
         node = node->next) {
        struct store_channel *channel = container_of(node, struct store_channel, touched);

        if (channel->open.count > 0)
            result = close_row(store, channel);
    }
    return store_writer_end(store, result);
}

/* Nothing waits to be written, but writing failed: finds out whether it still does. */
static int probe(struct store *store)
{
    int result = store_writer_begin(store);

    if (result == SQLITE_OK)
        result = store_sql_finish(store->writer.probe);
    return store_writer_end(store, result);
}

/* ---- when it fails ---- */

/* With the lock held: what has patience left waits on, before or behind those that wait already;
 * the rest is told. */
static void fail_group(struct store *store, struct list *group, enum store_result why, bool first)
{
    uint64_t now = store_writer_clock();
    struct list keep, *node;

    list_init(&keep);
    while ((node = list_take_first(group)) != NULL) {
        struct store_batch *batch = container_of(node, struct store_batch, _node);

        batch->result = why;
        if (batch->_deadline == 0)
            batch->_deadline = now + (batch->waits ? store->config.patience : 0);
        list_append(batch->_deadline > now && !store->closing ? &keep : &store->done, node);
    }
    if (first)
        list_splice(&keep, &store->waiting);
    list_splice(&store->waiting, &keep);
    uv_cond_signal(&store->told);
}

/* With the lock held: those that have waited for too long are told. */
static void fail_late(struct store *store)
{
    uint64_t now = store_writer_clock();

    LIST_FOR_EACH_SAFE (node, next, &store->waiting) {
        if (container_of(node, struct store_batch, _node)->_deadline <= now) {
            list_move(&store->done, node);
            uv_cond_signal(&store->told);
        }
    }
}

/* With the lock held. */
static void note_result(struct store *store, int result)
{
    bool was = store->writer.retry_at != 0;

    store->writer.retry_at = result == SQLITE_OK ? 0 : store_writer_clock() + STORE_RETRY;
    store->state.degraded = result != SQLITE_OK;
    if (result != SQLITE_OK) {
        const char *reason = store_sql_reason(result);
        size_t i = 0;

        for (; i < sizeof store->state.reason - 1 && reason[i] != '\0'; i++)
            store->state.reason[i] = reason[i];
        store->state.reason[i] = '\0';
        store->state.failures++;
        if (!was)
            log_error("%s cannot be written: %s; publishers are refused until it can be",
                      store->path, reason);
    } else if (was) {
        store->state.reason[0] = '\0';
        log_warn("%s can be written again", store->path);
    }
}

/* ---- the thread ---- */

/* With the lock held: while writing fails and it is not yet time to try again, what comes is told
 * so or waits. True if there is something to do. */
static bool is_ready(struct store *store)
{
    struct store_writer *writer = &store->writer;

    if (writer->retry_at == 0)
        return !list_empty(&store->submitted) || !list_empty(&store->waiting);
    fail_late(store);
    if (store->closing || store_writer_clock() >= writer->retry_at)
        return true;
    fail_group(store, &store->submitted, STORE_NOT_WRITTEN, false);
    return false;
}

/* With the lock held: waits for something to do, but not for long if it is to drop things. */
static void wait_for_work(struct store *store, bool drops)
{
    uint64_t time = !drops ? 1000 : store->writer.dropped_at == 0 ? 0 : 100;

    if (store->writer.retry_at != 0)
        time = STORE_RETRY;
    if (is_ready(store) || store->closing || store->pause)
        return;
    (void) uv_cond_timedwait(&store->work, &store->lock, time * 1000000);
}

/* With the lock held: the checkpointer wants the WAL to stand still. */
static void stand_still(struct store *store)
{
    while (store->pause) {
        store->is_paused = true;
        uv_cond_broadcast(&store->paused);
        uv_cond_wait(&store->paused, &store->lock);
    }
    store->is_paused = false;
}

/* With the lock held: those that have waited are first. */
static void take_group(struct store *store, struct list *group)
{
    struct list *const queues[] = {&store->waiting, &store->submitted};
    size_t bytes = 0;
    struct list *node;

    for (size_t i = 0; i < 2; i++) {
        while (bytes < STORE_GROUP && (node = list_take_first(queues[i])) != NULL) {
            bytes += container_of(node, struct store_batch, _node)->len;
            list_append(group, node);
        }
    }
}

/* With the lock held, which it releases meanwhile. */
static void work(struct store *store)
{
    struct list group;
    enum store_result why = STORE_NOT_WRITTEN;
    int result;

    list_init(&group);
    take_group(store, &group);
    if (list_empty(&group) && store->writer.retry_at == 0)
        return;
    uv_mutex_unlock(&store->lock);
    result = list_empty(&group) ? probe(store) : write_group(store, &group);
    if (result != SQLITE_OK && !store_vfs_take_back(&store->vfs))
        why = STORE_UNKNOWN;
    uv_mutex_lock(&store->lock);
    note_result(store, result);
    if (result != SQLITE_OK) {
        fail_group(store, &group, why, true);
        return;
    }
    LIST_FOR_EACH (node, &group)
        container_of(node, struct store_batch, _node)->result = STORE_COMMITTED;
    list_splice(&store->done, &group);
    uv_cond_signal(&store->told);
}

void store_writer_run(void *argument)
{
    struct store *store = argument;
    bool drops = false;

    uv_mutex_lock(&store->lock);
    while (!store->closing || !list_empty(&store->submitted) || !list_empty(&store->waiting)) {
        wait_for_work(store, drops);
        stand_still(store);
        if (is_ready(store))
            work(store);
        if (store->writer.retry_at == 0) {
            uv_mutex_unlock(&store->lock);
            drops = store_retention_step(store);
            uv_mutex_lock(&store->lock);
        }
    }
    store->written = true;
    uv_cond_broadcast(&store->told);
    uv_cond_broadcast(&store->asked);
    uv_cond_broadcast(&store->filled);
    uv_mutex_unlock(&store->lock);
}

void store_teller_run(void *argument)
{
    struct store *store = argument;
    struct list told, *first;

    list_init(&told);
    uv_mutex_lock(&store->lock);
    while (!store->written || !list_empty(&store->done)) {
        if (list_empty(&store->done)) {
            uv_cond_wait(&store->told, &store->lock);
            continue;
        }
        list_splice(&told, &store->done);
        LIST_FOR_EACH (node, &told)
            store->state.pending -= container_of(node, struct store_batch, _node)->len;
        uv_mutex_unlock(&store->lock);
        while ((first = list_take_first(&told)) != NULL) {
            struct store_batch *batch = container_of(first, struct store_batch, _node);

            batch->on_done(batch);
        }
        uv_mutex_lock(&store->lock);
    }
    uv_mutex_unlock(&store->lock);
}

#include "server/store/store_private.h"
#include "server/store/store_sql.h"

enum {
    ROWS = 256,      /* dropped in a transaction at most */
    PERIOD = 100,    /* milliseconds between transactions, unless there is more than that */
    CHANNELS = 1000, /* looked at in a step for what is too old */
    FREE = 256,      /* pages that are kept for what comes, and a sixteenth of all */
};

/* True if the oldest row is not to be kept. */
static bool is_over(const struct store *store, const struct store_policy *policy,
                    const struct store_row *oldest, uint64_t newest, uint64_t end)
{
    uint64_t last = oldest->first + oldest->count - 1;

    if (oldest->count == 0)
        return false;
    return policy->nothing || (policy->messages > 0 && newest - last >= policy->messages) ||
           (policy->bytes > 0 && end - (oldest->before + oldest->size) >= policy->bytes) ||
           (policy->age > 0 && oldest->time + policy->age < store->writer.last_time);
}

void store_retention_note(struct store *store, struct store_channel *channel)
{
    if (!list_linked(&channel->over) &&
        is_over(store, &channel->policy, &channel->oldest, channel->range.newest, channel->end))
        list_append(&store->writer.over, &channel->over);
}

/* ---- within a transaction ---- */

static int find_oldest(struct store *store, struct store_channel *channel)
{
    sqlite3_stmt *statement = store->writer.oldest_row;
    struct store_row *row = &channel->next_oldest;
    int result;

    *row = (struct store_row){0};
    (void) sqlite3_bind_int64(statement, 1, channel->id);
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        row->first = (uint64_t) sqlite3_column_int64(statement, 0);
        row->count = (uint64_t) sqlite3_column_int64(statement, 1);
        row->before = (uint64_t) sqlite3_column_int64(statement, 2);
        row->size = (uint64_t) sqlite3_column_int64(statement, 3);
        row->time = (uint64_t) sqlite3_column_int64(statement, 4);
    }
    (void) sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

/* Nothing is left of the channel: it is forgotten, or its numbers are kept. */
static int empty(struct store *store, struct store_channel *channel)
{
    sqlite3_stmt *statement;
    bool is_used;

    uv_mutex_lock(&store->lock);
    is_used = channel->refs > 0;
    uv_mutex_unlock(&store->lock);
    statement = is_used ? store->writer.keep_numbers : store->writer.drop_channel;
    if (is_used)
        (void) sqlite3_bind_int64(statement, 1, (int64_t) channel->next_newest);
    (void) sqlite3_bind_int64(statement, is_used ? 2 : 1, channel->id);
    channel->next_stored = is_used;
    return store_sql_finish(statement);
}

static int drop_oldest(struct store *store, struct store_channel *channel)
{
    sqlite3_stmt *statement = store->writer.drop_row;
    int result;

    (void) sqlite3_bind_int64(statement, 1, channel->id);
    (void) sqlite3_bind_int64(statement, 2, (int64_t) channel->next_oldest.first);
    result = store_sql_finish(statement);
    if (result == SQLITE_OK)
        result = find_oldest(store, channel);
    if (result == SQLITE_OK && channel->next_oldest.count == 0)
        result = empty(store, channel);
    return result;
}

/* Of one channel. `*rows` becomes less by those that are dropped. */
static int drop_of(struct store *store, struct store_channel *channel, unsigned *rows)
{
    struct store_policy policy;
    int result = SQLITE_OK;

    uv_mutex_lock(&store->lock);
    policy = channel->policy;
    uv_mutex_unlock(&store->lock);
    store_writer_touch(store, channel);
    while (
        result == SQLITE_OK && *rows > 0 &&
        is_over(store, &policy, &channel->next_oldest, channel->next_newest, channel->next_end)) {
        result = drop_oldest(store, channel);
        (*rows)--;
    }
    return result;
}

static int look_at_pages(struct store *store, uint64_t *used, uint64_t *unused)
{
    sqlite3_stmt *statement = store->writer.used;
    int result = sqlite3_step(statement);

    if (result == SQLITE_ROW) {
        *unused = (uint64_t) sqlite3_column_int64(statement, 1);
        *used = (uint64_t) sqlite3_column_int64(statement, 0) - *unused;
    }
    (void) sqlite3_reset(statement);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

/* The oldest rows of all go while the file is too large. */
static int drop_of_all(struct store *store, uint64_t most, unsigned *rows)
{
    uint64_t used = 0, unused = 0;
    int result = look_at_pages(store, &used, &unused);

    while (result == SQLITE_OK && most > 0 && used * STORE_PAGE > most && *rows > 0) {
        sqlite3_stmt *statement = store->writer.oldest_of_all;
        struct store_channel *channel = NULL;

        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
            uv_mutex_lock(&store->lock);
            channel = store_index_find_id(store, sqlite3_column_int64(statement, 0));
            uv_mutex_unlock(&store->lock);
        }
        (void) sqlite3_reset(statement);
        if (channel == NULL)
            return result == SQLITE_DONE ? SQLITE_OK : SQLITE_CORRUPT;
        store_writer_touch(store, channel);
        result = drop_oldest(store, channel);
        (*rows)--;
        if (result == SQLITE_OK)
            result = look_at_pages(store, &used, &unused);
    }
    return result;
}

/* Gives space back to the file system, some at a time. */
static int shrink(struct store *store)
{
    uint64_t used = 0, unused = 0;
    int result = look_at_pages(store, &used, &unused);

    if (result != SQLITE_OK || unused <= FREE + used / 16)
        return result;
    return store_sql_finish(store->writer.vacuum);
}

/* ---- what there is to do ---- */

/* With the lock held: looks at some more channels for what is too old, and at those whose policies
 * have changed. */
static void sweep(struct store *store)
{
    for (size_t i = 0; i < CHANNELS && i < store->state.channels; i++) {
        struct store_channel *channel = container_of(store->all.next, struct store_channel, node);

        list_move(&store->all, &channel->node);
        store_retention_note(store, channel);
    }
}

static int drop(struct store *store, uint64_t most, unsigned *rows, bool *more)
{
    int result = store_writer_begin(store);
    struct list *node;

    while (result == SQLITE_OK && *rows > 0 &&
           (node = list_take_first(&store->writer.over)) != NULL)
        result = drop_of(store, container_of(node, struct store_channel, over), rows);
    if (result == SQLITE_OK)
        result = drop_of_all(store, most, rows);
    if (result == SQLITE_OK)
        result = shrink(store);
    *more = *rows == 0;
    return store_writer_end(store, result);
}

bool store_retention_step(struct store *store)
{
    uint64_t now = store_writer_clock(), most, used = 0, unused = 0;
    unsigned rows = ROWS;
    bool more = false;

    if (now - store->writer.dropped_at < PERIOD)
        return !list_empty(&store->writer.over);
    uv_mutex_lock(&store->lock);
    sweep(store);
    most = store->config.most;
    uv_mutex_unlock(&store->lock);
    store->writer.dropped_at = now;
    if (look_at_pages(store, &used, &unused) != SQLITE_OK)
        return false;
    uv_mutex_lock(&store->lock);
    store->state.bytes = (used + unused) * STORE_PAGE;
    uv_mutex_unlock(&store->lock);
    if (list_empty(&store->writer.over) && (most == 0 || used * STORE_PAGE <= most) &&
        unused <= FREE + used / 16)
        return false;
    if (drop(store, most, &rows, &more) != SQLITE_OK) {
        (void) store_vfs_take_back(&store->vfs); /* else together with the next that fails */
        return false;
    }
    if (more)
        store->writer.dropped_at = 0; /* goes on after the next group */
    return more;
}

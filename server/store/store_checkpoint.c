/* SQLite's passive checkpoint disturbs nobody, but neither does it ever come to an end while there
 * is writing: the WAL would grow without bound. So most of it is moved while the writer goes on;
 * when the WAL is long, the writer stands still for the short rest, and then begins it anew. */
#include "server/store/store_private.h"
#include "server/store/store_sql.h"

enum {
    STEPS = 8,  /* without a pause, before the rest is moved with one, */
    REST = 256, /* pages, if it is not as short as this before */
    WAIT = 250, /* milliseconds until what could not be moved is tried again */
};

/* Returns how many pages are left to be moved; those that a reader needs stay. */
static int step(struct store *store)
{
    int in_wal = 0, moved = 0;

    if (sqlite3_wal_checkpoint_v2(store->checkpointer, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal,
                                  &moved) != SQLITE_OK)
        return -1;
    return in_wal - moved;
}

static void pause_writer(struct store *store)
{
    uv_mutex_lock(&store->lock);
    store->pause = true;
    uv_cond_signal(&store->work);
    while (!store->is_paused && !store->written)
        uv_cond_wait(&store->paused, &store->lock);
    uv_mutex_unlock(&store->lock);
}

static void resume_writer(struct store *store)
{
    uv_mutex_lock(&store->lock);
    store->pause = false;
    uv_cond_broadcast(&store->paused);
    uv_mutex_unlock(&store->lock);
}

/* True if the writer begins the WAL anew. */
static bool move_pages(struct store *store, bool is_long)
{
    int left = step(store);

    if (!is_long || left <= 0)
        return left == 0;
    for (unsigned i = 0; i < STEPS && left > REST; i++)
        left = step(store);
    pause_writer(store);
    left = step(store);
    resume_writer(store);
    return left == 0;
}

void store_checkpoint_run(void *argument)
{
    struct store *store = argument;
    uint64_t moved_at = 0; /* pages in the WAL when they were moved the last time */

    uv_mutex_lock(&store->lock);
    while (!store->written) {
        uint64_t frames = store->wal_frames;
        bool is_done;

        if (frames < moved_at) /* it has begun anew */
            moved_at = 0;
        if (frames < moved_at + STORE_CHECKPOINT) {
            uv_cond_wait(&store->filled, &store->lock);
            continue;
        }
        uv_mutex_unlock(&store->lock);
        is_done = move_pages(store, frames >= STORE_WAL);
        uv_mutex_lock(&store->lock);
        moved_at = frames;
        if (!is_done && frames >= STORE_WAL && !store->written) {
            (void) uv_cond_timedwait(&store->filled, &store->lock, WAIT * 1000000ULL);
            moved_at = 0;
        }
    }
    uv_mutex_unlock(&store->lock);
}

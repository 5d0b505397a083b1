#include "server/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/process.h"
#include "server/store/store_private.h"

/* ---- life ---- */

static int init_locks(struct store *store)
{
    uv_cond_t *const conds[] = {&store->work, &store->told, &store->asked, &store->filled,
                                &store->paused};
    int status = uv_mutex_init(&store->lock);

    for (size_t i = 0; i < sizeof conds / sizeof *conds && status == 0; i++)
        status = uv_cond_init(conds[i]);
    return status; /* on Linux neither can fail, nor has anything to be released */
}

static int start_threads(struct store *store)
{
    static void (*const runs[])(void *) = {store_writer_run, store_teller_run, store_checkpoint_run,
                                           store_reader_run};
    int status = 0;

    while (store->thread_count < sizeof runs / sizeof *runs && status == 0) {
        status = process_start_thread(&store->threads[store->thread_count],
                                      runs[store->thread_count], store);
        store->thread_count += status == 0 ? 1 : 0;
    }
    return status;
}

static void free_store(struct store *store)
{
    uv_cond_t *const conds[] = {&store->work, &store->told, &store->asked, &store->filled,
                                &store->paused};

    store_open_undo(store);
    store_index_deinit(store);
    for (size_t i = 0; i < sizeof conds / sizeof *conds; i++)
        uv_cond_destroy(conds[i]);
    uv_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

int store_open(struct store **store, const struct store_config *config, struct error *error)
{
    struct store *fresh = calloc(1, sizeof *fresh);
    int status = fresh != NULL ? init_locks(fresh) : UV_ENOMEM;

    if (status != 0) {
        free(fresh);
        return error_set(error, status, "cannot open %s: %s", config->path, uv_strerror(status));
    }
    fresh->config = *config;
    fresh->lock_fd = -1;
    fresh->path = strdup(config->path);
    list_init(&fresh->submitted);
    list_init(&fresh->waiting);
    list_init(&fresh->done);
    list_init(&fresh->reads);
    list_init(&fresh->all);
    if (fresh->path == NULL)
        status = error_set(error, UV_ENOMEM, "cannot open %s: out of memory", config->path);
    else
        status = store_open_files(fresh, error);
    if (status != 0) {
        free_store(fresh);
        return status;
    }
    status = start_threads(fresh);
    if (status != 0) {
        store_close(fresh);
        return error_set(error, status, "cannot open %s: no thread: %s", config->path,
                         uv_strerror(status));
    }
    *store = fresh;
    return 0;
}

void store_stop(struct store *store)
{
    uv_mutex_lock(&store->lock);
    store->closing = true;
    store->written = store->thread_count == 0;
    uv_cond_signal(&store->work);
    uv_mutex_unlock(&store->lock);
    for (size_t i = 0; i < store->thread_count; i++)
        (void) uv_thread_join(&store->threads[i]);
    if (store->thread_count > 0 && !store->state.degraded)
        store_open_finish(store);
    store->thread_count = 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_stop(store);
    free_store(store);
}

/* ---- from any thread ---- */

void store_submit(struct store *store, struct store_batch *batch)
{
    list_init(&batch->_node);
    batch->_deadline = 0;
    uv_mutex_lock(&store->lock);
    list_append(&store->submitted, &batch->_node);
    store->state.pending += batch->len;
    uv_cond_signal(&store->work);
    uv_mutex_unlock(&store->lock);
}

void store_look(struct store *store, struct store_state *state)
{
    uv_mutex_lock(&store->lock);
    *state = store->state;
    uv_mutex_unlock(&store->lock);
}

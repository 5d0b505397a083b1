#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/websocket/event_id.h"
#include "server/store/store_private.h"

struct key {
    const char *name;
    size_t len;
};

static int compare_names(const char *left, size_t left_len, const char *right, size_t right_len)
{
    int order = memcmp(left, right, left_len < right_len ? left_len : right_len);

    if (order != 0)
        return order;
    return left_len < right_len ? -1 : left_len > right_len;
}

static int compare_channels(const void *left, const void *right)
{
    const struct store_channel *one = left, *other = right;

    return compare_names(one->name, one->len, other->name, other->len);
}

/* tfind's first argument is the key. */
static int compare_key(const void *left, const void *right)
{
    const struct key *key = left;
    const struct store_channel *channel = right;

    return compare_names(key->name, key->len, channel->name, channel->len);
}

static int compare_ids(const void *left, const void *right)
{
    const struct store_channel *one = left, *other = right;

    return one->id < other->id ? -1 : one->id > other->id;
}

static int compare_id(const void *left, const void *right)
{
    const int64_t *id = left;
    const struct store_channel *channel = right;

    return *id < channel->id ? -1 : *id > channel->id;
}

struct store_channel *store_index_find(struct store *store, const char *name, size_t len)
{
    struct key key = {name, len};
    struct store_channel **found = tfind(&key, &store->by_name, compare_key);

    return found != NULL ? *found : NULL;
}

struct store_channel *store_index_find_id(struct store *store, int64_t id)
{
    struct store_channel **found = tfind(&id, &store->by_id, compare_id);

    return found != NULL ? *found : NULL;
}

struct store_channel *store_index_add(struct store *store, const char *name, size_t len, int64_t id,
                                      uint64_t epoch)
{
    struct store_channel *channel = calloc(1, sizeof *channel + len + 1);

    if (channel == NULL)
        return NULL;
    memcpy(channel->name, name, len);
    channel->len = len;
    channel->id = id != 0 ? id : store->last_id + 1;
    channel->stored = id != 0;
    channel->range = (struct store_range){epoch, 1, 0};
    list_init(&channel->touched);
    list_init(&channel->over);
    if (tsearch(channel, &store->by_name, compare_channels) == NULL)
        goto fail_name;
    if (tsearch(channel, &store->by_id, compare_ids) == NULL)
        goto fail_id;
    if (channel->id > store->last_id)
        store->last_id = channel->id;
    if (store->config.policy != NULL)
        store->config.policy(store->config.context, channel->name, &channel->policy);
    list_append(&store->all, &channel->node);
    store->state.channels++;
    return channel;

fail_id:
    (void) tdelete(channel, &store->by_name, compare_channels);
fail_name:
    free(channel);
    return NULL;
}

void store_index_remove(struct store *store, struct store_channel *channel)
{
    (void) tdelete(channel, &store->by_name, compare_channels);
    (void) tdelete(channel, &store->by_id, compare_ids);
    list_remove(&channel->node);
    list_remove(&channel->over);
    buffer_deinit(&channel->row);
    store->state.channels--;
    free(channel);
}

void store_index_deinit(struct store *store)
{
    while (!list_empty(&store->all))
        store_index_remove(store, container_of(store->all.next, struct store_channel, node));
}

int store_channel_ref(struct store *store, const char *name, size_t len,
                      struct store_channel **channel, struct store_range *range)
{
    uint64_t epoch;
    int status = event_id_draw_epoch(&epoch);

    if (status != 0)
        return status;
    uv_mutex_lock(&store->lock);
    *channel = store_index_find(store, name, len);
    if (*channel == NULL)
        *channel = store_index_add(store, name, len, 0, epoch);
    if (*channel != NULL) {
        (*channel)->refs++;
        *range = (*channel)->range;
    }
    uv_mutex_unlock(&store->lock);
    return *channel != NULL ? 0 : UV_ENOMEM;
}

void store_channel_unref(struct store *store, struct store_channel *channel)
{
    uv_mutex_lock(&store->lock);
    /* One in a transaction is referred to by the batch that it is of, or by its being stored. */
    if (--channel->refs == 0 && !channel->stored)
        store_index_remove(store, channel);
    uv_mutex_unlock(&store->lock);
}

void store_channel_range(struct store *store, const struct store_channel *channel,
                         struct store_range *range)
{
    uv_mutex_lock(&store->lock);
    *range = channel->range;
    uv_mutex_unlock(&store->lock);
}

void store_change_policies(struct store *store, uint64_t most, uint64_t patience)
{
    uv_mutex_lock(&store->lock);
    store->config.most = most;
    store->config.patience = patience;
    LIST_FOR_EACH (node, &store->all) {
        struct store_channel *channel = container_of(node, struct store_channel, node);

        channel->policy = (struct store_policy){0};
        if (store->config.policy != NULL)
            store->config.policy(store->config.context, channel->name, &channel->policy);
    }
    uv_cond_signal(&store->work);
    uv_mutex_unlock(&store->lock);
}

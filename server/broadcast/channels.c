#include "server/broadcast/channels.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct channels_entry {
    struct channel channel;
    struct list node;
    atomic_size_t refs; /* grows from 0 only with the registry's lock, or with that of the histories
                           while they hold a block of the channel */
    size_t len;
    char name[]; /* NUL-terminated */
};

/* What a name is looked up with. */
struct key {
    const char *name;
    size_t len;
};

static struct channels_entry *entry_of(struct channel *channel)
{
    return container_of(channel, struct channels_entry, channel);
}

static int compare_names(const char *left, size_t left_len, const char *right, size_t right_len)
{
    int order = memcmp(left, right, left_len < right_len ? left_len : right_len);

    if (order != 0)
        return order;
    return left_len < right_len ? -1 : left_len > right_len;
}

static int compare_entries(const void *left, const void *right)
{
    const struct channels_entry *one = left, *other = right;

    return compare_names(one->name, one->len, other->name, other->len);
}

/* tfind's first argument is the key. */
static int compare_key(const void *left, const void *right)
{
    const struct key *key = left;
    const struct channels_entry *entry = right;

    return compare_names(key->name, key->len, entry->name, entry->len);
}

static void entry_free(struct channels *channels, struct channels_entry *entry)
{
    if (channels->_keeper != NULL)
        channels->_keeper->gone(channels->_keeper, &entry->channel);
    channel_deinit(&entry->channel);
    free(entry);
}

static int entry_new(struct channels *channels, const char *name, size_t len,
                     struct channels_entry **entry)
{
    struct channels_entry *fresh = calloc(1, sizeof *fresh + len + 1);
    int status;

    if (fresh == NULL)
        return UV_ENOMEM;
    memcpy(fresh->name, name, len);
    fresh->len = len;
    atomic_init(&fresh->refs, 0);
    list_init(&fresh->node);
    status = channel_init(&fresh->channel, fresh->name, &channels->histories);
    if (status != 0) {
        free(fresh);
        return status;
    }
    channel_count_memory(&fresh->channel, &channels->memory.blocks);
    channel_set_settings(&fresh->channel, channels_settings(channels, fresh->name));
    if (channels->_keeper != NULL)
        status = channels->_keeper->made(channels->_keeper, &fresh->channel);
    if (status != 0) {
        channel_deinit(&fresh->channel);
        free(fresh);
        return status;
    }
    *entry = fresh;
    return 0;
}

/* ---- life ---- */

/* It has no references and nothing is retained. What is retained has to be looked at first: while
 * something is, it may be referred to by the histories' lock alone. */
static bool is_gone(const struct channels *channels, struct channels_entry *entry)
{
    return &entry->channel != channels->_default && !channel_retains(&entry->channel) &&
           atomic_load(&entry->refs) == 0;
}

/* The oldest block of all goes, until they fit. */
static void relieve(struct histories *histories)
{
    struct channels *channels = container_of(histories, struct channels, histories);

    while (histories_are_over(histories)) {
        struct block_retention *retention = histories_lock_oldest(histories);
        struct channel *channel = retention != NULL ? channel_of_retention(retention) : NULL;

        if (channel != NULL)
            channels_ref(channel);
        histories_unlock(histories);
        if (channel == NULL)
            return;
        channel_drop_block(channel);
        channels_unref(channels, channel);
    }
}

int channels_init(struct channels *channels, const struct channel_rules *rules, uint64_t max)
{
    struct channels_entry *entry;
    int status;

    *channels = (struct channels){._max = max};
    atomic_init(&channels->_rules, rules);
    list_init(&channels->_all);
    status = histories_init(&channels->histories);
    if (status != 0)
        return status;
    channels->histories.relieve = relieve;
    memory_init(&channels->memory, 0, &channels->histories._memory);
    status = uv_mutex_init(&channels->_lock);
    if (status != 0)
        goto fail_lock;
    status = entry_new(channels, "", 0, &entry);
    if (status != 0)
        goto fail_default;
    list_append(&channels->_all, &entry->node);
    channels->_default = &entry->channel;
    return 0;

fail_default:
    uv_mutex_destroy(&channels->_lock);
fail_lock:
    histories_deinit(&channels->histories);
    return status;
}

int channels_keep(struct channels *channels, struct channels_keeper *keeper)
{
    int status = 0;

    LIST_FOR_EACH (node, &channels->_all) {
        struct channel *channel = &container_of(node, struct channels_entry, node)->channel;

        if (channels->_keeper != NULL)
            channels->_keeper->gone(channels->_keeper, channel);
        if (keeper != NULL && status == 0)
            status = keeper->made(keeper, channel);
    }
    channels->_keeper = status == 0 ? keeper : NULL;
    return status;
}

void channels_list(struct channels *channels, const char *const *names, size_t count)
{
    uv_mutex_lock(&channels->_lock);
    channels->_listed = names;
    channels->_listed_count = count;
    uv_mutex_unlock(&channels->_lock);
}

const struct channel_settings *channels_settings(const struct channels *channels, const char *name)
{
    return channel_rules_find(atomic_load_explicit(&channels->_rules, memory_order_acquire), name);
}

/* A channel that is made meanwhile has the new ones already. */
void channels_set_rules(struct channels *channels, const struct channel_rules *rules, uint64_t max)
{
    struct channel *channel = NULL;

    uv_mutex_lock(&channels->_lock);
    channels->_max = max;
    atomic_store_explicit(&channels->_rules, rules, memory_order_release);
    uv_mutex_unlock(&channels->_lock);
    while ((channel = channels_next(channels, channel)) != NULL)
        channel_set_settings(channel, channel_rules_find(rules, channel->name));
}

void channels_deinit(struct channels *channels)
{
    LIST_FOR_EACH_SAFE (node, next, &channels->_all) {
        struct channels_entry *entry = container_of(node, struct channels_entry, node);

        if (&entry->channel != channels->_default)
            (void) tdelete(entry, &channels->_by_name, compare_entries);
        entry_free(channels, entry);
    }
    uv_mutex_destroy(&channels->_lock);
    histories_deinit(&channels->histories);
}

/* ---- by name ---- */

/* With the lock held. NULL: there is none. */
static struct channels_entry *look_up(struct channels *channels, const char *name, size_t len)
{
    struct key key = {name, len};
    struct channels_entry **found;

    if (len == 0)
        return entry_of(channels->_default);
    found = (struct channels_entry **) tfind(&key, &channels->_by_name, compare_key);
    return found != NULL ? *found : NULL;
}

static bool can_be_made(const struct channels *channels, const char *name, size_t len)
{
    if (channels->_listed == NULL)
        return true;
    for (size_t i = 0; i < channels->_listed_count; i++) {
        if (strlen(channels->_listed[i]) == len && memcmp(channels->_listed[i], name, len) == 0)
            return true;
    }
    return false;
}

/* With the lock held. */
static int add(struct channels *channels, const char *name, size_t len,
               struct channels_entry **entry)
{
    int status;

    if (!can_be_made(channels, name, len))
        return UV_ENOENT;
    if (channels->_max > 0 && channels->_count >= channels->_max)
        return UV_EMFILE;
    status = entry_new(channels, name, len, entry);
    if (status != 0)
        return status;
    if (tsearch(*entry, &channels->_by_name, compare_entries) == NULL) {
        entry_free(channels, *entry);
        return UV_ENOMEM;
    }
    list_append(&channels->_all, &(*entry)->node);
    channels->_count++;
    return 0;
}

static int get(struct channels *channels, const char *name, size_t len, bool make,
               struct channel **channel)
{
    struct channels_entry *entry;
    int status = 0;

    uv_mutex_lock(&channels->_lock);
    entry = look_up(channels, name, len);
    if (entry == NULL)
        status = make ? add(channels, name, len, &entry) : UV_ENOENT;
    if (status == 0) {
        *channel = &entry->channel;
        channels_ref(*channel);
    }
    uv_mutex_unlock(&channels->_lock);
    return status;
}

int channels_find(struct channels *channels, const char *name, size_t len, struct channel **channel)
{
    return get(channels, name, len, false, channel);
}

int channels_make(struct channels *channels, const char *name, size_t len, struct channel **channel)
{
    return get(channels, name, len, true, channel);
}

void channels_ref(struct channel *channel)
{
    atomic_fetch_add(&entry_of(channel)->refs, 1);
}

/* With the lock held: one refers no more. Returns what is to be freed without the lock, or NULL. */
static struct channels_entry *drop_ref(struct channels *channels, struct channel *channel)
{
    struct channels_entry *entry = entry_of(channel);

    atomic_fetch_sub(&entry->refs, 1);
    if (!is_gone(channels, entry))
        return NULL;
    (void) tdelete(entry, &channels->_by_name, compare_entries);
    list_remove(&entry->node);
    channels->_count--;
    return entry;
}

void channels_unref(struct channels *channels, struct channel *channel)
{
    struct channels_entry *gone;

    uv_mutex_lock(&channels->_lock);
    gone = drop_ref(channels, channel);
    uv_mutex_unlock(&channels->_lock);
    if (gone != NULL)
        entry_free(channels, gone);
}

/* ---- all of them ---- */

struct channel *channels_next(struct channels *channels, struct channel *previous)
{
    struct channels_entry *gone = NULL;
    struct channel *channel = NULL;
    struct list *next;

    uv_mutex_lock(&channels->_lock);
    next = previous != NULL ? entry_of(previous)->node.next : channels->_all.next;
    if (next != &channels->_all) {
        channel = &container_of(next, struct channels_entry, node)->channel;
        channels_ref(channel);
    }
    if (previous != NULL)
        gone = drop_ref(channels, previous);
    uv_mutex_unlock(&channels->_lock);
    if (gone != NULL)
        entry_free(channels, gone);
    return channel;
}

size_t channels_count(struct channels *channels)
{
    size_t count;

    uv_mutex_lock(&channels->_lock);
    count = channels->_count;
    uv_mutex_unlock(&channels->_lock);
    return count;
}

void channels_expire(struct channels *channels)
{
    struct channel *channel = NULL;

    while ((channel = channels_next(channels, channel)) != NULL)
        channel_expire(channel);
}

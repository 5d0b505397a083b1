/* All channels, by name. A channel is made when it is first asked for, and is freed when nothing
 * refers to it and nothing of it is retained; the default one (the name is "") is always there.
 *
 * Threads: from any. Under the registry's lock no channel's is taken: joining or leaving would
 * wait for the publishers of one channel. Nor is it taken under a channel's. */
#ifndef WS_SERVER_BROADCAST_CHANNELS_H
#define WS_SERVER_BROADCAST_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/history.h"
#include "server/broadcast/memory.h"

/* Keeps channels beyond their lives here. Both run on any thread, `made` with the registry's lock.
 */
struct channels_keeper {
    /* A channel is made, and nobody else has it yet: restores it (channel_restore), and may note
     * something in its `kept`. Returns 0, UV_ENOMEM or UV_EIO: then it is not made. */
    int (*made)(struct channels_keeper *keeper, struct channel *channel);
    /* It is about to be freed. */
    void (*gone)(struct channels_keeper *keeper, struct channel *channel);
};

struct channels {
    struct histories histories;
    struct memory memory; /* what the logs take, and the peers of all workers */
    const struct channel_rules *_Atomic _rules;
    uint64_t _max; /* guarded by the lock, as are the next two */
    const char *const
        *_listed;         /* NULL: channels of any name can be made; else of these, which the */
    size_t _listed_count; /* default one need not be among */
    struct channel *_default;
    struct channels_keeper *_keeper; /* NULL: there is none */
    uv_mutex_t _lock;                /* guards what follows */
    void *_by_name;                  /* tsearch(3)'s tree of struct channels_entry */
    struct list _all;                /* of struct channels_entry, the default one first */
    size_t _count;                   /* of all but the default one */
};

/* `max` channels beside the default one; 0: any number. The memory account has no bound yet, nor
 * have the histories. `rules` are borrowed. Returns 0 or a negative UV_E* code. */
int channels_init(struct channels *channels, const struct channel_rules *rules, uint64_t max);

/* Other rules and another number from now on, for the channels that there are, too. Those of before
 * are still in use in calls that have begun. Drops what the histories hold beyond them. */
void channels_set_rules(struct channels *channels, const struct channel_rules *rules, uint64_t max);

/* The settings of the channel of this name, whether there is one or not; as channel_settings. */
const struct channel_settings *channels_settings(const struct channels *channels, const char *name);

/* From now on `keeper`, which is borrowed, keeps all channels; NULL: none does. While there is just
 * the default one, or no thread but this. Returns 0, or what `made` has returned. */
int channels_keep(struct channels *channels, struct channels_keeper *keeper);

/* From now on only channels of these names can be made; of any name, if `names` is NULL. They are
 * borrowed until channels_deinit. */
void channels_list(struct channels *channels, const char *const *names, size_t count);

/* Frees all channels; no references are left. */
void channels_deinit(struct channels *channels);

/* Finds the channel of a valid name (channel_name_is_valid, or ""), and refers to it.
 * Returns 0, or UV_ENOENT when there is none. */
int channels_find(struct channels *channels, const char *name, size_t len,
                  struct channel **channel);

/* The same, but makes the channel if there is none. Returns 0, UV_ENOENT when there is none of this
 * name and none can be made, UV_EMFILE when there are too many channels, UV_ENOMEM, or UV_EIO when
 * the CSPRNG fails. */
int channels_make(struct channels *channels, const char *name, size_t len,
                  struct channel **channel);

/* Adds a reference to a channel that has one. */
void channels_ref(struct channel *channel);

/* Refers no more: the channel may be gone. */
void channels_unref(struct channels *channels, struct channel *channel);

/* Goes through all channels: the next one, referred to, and `previous` not any more; NULL when
 * there is none. Begins with NULL. */
struct channel *channels_next(struct channels *channels, struct channel *previous);

/* How many there are beside the default one. */
size_t channels_count(struct channels *channels);

/* Has every history drop what is too old, and forgets the channels of which nothing is left. To be
 * called now and then, if age matters. */
void channels_expire(struct channels *channels);

#endif

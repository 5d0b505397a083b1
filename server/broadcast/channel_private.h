/* What the files of a channel share: channel.c (subscribers, and looking),
 * channel_publish.c (publishing) and channel_history.c (what is retained). For them alone. */
#ifndef WS_SERVER_BROADCAST_CHANNEL_PRIVATE_H
#define WS_SERVER_BROADCAST_CHANNEL_PRIVATE_H

#include "server/broadcast/channel.h"

static inline struct event_id channel_id_of(const struct channel *channel, uint64_t sequence)
{
    return (struct event_id){channel->_epoch, sequence};
}

/* With the lock held, that is, while it stays so. */
static inline uint64_t channel_sequence(const struct channel *channel)
{
    return atomic_load_explicit(&channel->_sequence, memory_order_relaxed);
}

/* With the lock held: the plain log goes on while it holds history. */
void channel_stop_if_unused(struct channel *channel, struct channel_log *log);

/* With the lock held: drops a bounded part of what the history may not hold any more. True when
 * there is more to drop: release the lock, and call channel_trim. `*dropped` is for
 * block_log_leave, without the lock. */
bool channel_trim_step(struct channel *channel, struct block_cursor *dropped);

/* Drops more of it, in no more than so many steps: takes the lock for each. */
void channel_trim(struct channel *channel, unsigned steps);

#endif

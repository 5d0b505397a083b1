#include <limits.h>

#include "server/broadcast/channel.h"
#include "server/broadcast/channel_private.h"

/* With the lock held: messages have been dropped, or have begun to be retained. */
static void update_retains(struct channel *channel)
{
    atomic_store(&channel->_retains, !history_is_empty(&channel->_history));
    channel_stop_if_unused(channel, &channel->_logs[CHANNEL_LOG_PLAIN]);
}

bool channel_trim_step(struct channel *channel, struct block_cursor *dropped)
{
    bool more;

    more = history_trim(&channel->_history, channel_sequence(channel));
    *dropped = history_take_dropped(&channel->_history);
    update_retains(channel);
    return more;
}

void channel_trim(struct channel *channel, unsigned steps)
{
    bool more = true;

    for (unsigned i = 0; i < steps && more; i++) {
        struct block_cursor dropped;

        uv_mutex_lock(&channel->_lock);
        more = channel_trim_step(channel, &dropped);
        uv_mutex_unlock(&channel->_lock);
        block_log_leave(&dropped);
    }
}

void channel_expire(struct channel *channel)
{
    uv_mutex_lock(&channel->_lock);
    history_expire(&channel->_history, channel_sequence(channel));
    uv_mutex_unlock(&channel->_lock);
    channel_trim(channel, UINT_MAX);
}

void channel_set_settings(struct channel *channel, const struct channel_settings *settings)
{
    uv_mutex_lock(&channel->_lock);
    atomic_store_explicit(&channel->_settings, settings, memory_order_release);
    history_set_policy(&channel->_history, &settings->history, channel_sequence(channel));
    uv_mutex_unlock(&channel->_lock);
    channel_trim(channel, UINT_MAX);
}

bool channel_retains(const struct channel *channel)
{
    return atomic_load(&channel->_retains);
}

void channel_drop_block(struct channel *channel)
{
    struct block_cursor dropped;

    uv_mutex_lock(&channel->_lock);
    history_drop_block(&channel->_history);
    dropped = history_take_dropped(&channel->_history);
    update_retains(channel);
    uv_mutex_unlock(&channel->_lock);
    block_log_leave(&dropped);
}

void channel_forget_history(struct channel *channel)
{
    uint64_t last = channel_last_id(channel).sequence;
    bool more = true;

    while (more) {
        struct block_cursor dropped;

        uv_mutex_lock(&channel->_lock);
        history_drop_block(&channel->_history);
        more = !history_is_empty(&channel->_history) && channel->_history._sequence < last;
        dropped = history_take_dropped(&channel->_history);
        update_retains(channel);
        uv_mutex_unlock(&channel->_lock);
        block_log_leave(&dropped);
    }
}

#include "server/channel.h"

int channel_init(struct channel *channel)
{
    int status = uv_mutex_init(&channel->_lock);

    if (status != 0)
        return status;
    channel->_sequence = 0;
    list_init(&channel->_listeners);
    status = block_log_init(&channel->log);
    if (status != 0)
        uv_mutex_destroy(&channel->_lock);
    return status;
}

void channel_deinit(struct channel *channel)
{
    block_log_deinit(&channel->log);
    uv_mutex_destroy(&channel->_lock);
}

void channel_listen(struct channel *channel, struct channel_listener *listener,
                    void (*on_published)(struct channel_listener *listener))
{
    listener->_on_published = on_published;
    list_init(&listener->_node);
    uv_mutex_lock(&channel->_lock);
    list_append(&channel->_listeners, &listener->_node);
    uv_mutex_unlock(&channel->_lock);
}

void channel_unlisten(struct channel *channel, struct channel_listener *listener)
{
    uv_mutex_lock(&channel->_lock);
    list_remove(&listener->_node);
    uv_mutex_unlock(&channel->_lock);
}

void channel_join(struct channel *channel, struct block_cursor *cursor)
{
    uv_mutex_lock(&channel->_lock);
    block_log_join(&channel->log, cursor);
    uv_mutex_unlock(&channel->_lock);
}

static void tell_listeners(struct channel *channel)
{
    struct list *node;

    for (node = channel->_listeners.next; node != &channel->_listeners; node = node->next) {
        struct channel_listener *listener = container_of(node, struct channel_listener, _node);

        listener->_on_published(listener);
    }
}

int channel_publish(struct channel *channel, struct frame_encoder *encoder,
                    enum frame_opcode opcode, const struct frame_part *parts, size_t count)
{
    size_t payload = 0, size;
    uint8_t *room;
    int status = UV_ENOMEM;

    for (size_t i = 0; i < count; i++)
        payload += parts[i].len;
    size = frame_size(false, payload);
    uv_mutex_lock(&channel->_lock);
    room = block_log_reserve(&channel->log, size);
    if (room != NULL)
        status = frame_encode(encoder, room, opcode, parts, count);
    if (status == 0) {
        block_log_commit(&channel->log, size);
        channel->_sequence++;
        tell_listeners(channel);
    }
    uv_mutex_unlock(&channel->_lock);
    return status;
}

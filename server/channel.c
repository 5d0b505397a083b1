#include "server/channel.h"

int channel_init(struct channel *channel)
{
    int status;

    *channel = (struct channel){0};
    list_init(&channel->_listeners);
    status = uv_mutex_init(&channel->_lock);
    if (status != 0)
        return status;
    status = block_log_init(&channel->_plain.log);
    if (status != 0)
        goto fail_plain;
    status = block_log_init(&channel->_deflated.log);
    if (status != 0)
        goto fail_deflated;
    return 0;

fail_deflated:
    block_log_deinit(&channel->_plain.log);
fail_plain:
    uv_mutex_destroy(&channel->_lock);
    return status;
}

void channel_deinit(struct channel *channel)
{
    block_log_deinit(&channel->_deflated.log);
    block_log_deinit(&channel->_plain.log);
    uv_mutex_destroy(&channel->_lock);
}

void channel_listen(struct channel *channel, struct channel_listener *listener,
                    void (*on_published)(struct channel_listener *listener))
{
    listener->_on_published = on_published;
    list_init(&listener->_node);
    uv_mutex_lock(&channel->_lock);
    atomic_store(&listener->reached, channel_appended(channel));
    list_append(&channel->_listeners, &listener->_node);
    uv_mutex_unlock(&channel->_lock);
}

void channel_unlisten(struct channel *channel, struct channel_listener *listener)
{
    uv_mutex_lock(&channel->_lock);
    list_remove(&listener->_node);
    uv_mutex_unlock(&channel->_lock);
}

/* ---- subscribers ---- */

static struct channel_log *log_for(struct channel *channel, unsigned bits)
{
    return bits == CHANNEL_PLAIN ? &channel->_plain : &channel->_deflated;
}

/* Counts a subscriber in or out, and finds the smallest window anew. */
static void count_window(struct channel *channel, unsigned bits, bool joins)
{
    unsigned least = CHANNEL_LEAST_BITS;

    if (bits == CHANNEL_PLAIN)
        return;
    if (joins)
        channel->_windows[bits]++;
    else
        channel->_windows[bits]--;
    while (least <= CHANNEL_MOST_BITS && channel->_windows[least] == 0)
        least++;
    atomic_store(&channel->_bits, least <= CHANNEL_MOST_BITS ? least : 0);
}

void channel_join(struct channel *channel, unsigned bits, struct block_cursor *cursor)
{
    struct channel_log *log = log_for(channel, bits);

    cursor->form = (uint8_t) bits;
    uv_mutex_lock(&channel->_lock);
    log->readers++;
    count_window(channel, bits, true);
    block_log_join(&log->log, cursor);
    uv_mutex_unlock(&channel->_lock);
}

void channel_leave(struct channel *channel, struct block_cursor *cursor)
{
    uv_mutex_lock(&channel->_lock);
    log_for(channel, cursor->form)->readers--;
    count_window(channel, cursor->form, false);
    uv_mutex_unlock(&channel->_lock);
    block_log_leave(cursor);
}

void channel_skip(struct channel *channel, struct block_cursor *cursor)
{
    block_log_leave(cursor);
    uv_mutex_lock(&channel->_lock);
    block_log_join(&log_for(channel, cursor->form)->log, cursor);
    uv_mutex_unlock(&channel->_lock);
}

uint64_t channel_lag(const struct channel *channel, const struct block_cursor *cursor)
{
    return block_log_lag(
        cursor->form == CHANNEL_PLAIN ? &channel->_plain.log : &channel->_deflated.log, cursor);
}

uint64_t channel_appended(const struct channel *channel)
{
    return block_log_end(&channel->_plain.log) + block_log_end(&channel->_deflated.log);
}

uint64_t channel_reached(struct channel *channel, const struct channel_listener *own)
{
    uint64_t least = UINT64_MAX;
    struct list *node;

    uv_mutex_lock(&channel->_lock);
    for (node = channel->_listeners.next; node != &channel->_listeners; node = node->next) {
        struct channel_listener *listener = container_of(node, struct channel_listener, _node);
        uint64_t reached = atomic_load_explicit(&listener->reached, memory_order_relaxed);

        if (listener != own && reached < least)
            least = reached;
    }
    uv_mutex_unlock(&channel->_lock);
    return least;
}

/* ---- publishing ---- */

static void tell_listeners(struct channel *channel)
{
    struct list *node;

    for (node = channel->_listeners.next; node != &channel->_listeners; node = node->next) {
        struct channel_listener *listener = container_of(node, struct channel_listener, _node);

        listener->_on_published(listener);
    }
}

static size_t payload_of(const struct frame_part *parts, size_t count)
{
    size_t payload = 0;

    for (size_t i = 0; i < count; i++)
        payload += parts[i].len;
    return payload;
}

/* A message on its way into one of the logs. */
struct form {
    struct channel_log *log;
    const struct frame_part *parts;
    size_t count;
    bool compressed;
    size_t size; /* of the frame */
    uint8_t *room;
};

/* Finds room in the form's log. True also when nobody reads it. */
static bool reserve(struct form *form)
{
    form->room = NULL;
    if (form->log->readers == 0)
        return true;
    form->size = frame_size(false, payload_of(form->parts, form->count));
    form->room = block_log_reserve(&form->log->log, form->size);
    return form->room != NULL;
}

static void append(const struct form *form, struct frame_encoder *encoder, enum frame_opcode opcode)
{
    if (form->room == NULL)
        return;
    /* Without a masking key there is nothing that could fail. */
    (void) frame_encode(encoder, form->room, opcode, form->compressed, form->parts, form->count);
    block_log_commit(&form->log->log, form->size);
}

int channel_publish(struct channel *channel, const struct channel_publisher *publisher,
                    enum frame_opcode opcode, const struct frame_part *parts, size_t count)
{
    struct form plain = {.log = &channel->_plain, .parts = parts, .count = count};
    struct form deflated = {.log = &channel->_deflated, .parts = parts, .count = count};
    size_t payload = payload_of(parts, count);
    unsigned bits = atomic_load(&channel->_bits);
    struct frame_part compressed;
    int status = UV_ENOMEM;

    /* The work is done before the lock is taken. */
    if (bits != 0 && payload >= publisher->compression_min)
        deflated.compressed =
            deflater_deflate(publisher->deflater, bits, parts, count, &compressed);
    uv_mutex_lock(&channel->_lock);
    /* Somebody with a smaller window may have come meanwhile: then this one stays as it is. */
    if (atomic_load(&channel->_bits) < bits)
        deflated.compressed = false;
    if (deflated.compressed) {
        deflated.parts = &compressed;
        deflated.count = 1;
    }
    if (reserve(&plain) && reserve(&deflated)) {
        append(&plain, publisher->encoder, opcode);
        append(&deflated, publisher->encoder, opcode);
        channel->_sequence++;
        tell_listeners(channel);
        status = 0;
    }
    uv_mutex_unlock(&channel->_lock);
    return status;
}

/* Publishing to a channel: what is ready is appended to each log that is read, in one
 * critical section. */
#include "server/broadcast/channel_private.h"

#include <string.h>

#include "server/broadcast/event_stream.h"
#include "server/broadcast/publication.h"
#include "server/metrics/counters.h"

enum {
    DEFLATING_COST = 16, /* of a byte that is deflated, in bytes that are copied */
    /* Steps of dropping history that a publisher takes: enough for one block of the shortest
     * messages and for what its own message sends away. Of what expires, the rest waits for the
     * next publisher or for channel_expire. */
    MAX_STEPS = 96,
};

static void tell_listeners(struct channel *channel)
{
    LIST_FOR_EACH (node, &channel->_listeners) {
        struct channel_listener *listener = container_of(node, struct channel_listener, _node);

        listener->_on_published(listener);
    }
}

static bool is_written(const struct channel *channel, size_t log)
{
    return channel->_logs[log].readers > 0 ||
           (log == CHANNEL_LOG_PLAIN && history_keeps(&channel->_history));
}

/* NULL: out of memory. */
static uint8_t *reserve(struct channel *channel, struct block_log *log, size_t size,
                        uint64_t publisher)
{
    if (!block_log_is_started(log) && block_log_start(log, channel_sequence(channel)) != 0)
        return NULL;
    return block_log_reserve(log, size, publisher);
}

/* The work that takes no lock: encodings without readers are not made. */
static void prepare(struct publication *publication, struct channel *channel,
                    const struct channel_publisher *publisher)
{
    unsigned bits = atomic_load(&channel->_bits);

    if (atomic_load(&channel->_has_events))
        (void) publication_add_events(publication); /* tried again by lock_for */
    if (bits != 0)
        publication_deflate(publication, publisher, bits);
}

/* Takes the lock, with the publication made for the readers of now: one that has joined since it
 * was prepared may have a smaller window, for which it stays as it is, or read events, whose text
 * is never made under the lock. Returns 0, or UV_ENOMEM without the lock. */
static int lock_for(struct channel *channel, struct publication *publication)
{
    uv_mutex_lock(&channel->_lock);
    if (channel->_logs[CHANNEL_LOG_EVENTS].readers > 0 && !publication->has_events) {
        int status;

        uv_mutex_unlock(&channel->_lock);
        status = publication_add_events(publication);
        if (status != 0) /* out of memory */
            return status;
        uv_mutex_lock(&channel->_lock);
    }
    if (atomic_load(&channel->_bits) < publication->bits)
        publication->bits = 0;
    return 0;
}

/* With the lock held: appends the i-th message to all logs, and adds their bytes to what the
 * receipt says was copied. Returns 0, or UV_ENOMEM with nothing published. */
static int append(struct channel *channel, const struct publication *publication, size_t i,
                  struct frame_encoder *encoder, struct channel_receipt *receipt)
{
    struct publication_unit units[CHANNEL_LOGS];
    uint8_t *rooms[CHANNEL_LOGS] = {NULL};
    uint64_t sequence = channel_sequence(channel);
    char text[EVENT_STREAM_MAX_ID + 1];
    struct frame_part id = {text, 0};
    bool keeps = history_keeps(&channel->_history);

    if (is_written(channel, CHANNEL_LOG_EVENTS) || is_written(channel, CHANNEL_LOG_IDS))
        id.len = event_stream_write_id(text, channel_id_of(channel, sequence + 1));
    for (size_t log = 0; log < CHANNEL_LOGS; log++) {
        if (!is_written(channel, log))
            continue;
        publication_unit(publication, i, (enum channel_log_kind) log, id, &units[log]);
        rooms[log] =
            reserve(channel, &channel->_logs[log].log, units[log].size, units[log].publisher);
        if (rooms[log] == NULL)
            return UV_ENOMEM;
    }
    if (keeps &&
        history_begin(&channel->_history, &channel->_logs[CHANNEL_LOG_PLAIN].log, sequence) != 0)
        return UV_ENOMEM;
    for (size_t log = 0; log < CHANNEL_LOGS; log++) {
        if (rooms[log] == NULL)
            continue;
        publication_write(&units[log], encoder, rooms[log]);
        block_log_commit(&channel->_logs[log].log, units[log].size);
        receipt->work += units[log].size;
    }
    atomic_store_explicit(&channel->_sequence, sequence + 1, memory_order_relaxed);
    if (keeps)
        history_add(&channel->_history, units[CHANNEL_LOG_PLAIN].size);
    return 0;
}

static int publish(struct channel *channel, const struct channel_publisher *publisher,
                   const struct channel_item *items, size_t count, size_t *published,
                   struct channel_receipt *receipt)
{
    struct publication publication;
    struct block_cursor dropped = {0};
    uint64_t before;
    bool more = false;
    int status = publication_init(&publication, items, count);

    *published = 0;
    if (status != 0) /* out of memory */
        return status;
    prepare(&publication, channel, publisher);
    receipt->work =
        publication.bits == 0 ? 0 : DEFLATING_COST * (size_t) deflater_work(publisher->deflater);
    status = lock_for(channel, &publication);
    if (status != 0) /* out of memory */
        goto done;
    before = channel_appended(channel);
    while (*published < count && status == 0) {
        status = append(channel, &publication, *published, publisher->encoder, receipt);
        *published += status == 0 ? 1 : 0;
    }
    receipt->appended = channel_appended(channel);
    receipt->bytes = receipt->appended - before;
    receipt->id = channel_id_of(channel, channel_sequence(channel));
    receipt->subscribers = atomic_load_explicit(&channel->_subscribers, memory_order_relaxed);
    if (publisher->counters != NULL)
        counters_add(&publisher->counters->deliveries, *published * receipt->subscribers);
    if (*published > 0)
        tell_listeners(channel);
    if (history_keeps(&channel->_history))
        more = channel_trim_step(channel, &dropped);
    uv_mutex_unlock(&channel->_lock);
    if (dropped._block != NULL)
        block_log_leave(&dropped);
    if (more)
        channel_trim(channel, MAX_STEPS);
    history_relieve(&channel->_history);
done:
    publication_deinit(&publication);
    return status;
}

int channel_publish(struct channel *channel, const struct channel_publisher *publisher,
                    enum frame_opcode opcode, const struct frame_part *parts, size_t count,
                    struct channel_receipt *receipt)
{
    struct channel_item item = {opcode, parts, count, 0};
    struct channel_receipt unwanted;
    size_t published;

    return publish(channel, publisher, &item, 1, &published, receipt != NULL ? receipt : &unwanted);
}

int channel_publish_all(struct channel *channel, const struct channel_publisher *publisher,
                        const struct channel_item *items, size_t count, size_t *published,
                        struct channel_receipt *receipt)
{
    struct channel_receipt unwanted;

    *published = 0;
    if (count == 0)
        return 0;
    return publish(channel, publisher, items, count, published,
                   receipt != NULL ? receipt : &unwanted);
}

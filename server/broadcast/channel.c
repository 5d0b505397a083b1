#include "server/broadcast/channel_private.h"

#include <limits.h>

int channel_init(struct channel *channel, const char *name, struct histories *histories)
{
    int status;

    *channel = (struct channel){.name = name};
    list_init(&channel->_listeners);
    for (size_t i = 0; i < CHANNEL_LOGS; i++)
        block_log_init(&channel->_logs[i].log,
                       i == CHANNEL_LOG_EVENTS ? BLOCK_LOG_EVENTS : BLOCK_LOG_FRAMES);
    history_init(&channel->_history, histories);
    atomic_init(&channel->_settings, &channel_settings_none);
    status = event_id_draw_epoch(&channel->_epoch);
    return status == 0 ? uv_mutex_init(&channel->_lock) : status;
}

void channel_restore(struct channel *channel, struct event_id last)
{
    channel->_epoch = last.epoch;
    atomic_store_explicit(&channel->_sequence, last.sequence, memory_order_relaxed);
}

void channel_count_memory(struct channel *channel, _Atomic uint64_t *memory)
{
    for (size_t i = 0; i < CHANNEL_LOGS; i++)
        block_log_count(&channel->_logs[i].log, memory);
}

void channel_deinit(struct channel *channel)
{
    history_deinit(&channel->_history);
    for (size_t i = 0; i < CHANNEL_LOGS; i++)
        block_log_stop(&channel->_logs[i].log);
    uv_mutex_destroy(&channel->_lock);
}

void channel_listen(struct channel *channel, struct channel_listener *listener,
                    enum channel_throttling throttling,
                    void (*on_published)(struct channel_listener *listener))
{
    listener->_on_published = on_published;
    listener->_throttling = throttling;
    listener->_thread = uv_thread_self();
    list_init(&listener->_node);
    uv_mutex_lock(&channel->_lock);
    atomic_store(&listener->delivered, channel_appended(channel));
    list_append(&channel->_listeners, &listener->_node);
    uv_mutex_unlock(&channel->_lock);
}

void channel_unlisten(struct channel *channel, struct channel_listener *listener)
{
    uv_mutex_lock(&channel->_lock);
    list_remove(&listener->_node);
    uv_mutex_unlock(&channel->_lock);
}

/* ---- readers of each log ---- */

static struct channel_log *log_for(struct channel *channel, unsigned encoding)
{
    if (encoding == CHANNEL_PLAIN)
        return &channel->_logs[CHANNEL_LOG_PLAIN];
    if (encoding == CHANNEL_IDS)
        return &channel->_logs[CHANNEL_LOG_IDS];
    return &channel->_logs[encoding == CHANNEL_EVENTS ? CHANNEL_LOG_EVENTS : CHANNEL_LOG_DEFLATED];
}

/* Counts a subscriber in or out, and tells publishers what is to be made. */
static void count_reader(struct channel *channel, unsigned encoding, bool joins)
{
    struct channel_log *log = log_for(channel, encoding);
    unsigned bits = CHANNEL_LEAST_BITS;

    log->readers = joins ? log->readers + 1 : log->readers - 1;
    atomic_store(&channel->_has_events, channel->_logs[CHANNEL_LOG_EVENTS].readers > 0);
    if (log != &channel->_logs[CHANNEL_LOG_DEFLATED])
        return;
    channel->_windows[encoding - CHANNEL_LEAST_BITS] += joins ? 1 : UINT32_MAX;
    while (bits <= CHANNEL_MOST_BITS && channel->_windows[bits - CHANNEL_LEAST_BITS] == 0)
        bits++;
    atomic_store(&channel->_bits, bits <= CHANNEL_MOST_BITS ? bits : 0);
}

/* One more reads the log of this encoding, which is written from now on. Returns 0 or UV_ENOMEM. */
static int enter_log(struct channel *channel, unsigned encoding)
{
    int status = block_log_start(&log_for(channel, encoding)->log, channel_sequence(channel));

    if (status == 0)
        count_reader(channel, encoding, true);
    return status;
}

void channel_stop_if_unused(struct channel *channel, struct channel_log *log)
{
    if (log->readers == 0 &&
        (log != &channel->_logs[CHANNEL_LOG_PLAIN] || history_is_empty(&channel->_history)))
        block_log_stop(&log->log);
}

static void leave_log(struct channel *channel, unsigned encoding)
{
    count_reader(channel, encoding, false);
    channel_stop_if_unused(channel, log_for(channel, encoding));
}

/* The encoding of the log that its cursor is in now. */
static unsigned encoding_read(const struct channel_reader *reader)
{
    return reader->catching_up ? CHANNEL_PLAIN : reader->encoding;
}

/* ---- where to begin ---- */

/* The message just before the first that `since` asks for and that can be had. */
static int begin_of(const struct channel *channel, const struct channel_replay_from *from,
                    uint64_t *sequence)
{
    uint64_t last = channel_sequence(channel);
    uint64_t oldest = last - history_messages(&channel->_history, last);

    *sequence = last;
    switch (from != NULL ? from->kind : CHANNEL_REPLAY_NOW) {
    case CHANNEL_REPLAY_NOW:
        break;
    case CHANNEL_REPLAY_LAST:
        *sequence = from->count < last - oldest ? last - from->count : oldest;
        break;
    case CHANNEL_REPLAY_ALL:
        *sequence = oldest;
        break;
    case CHANNEL_REPLAY_ID:
        if (from->id.epoch == channel->_epoch && from->id.sequence > last)
            return UV_EINVAL;
        *sequence = from->id.epoch == channel->_epoch && from->id.sequence > oldest
                        ? from->id.sequence
                        : oldest;
        break;
    }
    return 0;
}

/* ---- subscribers ---- */

/* With the lock held. */
static bool is_full(const struct channel *channel)
{
    uint64_t most = channel_settings(channel)->max_subscribers;

    return most > 0 && atomic_load(&channel->_subscribers) >= most;
}

/* With the lock held: the reader begins where the message after `begin` is. */
static int join_at(struct channel *channel, unsigned encoding, uint64_t begin,
                   struct channel_reader *reader)
{
    bool catching_up = begin < channel_sequence(channel);
    int status = enter_log(channel, catching_up ? CHANNEL_PLAIN : encoding);

    if (status != 0)
        return status;
    if (catching_up)
        block_log_copy(&channel->_history._cursor, &reader->cursor);
    else
        block_log_join(&log_for(channel, encoding)->log, &reader->cursor);
    reader->encoding = (uint8_t) encoding;
    reader->catching_up = catching_up;
    return 0;
}

int channel_join(struct channel *channel, unsigned encoding, const struct channel_replay_from *from,
                 struct channel_reader *reader, struct event_id *start)
{
    uint64_t begin;
    int status;

    if (encoding < CHANNEL_LEAST_BITS)
        encoding = CHANNEL_PLAIN;
    uv_mutex_lock(&channel->_lock);
    status = is_full(channel) ? UV_EMFILE : begin_of(channel, from, &begin);
    if (status == 0)
        status = join_at(channel, encoding, begin, reader);
    if (status == 0)
        atomic_fetch_add(&channel->_subscribers, 1);
    uv_mutex_unlock(&channel->_lock);
    if (status == 0 && start != NULL)
        *start = channel_id_of(channel, begin);
    /* Finding the place takes no lock: the cursor holds all from the oldest message on. */
    if (status == 0 && reader->catching_up)
        block_log_seek(&reader->cursor, begin);
    return status;
}

/* With the lock held: the second cursor is not needed. */
static void leave_live_log(struct channel *channel, const struct channel_reader *reader,
                           const struct block_cursor *live_cursor)
{
    if (live_cursor != NULL && live_cursor->_block != NULL)
        leave_log(channel, reader->encoding);
}

void channel_leave(struct channel *channel, struct channel_reader *reader,
                   struct block_cursor *live_cursor)
{
    uv_mutex_lock(&channel->_lock);
    leave_live_log(channel, reader, live_cursor);
    leave_log(channel, encoding_read(reader));
    atomic_fetch_sub(&channel->_subscribers, 1);
    uv_mutex_unlock(&channel->_lock);
    if (live_cursor != NULL)
        block_log_leave(live_cursor);
    block_log_leave(&reader->cursor);
}

int channel_meet(struct channel *channel, const struct channel_reader *reader,
                 struct block_cursor *live_cursor, uint64_t *stop)
{
    int status;

    *live_cursor = (struct block_cursor){0};
    uv_mutex_lock(&channel->_lock);
    status = enter_log(channel, reader->encoding);
    if (status == 0)
        block_log_join(&log_for(channel, reader->encoding)->log, live_cursor);
    *stop = block_log_end(&channel->_logs[CHANNEL_LOG_PLAIN].log);
    uv_mutex_unlock(&channel->_lock);
    return status;
}

void channel_part(struct channel *channel, const struct channel_reader *reader,
                  struct block_cursor *live_cursor)
{
    if (live_cursor->_block == NULL)
        return;
    uv_mutex_lock(&channel->_lock);
    leave_live_log(channel, reader, live_cursor);
    uv_mutex_unlock(&channel->_lock);
    block_log_leave(live_cursor);
}

/* The reader goes on with this cursor, which stands nowhere then. */
static void move_on(struct channel_reader *reader, struct block_cursor *cursor)
{
    reader->cursor = *cursor;
    reader->catching_up = false;
    *cursor = (struct block_cursor){0};
}

void channel_go_live(struct channel *channel, struct channel_reader *reader,
                     struct block_cursor *live_cursor)
{
    uv_mutex_lock(&channel->_lock);
    leave_log(channel, CHANNEL_PLAIN);
    uv_mutex_unlock(&channel->_lock);
    block_log_leave(&reader->cursor);
    move_on(reader, live_cursor);
}

int channel_skip(struct channel *channel, struct channel_reader *reader,
                 struct block_cursor *live_cursor, struct event_id *start)
{
    struct block_cursor fresh = {0};
    int status;

    block_log_leave(&reader->cursor);
    uv_mutex_lock(&channel->_lock);
    leave_live_log(channel, reader, live_cursor);
    status = enter_log(channel, reader->encoding);
    if (status == 0) {
        leave_log(channel, encoding_read(reader));
        block_log_join(&log_for(channel, reader->encoding)->log, &fresh);
    }
    if (start != NULL)
        *start = channel_id_of(channel, channel_sequence(channel));
    uv_mutex_unlock(&channel->_lock);
    if (live_cursor != NULL)
        block_log_leave(live_cursor);
    if (status == 0)
        move_on(reader, &fresh);
    return status;
}

/* ---- where they are ---- */

static const struct block_log *log_of(const struct channel *channel,
                                      const struct channel_reader *reader)
{
    return &log_for((struct channel *) (uintptr_t) channel, encoding_read(reader))->log;
}

uint64_t channel_lag(const struct channel *channel, const struct channel_reader *reader)
{
    return block_log_lag(log_of(channel, reader), &reader->cursor);
}

uint64_t channel_beyond_history(struct channel *channel, const struct block_cursor *cursor,
                                uint64_t *messages)
{
    uint64_t position = block_log_position(cursor);
    uint64_t begin, first, last, read;

    uv_mutex_lock(&channel->_lock);
    last = channel_sequence(channel);
    first = last - history_messages(&channel->_history, last);
    begin = history_is_empty(&channel->_history)
                ? block_log_end(&channel->_logs[CHANNEL_LOG_PLAIN].log)
                : block_log_position(&channel->_history._cursor);
    uv_mutex_unlock(&channel->_lock);
    read = block_log_sequence(cursor);
    *messages = first > read ? first - read : 0;
    return begin > position ? begin - position : 0;
}

uint64_t channel_lag_beyond_history(struct channel *channel, const struct channel_reader *reader,
                                    const struct block_cursor *live_cursor, uint64_t *messages)
{
    uint64_t bytes = channel_beyond_history(channel, &reader->cursor, messages);
    uint64_t behind;

    /* In the plain log the second cursor holds nothing that the first one does not. */
    if (live_cursor == NULL || live_cursor->_block == NULL || reader->encoding == CHANNEL_PLAIN)
        return bytes;
    behind = channel_messages_behind(channel, live_cursor, 0);
    if (behind > *messages)
        *messages = behind;
    return bytes + block_log_lag(&log_for(channel, reader->encoding)->log, live_cursor);
}

struct event_id channel_id_at(struct channel *channel, const struct channel_reader *reader)
{
    const struct block_cursor *cursor = &reader->cursor;
    bool at_end;
    uint64_t last;

    uv_mutex_lock(&channel->_lock);
    last = channel_sequence(channel);
    at_end = cursor->_block == NULL || channel_lag(channel, reader) == 0;
    uv_mutex_unlock(&channel->_lock);
    return channel_id_of(channel, at_end && !cursor->_last ? last : block_log_sequence(cursor));
}

uint64_t channel_messages_behind(const struct channel *channel, const struct block_cursor *cursor,
                                 uint64_t least)
{
    uint64_t sequence = channel_sequence(channel);
    uint64_t read = block_log_least_sequence(cursor);

    if (sequence <= read || sequence - read <= least)
        return least;
    read = block_log_sequence(cursor);
    return sequence > read && sequence - read > least ? sequence - read : least;
}

/* True for the subscribers of the calling thread, which reads no more than they get, and for one
 * that nobody waits for. */
static bool is_free(const struct channel_listener *listener)
{
    uv_thread_t self = uv_thread_self();

    return listener->_throttling == CHANNEL_FOLLOWS ||
           uv_thread_equal(&self, &listener->_thread) != 0;
}

uint64_t channel_delivered(struct channel *channel)
{
    uint64_t least = UINT64_MAX;

    uv_mutex_lock(&channel->_lock);
    LIST_FOR_EACH (node, &channel->_listeners) {
        struct channel_listener *listener = container_of(node, struct channel_listener, _node);
        uint64_t delivered = atomic_load_explicit(&listener->delivered, memory_order_relaxed);

        if (!is_free(listener) && delivered < least)
            least = delivered;
    }
    uv_mutex_unlock(&channel->_lock);
    return least;
}

/* ---- looking ---- */

void channel_info(struct channel *channel, struct channel_info *info)
{
    uv_mutex_lock(&channel->_lock);
    info->last = channel_id_of(channel, channel_sequence(channel));
    info->subscribers = atomic_load(&channel->_subscribers);
    info->messages = history_messages(&channel->_history, channel_sequence(channel));
    info->bytes = history_bytes(&channel->_history);
    uv_mutex_unlock(&channel->_lock);
}

struct event_id channel_last_id(const struct channel *channel)
{
    return channel_id_of(channel, channel_sequence(channel));
}

uint64_t channel_appended(const struct channel *channel)
{
    uint64_t appended = 0;

    for (size_t i = 0; i < CHANNEL_LOGS; i++)
        appended += block_log_end(&channel->_logs[i].log);
    return appended;
}

int channel_look_back(struct channel *channel, const struct channel_replay_from *from,
                      struct block_cursor *cursor, struct event_id *start)
{
    uint64_t begin;
    int status;

    *cursor = (struct block_cursor){0};
    uv_mutex_lock(&channel->_lock);
    status = begin_of(channel, from, &begin);
    if (status == 0 && begin < channel_sequence(channel))
        block_log_copy(&channel->_history._cursor, cursor);
    uv_mutex_unlock(&channel->_lock);
    if (status != 0)
        return status;
    *start = channel_id_of(channel, begin);
    if (cursor->_block != NULL)
        block_log_seek(cursor, begin);
    return 0;
}

bool channel_look(struct block_cursor *cursor, size_t within, struct channel_message *message)
{
    struct block_unit unit;
    struct frame_part payload;

    if (cursor->_block == NULL || !block_log_unit_around(cursor, within, &unit))
        return false;
    message->opcode = frame_look(unit.data, &payload);
    message->payload = payload.data;
    message->len = payload.len;
    message->size = unit.len;
    return true;
}

bool channel_next(struct block_cursor *cursor, struct channel_message *message)
{
    if (!channel_look(cursor, 0, message))
        return false;
    cursor->_offset +=
        (uint32_t) message->size; /* it leaves the block when the next is looked at */
    return true;
}

void channel_fold(struct channel *channel)
{
    uv_mutex_lock(&channel->_lock);
    for (size_t i = 0; i < CHANNEL_LOGS; i++) {
        if (i != CHANNEL_LOG_PLAIN || history_is_empty(&channel->_history)) /* which holds it */
            block_log_fold(&channel->_logs[i].log);
    }
    uv_mutex_unlock(&channel->_lock);
}

struct channel *channel_of_retention(const struct block_retention *retention)
{
    return container_of(retention->log, struct channel, _logs[CHANNEL_LOG_PLAIN].log);
}

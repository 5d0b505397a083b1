#include "server/channel.h"

#include <string.h>

#include "server/event_stream.h"

int channel_init(struct channel *channel, const char *name, struct histories *histories)
{
    int status;

    *channel = (struct channel){.name = name};
    list_init(&channel->_listeners);
    block_log_init(&channel->_plain.log, BLOCK_LOG_FRAMES);
    block_log_init(&channel->_deflated.log, BLOCK_LOG_FRAMES);
    block_log_init(&channel->_events.log, BLOCK_LOG_EVENTS);
    history_init(&channel->_history, histories);
    status = event_id_draw_epoch(&channel->_epoch);
    return status == 0 ? uv_mutex_init(&channel->_lock) : status;
}

void channel_count_memory(struct channel *channel, _Atomic uint64_t *memory)
{
    block_log_count(&channel->_plain.log, memory);
    block_log_count(&channel->_deflated.log, memory);
    block_log_count(&channel->_events.log, memory);
}

void channel_deinit(struct channel *channel)
{
    history_deinit(&channel->_history);
    block_log_stop(&channel->_plain.log);
    block_log_stop(&channel->_deflated.log);
    block_log_stop(&channel->_events.log);
    uv_mutex_destroy(&channel->_lock);
}

static struct event_id id_of(const struct channel *channel, uint64_t sequence)
{
    return (struct event_id){channel->_epoch, sequence};
}

/* With the lock held, that is, while it stays so. */
static uint64_t sequence_of(const struct channel *channel)
{
    return atomic_load_explicit(&channel->_sequence, memory_order_relaxed);
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

/* ---- who reads which log ---- */

static struct channel_log *log_for(struct channel *channel, unsigned form)
{
    if (form == CHANNEL_PLAIN)
        return &channel->_plain;
    return form == CHANNEL_EVENTS ? &channel->_events : &channel->_deflated;
}

/* Counts a subscriber in or out, and finds the smallest window anew. */
static void count_window(struct channel *channel, unsigned form, bool joins)
{
    unsigned least = CHANNEL_LEAST_BITS;

    if (form == CHANNEL_PLAIN || form == CHANNEL_EVENTS)
        return;
    if (joins)
        channel->_windows[form]++;
    else
        channel->_windows[form]--;
    while (least <= CHANNEL_MOST_BITS && channel->_windows[least] == 0)
        least++;
    atomic_store(&channel->_bits, least <= CHANNEL_MOST_BITS ? least : 0);
}

/* One more reads the log of this form, which is written from now on. Returns 0 or UV_ENOMEM. */
static int enter_log(struct channel *channel, unsigned form)
{
    struct channel_log *log = log_for(channel, form);
    int status = block_log_start(&log->log, sequence_of(channel));

    if (status != 0)
        return status;
    log->readers++;
    count_window(channel, form, true);
    atomic_store(&channel->_has_events, channel->_events.readers > 0);
    return 0;
}

/* The plain log goes on while it holds history. */
static void stop_if_unused(struct channel *channel, struct channel_log *log)
{
    if (log->readers == 0 && (log != &channel->_plain || history_is_empty(&channel->_history)))
        block_log_stop(&log->log);
}

static void leave_log(struct channel *channel, unsigned form)
{
    struct channel_log *log = log_for(channel, form);

    log->readers--;
    count_window(channel, form, false);
    atomic_store(&channel->_has_events, channel->_events.readers > 0);
    stop_if_unused(channel, log);
}

/* The log that the cursor is in now. */
static unsigned form_read(const struct block_cursor *cursor)
{
    return cursor->catching ? CHANNEL_PLAIN : cursor->form;
}

/* ---- where to begin ---- */

/* The message just before the first that `since` asks for and that can be had. */
static int begin_of(const struct channel *channel, const struct channel_since *since,
                    uint64_t *sequence)
{
    uint64_t last = sequence_of(channel);
    uint64_t oldest = last - history_messages(&channel->_history, last);

    *sequence = last;
    switch (since != NULL ? since->kind : CHANNEL_SINCE_NOW) {
    case CHANNEL_SINCE_NOW:
        break;
    case CHANNEL_SINCE_LAST:
        *sequence = since->count < last - oldest ? last - since->count : oldest;
        break;
    case CHANNEL_SINCE_ALL:
        *sequence = oldest;
        break;
    case CHANNEL_SINCE_ID:
        if (since->id.epoch == channel->_epoch && since->id.sequence > last)
            return UV_EINVAL;
        *sequence = since->id.epoch == channel->_epoch && since->id.sequence > oldest
                        ? since->id.sequence
                        : oldest;
        break;
    }
    return 0;
}

/* ---- subscribers ---- */

/* With the lock held: the cursor joins where the message after `begin` is. */
static int join_at(struct channel *channel, unsigned form, uint64_t begin,
                   struct block_cursor *cursor)
{
    bool catching = begin < sequence_of(channel);
    int status = enter_log(channel, catching ? CHANNEL_PLAIN : form);

    if (status != 0)
        return status;
    if (catching)
        block_log_copy(&channel->_history._cursor, cursor);
    else
        block_log_join(&log_for(channel, form)->log, cursor);
    cursor->form = (uint8_t) form;
    cursor->catching = catching;
    return 0;
}

int channel_join(struct channel *channel, unsigned form, const struct channel_since *since,
                 struct block_cursor *cursor, struct event_id *start)
{
    uint64_t begin;
    int status;

    uv_mutex_lock(&channel->_lock);
    status = begin_of(channel, since, &begin);
    if (status == 0)
        status = join_at(channel, form, begin, cursor);
    if (status == 0)
        atomic_fetch_add(&channel->_subscribers, 1);
    uv_mutex_unlock(&channel->_lock);
    if (status == 0 && start != NULL)
        *start = id_of(channel, begin);
    /* Finding the place takes no lock: the cursor holds all from the oldest message on. */
    if (status == 0 && cursor->catching)
        block_log_seek(cursor, begin);
    return status;
}

/* With the lock held: the second cursor is not needed. */
static void forget_meeting(struct channel *channel, const struct block_cursor *meeting)
{
    if (meeting != NULL && meeting->_block != NULL)
        leave_log(channel, meeting->form);
}

void channel_leave(struct channel *channel, struct block_cursor *cursor,
                   struct block_cursor *meeting)
{
    uv_mutex_lock(&channel->_lock);
    forget_meeting(channel, meeting);
    leave_log(channel, form_read(cursor));
    atomic_fetch_sub(&channel->_subscribers, 1);
    uv_mutex_unlock(&channel->_lock);
    if (meeting != NULL)
        block_log_leave(meeting);
    block_log_leave(cursor);
}

int channel_meet(struct channel *channel, const struct block_cursor *cursor,
                 struct block_cursor *meeting, uint64_t *stop)
{
    int status;

    *meeting = (struct block_cursor){.form = cursor->form};
    uv_mutex_lock(&channel->_lock);
    status = enter_log(channel, cursor->form);
    if (status == 0)
        block_log_join(&log_for(channel, cursor->form)->log, meeting);
    *stop = block_log_end(&channel->_plain.log);
    uv_mutex_unlock(&channel->_lock);
    return status;
}

/* The cursor takes the place of the other; what the fanout has noted in it stays. */
static void move_cursor(struct block_cursor *cursor, struct block_cursor *other)
{
    cursor->_block = other->_block;
    cursor->_offset = other->_offset;
    cursor->_last = false;
    cursor->cut = false;
    cursor->catching = false;
    *other = (struct block_cursor){0};
}

void channel_go_live(struct channel *channel, struct block_cursor *cursor,
                     struct block_cursor *meeting)
{
    uv_mutex_lock(&channel->_lock);
    leave_log(channel, CHANNEL_PLAIN);
    uv_mutex_unlock(&channel->_lock);
    block_log_leave(cursor);
    move_cursor(cursor, meeting);
}

int channel_skip(struct channel *channel, struct block_cursor *cursor, struct block_cursor *meeting,
                 struct event_id *start)
{
    struct block_cursor fresh = {0};
    int status;

    block_log_leave(cursor);
    uv_mutex_lock(&channel->_lock);
    forget_meeting(channel, meeting);
    status = enter_log(channel, cursor->form);
    if (status == 0) {
        leave_log(channel, form_read(cursor));
        block_log_join(&log_for(channel, cursor->form)->log, &fresh);
    }
    if (start != NULL)
        *start = id_of(channel, sequence_of(channel));
    uv_mutex_unlock(&channel->_lock);
    if (meeting != NULL)
        block_log_leave(meeting);
    if (status == 0)
        move_cursor(cursor, &fresh);
    return status;
}

/* ---- where they are ---- */

static const struct block_log *log_of(const struct channel *channel,
                                      const struct block_cursor *cursor)
{
    return &log_for((struct channel *) (uintptr_t) channel, form_read(cursor))->log;
}

uint64_t channel_lag(const struct channel *channel, const struct block_cursor *cursor)
{
    return block_log_lag(log_of(channel, cursor), cursor);
}

uint64_t channel_lag_beyond_history(struct channel *channel, const struct block_cursor *cursor,
                                    uint64_t *messages)
{
    uint64_t place = block_log_place(cursor);
    uint64_t position = block_log_position(cursor);
    uint64_t begin, sequence;

    uv_mutex_lock(&channel->_lock);
    sequence = sequence_of(channel) - history_messages(&channel->_history, sequence_of(channel));
    begin = history_is_empty(&channel->_history) ? block_log_end(&channel->_plain.log)
                                                 : block_log_position(&channel->_history._cursor);
    uv_mutex_unlock(&channel->_lock);
    *messages = sequence > place ? sequence - place : 0;
    return begin > position ? begin - position : 0;
}

struct event_id channel_place(struct channel *channel, const struct block_cursor *cursor)
{
    bool at_end;
    uint64_t last;

    uv_mutex_lock(&channel->_lock);
    last = sequence_of(channel);
    at_end = cursor->_block == NULL || channel_lag(channel, cursor) == 0;
    uv_mutex_unlock(&channel->_lock);
    return id_of(channel, at_end && !cursor->_last ? last : block_log_place(cursor));
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

/* A message on its way into the logs. */
struct message {
    const struct channel_item *item;
    unsigned bits;                /* the window that it is compressed for; 0: it is not */
    struct frame_part compressed; /* borrowed from the publisher's deflater */
    bool is_event;                /* `event` has all of the event but its ID */
    struct buffer event;
    uint64_t plain_at; /* where it begins in the logs */
    uint64_t deflated_at;
};

/* The work that takes no lock: what nobody reads is not made. */
static void prepare(struct message *message, struct channel *channel,
                    const struct channel_publisher *publisher, const struct channel_item *item)
{
    unsigned bits = atomic_load(&channel->_bits);

    message->item = item;
    message->bits = 0;
    message->is_event = false;
    message->event = (struct buffer){0};
    if (bits != 0 && payload_of(item->parts, item->count) >= publisher->compression_min &&
        deflater_deflate(publisher->deflater, bits, item->parts, item->count, &message->compressed))
        message->bits = bits;
    if (atomic_load(&channel->_has_events))
        message->is_event =
            event_stream_add(&message->event, item->opcode, item->parts, item->count) == 0;
}

/* A message on its way into one of the logs. */
struct form {
    struct channel_log *log;
    const struct frame_part *parts;
    size_t count;
    bool compressed;
    size_t size; /* of the frame, or the event */
    uint8_t *room;
};

static bool is_written(const struct channel *channel, const struct form *form)
{
    return form->log->readers > 0 ||
           (form->log == &channel->_plain && history_keeps(&channel->_history));
}

/* Finds room in the form's log. True also when nobody reads it. */
static bool reserve(struct channel *channel, struct form *form)
{
    form->room = NULL;
    if (!is_written(channel, form))
        return true;
    if (form->size == 0)
        form->size = frame_size(false, payload_of(form->parts, form->count));
    if (!block_log_is_started(&form->log->log) &&
        block_log_start(&form->log->log, sequence_of(channel)) != 0)
        return false;
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

/* An event is its ID, which is known only now, and what was made before. */
static bool reserve_event(struct channel *channel, struct message *message, struct form *form,
                          const char *id, size_t id_len)
{
    if (!is_written(channel, form))
        return true;
    /* Somebody has come since, or there was no memory. */
    if (!message->is_event && event_stream_add(&message->event, message->item->opcode,
                                               message->item->parts, message->item->count) != 0)
        return false;
    message->is_event = true;
    form->size = id_len + message->event.len;
    if (!reserve(channel, form))
        return false;
    memcpy(form->room, id, id_len);
    memcpy(form->room + id_len, message->event.data, message->event.len);
    return true;
}

/* With the lock held. Returns 0, or UV_ENOMEM with nothing published. */
static int publish(struct channel *channel, struct message *message,
                   const struct channel_publisher *publisher)
{
    const struct channel_item *item = message->item;
    struct form plain = {.log = &channel->_plain, .parts = item->parts, .count = item->count};
    struct form deflated = {.log = &channel->_deflated, .parts = item->parts, .count = item->count};
    struct form event = {.log = &channel->_events};
    uint64_t sequence = sequence_of(channel);
    bool keeps = history_keeps(&channel->_history);
    char id[EVENT_STREAM_MAX_ID + 1];
    size_t id_len = 0;

    /* Somebody with a smaller window may have come meanwhile: then this one stays as it is. */
    if (message->bits != 0 && atomic_load(&channel->_bits) >= message->bits) {
        deflated.compressed = true;
        deflated.parts = &message->compressed;
        deflated.count = 1;
    }
    if (channel->_events.readers > 0)
        id_len = event_stream_write_id(id, id_of(channel, sequence + 1));
    if (!reserve(channel, &plain) || !reserve(channel, &deflated) ||
        !reserve_event(channel, message, &event, id, id_len) ||
        (keeps && history_begin(&channel->_history, &channel->_plain.log, sequence) != 0))
        return UV_ENOMEM;
    message->plain_at = block_log_end(&channel->_plain.log);
    message->deflated_at = block_log_end(&channel->_deflated.log);
    append(&plain, publisher->encoder, item->opcode);
    append(&deflated, publisher->encoder, item->opcode);
    if (event.room != NULL)
        block_log_commit(&event.log->log, event.size);
    atomic_store_explicit(&channel->_sequence, sequence + 1, memory_order_relaxed);
    if (keeps) {
        history_add(&channel->_history, plain.size, sequence + 1);
        stop_if_unused(channel, &channel->_plain);
    }
    return 0;
}

static void fill_receipt(const struct channel *channel, const struct message *message,
                         struct channel_receipt *receipt)
{
    if (receipt == NULL)
        return;
    receipt->plain_at = message->plain_at;
    receipt->deflated_at = message->deflated_at;
    receipt->id = id_of(channel, sequence_of(channel));
    receipt->subscribers = atomic_load_explicit(&channel->_subscribers, memory_order_relaxed);
}

int channel_publish(struct channel *channel, const struct channel_publisher *publisher,
                    enum frame_opcode opcode, const struct frame_part *parts, size_t count,
                    struct channel_receipt *receipt)
{
    struct channel_item item = {opcode, parts, count};
    struct message message;
    int status;

    prepare(&message, channel, publisher, &item);
    uv_mutex_lock(&channel->_lock);
    status = publish(channel, &message, publisher);
    if (status == 0) {
        fill_receipt(channel, &message, receipt);
        tell_listeners(channel);
    }
    uv_mutex_unlock(&channel->_lock);
    buffer_deinit(&message.event);
    history_relieve(&channel->_history);
    return status;
}

int channel_publish_all(struct channel *channel, const struct channel_publisher *publisher,
                        const struct channel_item *items, size_t count, size_t *published,
                        struct channel_receipt *receipt)
{
    struct message message = {0};
    int status = 0;

    *published = 0;
    uv_mutex_lock(&channel->_lock);
    while (*published < count && status == 0) {
        prepare(&message, channel, publisher, &items[*published]);
        status = publish(channel, &message, publisher);
        buffer_deinit(&message.event);
        *published += status == 0 ? 1 : 0;
    }
    fill_receipt(channel, &message, receipt);
    if (*published > 0)
        tell_listeners(channel);
    uv_mutex_unlock(&channel->_lock);
    history_relieve(&channel->_history);
    return status;
}

/* ---- looking ---- */

void channel_info(struct channel *channel, struct channel_info *info)
{
    uv_mutex_lock(&channel->_lock);
    info->last = id_of(channel, sequence_of(channel));
    info->subscribers = atomic_load(&channel->_subscribers);
    info->messages = history_messages(&channel->_history, sequence_of(channel));
    info->bytes = history_bytes(&channel->_history);
    uv_mutex_unlock(&channel->_lock);
}

struct event_id channel_last_id(const struct channel *channel)
{
    return id_of(channel, sequence_of(channel));
}

uint64_t channel_appended(const struct channel *channel)
{
    return block_log_end(&channel->_plain.log) + block_log_end(&channel->_deflated.log) +
           block_log_end(&channel->_events.log);
}

int channel_look_back(struct channel *channel, const struct channel_since *since,
                      struct block_cursor *cursor, struct event_id *start)
{
    uint64_t begin;
    int status;

    *cursor = (struct block_cursor){0};
    uv_mutex_lock(&channel->_lock);
    status = begin_of(channel, since, &begin);
    if (status == 0 && begin < sequence_of(channel))
        block_log_copy(&channel->_history._cursor, cursor);
    uv_mutex_unlock(&channel->_lock);
    if (status != 0)
        return status;
    *start = id_of(channel, begin);
    if (cursor->_block != NULL)
        block_log_seek(cursor, begin);
    return 0;
}

bool channel_next(struct block_cursor *cursor, struct channel_message *message)
{
    struct block_unit unit;
    struct frame_part payload;

    if (cursor->_block == NULL || !block_log_unit(cursor, &unit))
        return false;
    message->opcode = frame_look(unit.data, &payload);
    message->payload = payload.data;
    message->len = payload.len;
    cursor->_offset += (uint32_t) unit.len; /* it leaves the block when the next is looked at */
    return true;
}

/* ---- history ---- */

void channel_expire(struct channel *channel)
{
    uv_mutex_lock(&channel->_lock);
    history_expire(&channel->_history, sequence_of(channel));
    stop_if_unused(channel, &channel->_plain);
    uv_mutex_unlock(&channel->_lock);
}

bool channel_retains(struct channel *channel)
{
    bool retains;

    uv_mutex_lock(&channel->_lock);
    retains = !history_is_empty(&channel->_history);
    uv_mutex_unlock(&channel->_lock);
    return retains;
}

void channel_drop_block(struct channel *channel)
{
    uv_mutex_lock(&channel->_lock);
    history_drop_block(&channel->_history);
    stop_if_unused(channel, &channel->_plain);
    uv_mutex_unlock(&channel->_lock);
}

struct channel *channel_of_note(const struct block_note *note)
{
    return container_of(note->log, struct channel, _plain.log);
}

#include "server/broadcast/publication.h"

#include <stdlib.h>
#include <string.h>

#include "server/broadcast/event_stream.h"
#include "server/metrics/counters.h"

int publication_init(struct publication *publication, const struct channel_item *items,
                     size_t count)
{
    struct publication_message *messages = &publication->_one;

    if (count > 1)
        messages = malloc(count * sizeof *messages);
    if (messages == NULL)
        return UV_ENOMEM;
    publication->count = count;
    publication->bits = 0;
    publication->has_events = false;
    publication->_messages = messages;
    publication->_events = (struct buffer){0};
    for (size_t i = 0; i < count; i++) {
        messages[i].item = &items[i];
        messages[i].payload = 0;
        messages[i].deflated = (struct frame_part){NULL, 0};
        for (size_t j = 0; j < items[i].count; j++)
            messages[i].payload += items[i].parts[j].len;
    }
    return 0;
}

void publication_deinit(struct publication *publication)
{
    if (publication->_messages != &publication->_one)
        free(publication->_messages);
    if (publication->_events.data != NULL)
        buffer_deinit(&publication->_events);
}

void publication_deflate(struct publication *publication, const struct channel_publisher *publisher,
                         unsigned bits)
{
    struct publication_message *messages = publication->_messages;
    size_t payload = 0;

    for (size_t i = 0; i < publication->count; i++)
        payload += messages[i].payload >= publisher->compression_min ? messages[i].payload : 0;
    deflater_start(publisher->deflater, payload);
    for (size_t i = 0; i < publication->count; i++) {
        const struct channel_item *item = messages[i].item;

        if (messages[i].payload >= publisher->compression_min)
            (void) deflater_add(publisher->deflater, bits, item->parts, item->count,
                                &messages[i].deflated);
        if (messages[i].deflated.data != NULL && publisher->counters != NULL) {
            counters_add(&publisher->counters->deflated, messages[i].payload);
            counters_add(&publisher->counters->deflated_out, messages[i].deflated.len);
        }
    }
    publication->bits = bits;
}

int publication_add_events(struct publication *publication)
{
    struct buffer *events = &publication->_events;

    events->len = 0;
    for (size_t i = 0; i < publication->count; i++) {
        struct publication_message *message = &publication->_messages[i];
        const struct channel_item *item = message->item;
        int status;

        message->event = events->len;
        status = event_stream_add(events, item->opcode, item->parts, item->count);
        if (status != 0) /* out of memory */
            return status;
        message->event_len = events->len - message->event;
    }
    publication->has_events = true;
    return 0;
}

void publication_unit(const struct publication *publication, size_t i, enum channel_log_kind log,
                      struct frame_part id, struct publication_unit *unit)
{
    const struct publication_message *message = &publication->_messages[i];

    unit->log = log;
    unit->opcode = message->item->opcode;
    /* An event stream has published nothing. */
    unit->publisher = log != CHANNEL_LOG_EVENTS ? message->item->connection : 0;
    unit->compressed =
        log == CHANNEL_LOG_DEFLATED && publication->bits != 0 && message->deflated.data != NULL;
    unit->line = (struct frame_part){NULL, 0};
    if (log == CHANNEL_LOG_EVENTS) {
        unit->_own[0] = id;
        unit->_own[1] =
            (struct frame_part){publication->_events.data + message->event, message->event_len};
        unit->parts = unit->_own;
        unit->count = 2;
        unit->size = id.len + message->event_len;
    } else if (unit->compressed) {
        unit->parts = &message->deflated;
        unit->count = 1;
        unit->size = frame_size(false, message->deflated.len);
    } else if (log == CHANNEL_LOG_IDS) {
        unit->line = event_stream_id_alone(id);
        unit->parts = message->item->parts;
        unit->count = message->item->count;
        unit->size = frame_size(false, unit->line.len + message->payload);
    } else {
        unit->parts = message->item->parts;
        unit->count = message->item->count;
        unit->size = frame_size(false, message->payload);
    }
}

/* The header of a frame with its ID, and that. Returns their length. */
static size_t write_id_head(const struct publication_unit *unit, uint8_t *out)
{
    uint64_t payload = unit->line.len;
    size_t header;

    for (size_t i = 0; i < unit->count; i++)
        payload += unit->parts[i].len;
    header = frame_write_header(out, unit->opcode, true, payload);
    memcpy(out + header, unit->line.data, unit->line.len);
    return header + unit->line.len;
}

void publication_write(const struct publication_unit *unit, struct frame_encoder *encoder,
                       uint8_t *out)
{
    if (unit->log == CHANNEL_LOG_PLAIN || unit->log == CHANNEL_LOG_DEFLATED) {
        /* Without a masking key there is nothing that could fail. */
        (void) frame_encode(encoder, out, unit->opcode, unit->compressed, unit->parts, unit->count);
        return;
    }
    if (unit->log == CHANNEL_LOG_IDS)
        out += write_id_head(unit, out);
    for (size_t i = 0; i < unit->count; i++) {
        if (unit->parts[i].len > 0)
            memcpy(out, unit->parts[i].data, unit->parts[i].len);
        out += unit->parts[i].len;
    }
}

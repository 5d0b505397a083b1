/* What is published together, made ready before the channel's lock is taken: its messages, deflated
 * and as text of an event stream where that is read. Under the lock each is only copied into
 * the logs. Compressed payloads lie in the publisher's deflater; text of events in a buffer of the
 * publication; payloads where the publisher has them. */
#ifndef WS_SERVER_BROADCAST_PUBLICATION_H
#define WS_SERVER_BROADCAST_PUBLICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/websocket/frame.h"
#include "server/broadcast/channel.h"

/* A message, and where its other forms are. */
struct publication_message {
    const struct channel_item *item;
    size_t payload;             /* bytes of all its parts */
    struct frame_part deflated; /* {NULL}: it goes out as it is */
    size_t event;               /* where in `_events` its text begins: all but its ID */
    size_t event_len;
};

struct publication {
    size_t count;
    unsigned bits;   /* of the window that it is deflated for; 0: it is not */
    bool has_events; /* the text of events is made */
    struct publication_message *_messages;
    struct publication_message _one; /* where there is but one */
    struct buffer _events;
};

/* A message as it will lie in a log; borrowed from the publication. */
struct publication_unit {
    enum channel_log_kind log;
    enum frame_opcode opcode;
    bool compressed;
    uint64_t publisher; /* its number for the log's index, or 0 */
    size_t size;
    const struct frame_part *parts; /* of a frame's payload, or of an event */
    size_t count;
    struct frame_part line; /* what precedes the parts, or {NULL} */
    struct frame_part _own[2];
};

/* `items`, at least one, are borrowed. Returns 0 or UV_ENOMEM. */
int publication_init(struct publication *publication, const struct channel_item *items,
                     size_t count);
void publication_deinit(struct publication *publication);

/* Deflates what is worth it, in the time that a deflater has (deflater_start), for windows of
 * 2^`bits` bytes. */
void publication_deflate(struct publication *publication, const struct channel_publisher *publisher,
                         unsigned bits);

/* Makes the text of events. Returns 0, or UV_ENOMEM with none made. */
int publication_add_events(struct publication *publication);

/* The i-th message as a unit of this log. `id` is the first line of its event
 * (event_stream_write_id), for events and frames with IDs alone. The
 * unit must not be moved. */
void publication_unit(const struct publication *publication, size_t i, enum channel_log_kind log,
                      struct frame_part id, struct publication_unit *unit);

/* Writes the unit to `out`, which has room for its `size`. */
void publication_write(const struct publication_unit *unit, struct frame_encoder *encoder,
                       uint8_t *out);

#endif

/* Messages of the past, rendered in pieces for a reader that gets them in another form than the log
 * has them: as events, or as JSON. A message may be long, and what it becomes several times longer:
 * no more is made than there is room for, also within one message.
 *
 *     history ──[ f101 ][ f102 ……………………………… ][ f103 ]──►
 *                         ▲ the cursor: so much of f102 is rendered
 *
 * The cursor stays within a message while part of it is rendered. So it holds what is yet to be
 * read, as every cursor does, and all that is known of a cursor (place, lag) is true of this one.
 */
#ifndef WS_SERVER_BROADCAST_REPLAY_H
#define WS_SERVER_BROADCAST_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/websocket/event_id.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/event_stream.h"

enum replay_encoding {
    REPLAY_EVENTS, /* of an event stream */
    REPLAY_JSON,   /* an object with the members id, type, and data or base64 */
    REPLAY_IDS,    /* a frame with a line of the ID before the payload; in pieces: fragments, of
                      which each is a whole frame (RFC 6455, 5.4) */
};

enum { REPLAY_MIN_ROOM = 128 }; /* bytes in which rendering gets on */

/* How much of the message at the cursor is rendered; {0}: nothing. */
struct replay {
    struct event_stream_progress _progress; /* also of JSON */
    size_t _within;                         /* bytes of its frame that the cursor has passed */
};

/* True while a message is rendered in part. The cursor is not to be moved then. */
static inline bool replay_is_within(const struct replay *replay)
{
    return replay->_within > 0;
}

/* Appends the message at the cursor (see channel_look), which has this ID, or what is left of it.
 * Returns 0 with the cursor behind the message; UV_EAGAIN when `out` has `most` bytes or nearly so
 * (within REPLAY_MIN_ROOM): call again for what is left, when there is room; UV_ENOENT when there
 * is no message; or UV_ENOMEM. */
int replay_message(struct replay *replay, enum replay_encoding encoding,
                   struct block_cursor *cursor, struct event_id id, struct buffer *out,
                   size_t most);

/* True if the whole message at the cursor takes at most `most` bytes as JSON. It is measured where
 * a bound does not tell; but none that is longer than `most`. */
bool replay_json_fits(const struct channel_message *message, size_t most);

#endif

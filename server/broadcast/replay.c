#include "server/broadcast/replay.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/base/base64.h"
#include "common/base/json.h"

enum { JSON_FRAME = 80 }; /* bytes of an object around its payload, at the most */

_Static_assert((int) REPLAY_MIN_ROOM >= (int) EVENT_STREAM_MIN_ROOM + (int) EVENT_STREAM_MAX_ID,
               "an event gets on");

bool replay_json_fits(const struct channel_message *message, size_t most)
{
    if (message->opcode != FRAME_TEXT)
        return base64_size(message->len) + JSON_FRAME <= most;
    return message->len <= most &&
           (message->len * JSON_MAX_ESCAPE + JSON_FRAME <= most ||
            json_string_size(message->payload, message->len, most) + JSON_FRAME <= most);
}

static size_t write_json(uint8_t *out, size_t room, const struct channel_message *message,
                         struct event_id id, struct event_stream_progress *progress)
{
    bool text = message->opcode == FRAME_TEXT;
    size_t left = message->len - progress->used, written = 0, used;
    char shown[EVENT_ID_SIZE];

    if (!progress->begun)
        written = (size_t) snprintf(
            (char *) out, room, "{\"id\": \"%s\", \"type\": \"%s\", \"%s\": \"",
            event_id_print(id, shown), text ? "text" : "binary", text ? "data" : "base64");
    progress->begun = true;
    if (text)
        written += json_escape(out + written, room - written, message->payload + progress->used,
                               left, &used);
    else
        written += base64_write(out + written, room - written, message->payload + progress->used,
                                left, &used);
    progress->used += used;
    if (progress->used < message->len || room - written < 2)
        return written;
    progress->done = true;
    out[written++] = '"';
    out[written++] = '}';
    return written;
}

static size_t write_frame(uint8_t *out, size_t room, const struct channel_message *message,
                          struct event_id id, struct event_stream_progress *progress)
{
    char text[EVENT_STREAM_MAX_ID + 1];
    struct frame_part line = {text, 0};
    size_t left = message->len - progress->used, payload, header;
    bool first = !progress->begun;

    if (first) {
        line.len = event_stream_write_id(text, id);
        line = event_stream_id_alone(line);
    }
    payload = room - FRAME_MAX_HEADER - line.len;
    if (payload > left)
        payload = left;
    progress->begun = true;
    progress->used += payload;
    progress->done = progress->used == message->len;
    header = frame_write_header(out, first ? message->opcode : FRAME_CONTINUATION, progress->done,
                                line.len + payload);
    if (first)
        memcpy(out + header, line.data, line.len);
    memcpy(out + header + line.len, message->payload + progress->used - payload, payload);
    return header + line.len + payload;
}

static size_t write_event(uint8_t *out, size_t room, const struct channel_message *message,
                          struct event_id id, const struct replay *replay,
                          struct event_stream_progress *progress)
{
    char line[EVENT_STREAM_MAX_ID + 1];
    size_t written = 0;

    if (!replay_is_within(replay)) {
        written = event_stream_write_id(line, id);
        memcpy(out, line, written);
    }
    return written + event_stream_write(out + written, room - written, message->opcode,
                                        message->payload, message->len, progress);
}

int replay_message(struct replay *replay, enum replay_encoding encoding,
                   struct block_cursor *cursor, struct event_id id, struct buffer *out, size_t most)
{
    struct channel_message message;
    size_t room, enough, within;

    if (!channel_look(cursor, replay->_within, &message))
        return UV_ENOENT;
    if (most < out->len || most - out->len < REPLAY_MIN_ROOM)
        return UV_EAGAIN;
    room = most - out->len;
    enough = (message.len - replay->_progress.used) * JSON_MAX_ESCAPE + 2 * REPLAY_MIN_ROOM;
    if (room > enough)
        room = enough;
    if (buffer_reserve(out, room) != 0)
        return UV_ENOMEM;
    if (encoding == REPLAY_JSON)
        out->len += write_json(out->data + out->len, room, &message, id, &replay->_progress);
    else if (encoding == REPLAY_IDS)
        out->len += write_frame(out->data + out->len, room, &message, id, &replay->_progress);
    else
        out->len +=
            write_event(out->data + out->len, room, &message, id, replay, &replay->_progress);
    /* A frame has at least two bytes beside its payload: before the end, the cursor stands within.
     */
    within = replay->_progress.done ? message.size : replay->_progress.used + 1;
    block_log_advance(cursor, within - replay->_within);
    replay->_within = within;
    if (!replay->_progress.done)
        return UV_EAGAIN;
    *replay = (struct replay){0};
    return 0;
}

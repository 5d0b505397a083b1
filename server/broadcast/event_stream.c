#include "server/broadcast/event_stream.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/base/base64.h"

static const char binary_begin[] = "event: binary\ndata: ";

enum {
    WINDOW = 512, /* bytes that are searched for the end of a line at a time */
    BINARY_BEGIN = sizeof binary_begin - 1 /* bytes of it */
};

size_t event_stream_write_id(char out[EVENT_STREAM_MAX_ID + 1], struct event_id id)
{
    char text[EVENT_ID_SIZE];

    return (size_t) snprintf(out, EVENT_STREAM_MAX_ID + 1, "id: %s\n", event_id_print(id, text));
}

struct frame_part event_stream_id_alone(struct frame_part line)
{
    const size_t name = strlen("id: ");

    return (struct frame_part){(const char *) line.data + name, line.len - name};
}

/* ---- lines ---- */

static bool ends_line(uint8_t byte)
{
    return byte == '\n' || byte == '\r';
}

/* How many bytes precede the first CR or LF, or all. In windows: a text with many of one and none
 * of the other would be searched to its end for each line. */
static size_t line_length(const uint8_t *text, size_t len)
{
    if (len > 0 && ends_line(text[0]))
        return 0;
    for (size_t at = 0; at < len; at += WINDOW) {
        size_t window = len - at < WINDOW ? len - at : WINDOW;
        const uint8_t *newline = memchr(text + at, '\n', window);
        const uint8_t *end;

        if (newline != NULL)
            window = (size_t) (newline - (text + at));
        end = memchr(text + at, '\r', window);
        if (end == NULL)
            end = newline;
        if (end != NULL)
            return (size_t) (end - text);
    }
    return len;
}

/* Bytes of the CR, LF or CRLF that the text begins with. */
static size_t terminator_length(const uint8_t *text, size_t len)
{
    return len > 1 && text[0] == '\r' && text[1] == '\n' ? 2 : 1;
}

/* A line is "data:", a space and the text if there is any, and a newline. */
static size_t lines_size(const uint8_t *text, size_t len)
{
    size_t at = line_length(text, len), lines = 1, filled = at > 0 ? 1 : 0, terminators = 0;

    while (at < len) {
        terminators++;
        lines += text[at] == '\n' && at > 0 && text[at - 1] == '\r' ? 0 : 1;
        at++;
        if (at < len && !ends_line(text[at])) {
            filled++;
            at += line_length(text + at, len - at);
        }
    }
    return 6 * lines + filled + len - terminators;
}

size_t event_stream_size(enum frame_opcode opcode, const void *payload, size_t len)
{
    if (opcode == FRAME_TEXT)
        return lines_size(payload, len) + 1;
    return BINARY_BEGIN + base64_size(len) + 2;
}

/* ---- in pieces ---- */

static size_t put(uint8_t *out, const void *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return len;
}

/* Writes what follows of a text, whose end is not written yet, or as much of a line as there is
 * room for. */
static size_t write_line(uint8_t *out, size_t room, const uint8_t *text, size_t len,
                         struct event_stream_progress *progress)
{
    const uint8_t *rest = text + progress->used;
    size_t left = len - progress->used, line, written = 0;

    line = line_length(rest, left < room ? left : room);
    if (!progress->in_line)
        written = put(out, "data: ", line > 0 ? 6 : 5);
    progress->in_line = true;
    if (line > room - written)
        line = room - written;
    written += put(out + written, rest, line);
    progress->used += line;
    left -= line;
    rest += line;
    if (room - written < 2 || (left > 0 && !ends_line(rest[0])))
        return written;
    progress->in_line = false;
    out[written++] = '\n';
    if (left > 0) {
        progress->used += terminator_length(rest, left);
        return written;
    }
    out[written++] = '\n';
    progress->done = true;
    return written;
}

static size_t write_text(uint8_t *out, size_t room, const uint8_t *text, size_t len,
                         struct event_stream_progress *progress)
{
    size_t written = 0;

    /* The longest that cannot be cut: "data: ", a byte, and two newlines. */
    while (!progress->done && room - written > 8)
        written += write_line(out + written, room - written, text, len, progress);
    return written;
}

/* The end is two newlines. */
static size_t write_binary(uint8_t *out, size_t room, const uint8_t *data, size_t len,
                           struct event_stream_progress *progress)
{
    size_t written = 0, used;

    if (!progress->begun && room >= BINARY_BEGIN) {
        written = put(out, binary_begin, BINARY_BEGIN);
        progress->begun = true;
    }
    if (!progress->begun || room - written < 3)
        return written;
    written += base64_write(out + written, room - written - 2, data + progress->used,
                            len - progress->used, &used);
    progress->used += used;
    if (progress->used < len)
        return written;
    progress->done = true;
    return written + put(out + written, "\n\n", 2);
}

size_t event_stream_write(uint8_t *out, size_t room, enum frame_opcode opcode, const void *payload,
                          size_t len, struct event_stream_progress *progress)
{
    if (progress->done)
        return 0;
    if (opcode == FRAME_TEXT)
        return write_text(out, room, payload, len, progress);
    return write_binary(out, room, payload, len, progress);
}

/* ---- whole ---- */

/* The payload in one piece; `*joined` is the caller's to deinit. */
static int join(struct buffer *joined, const struct frame_part *parts, size_t count,
                struct frame_part *whole)
{
    int status = 0;

    *whole = count > 0 ? parts[0] : (struct frame_part){"", 0};
    for (size_t i = 0; i < count && count > 1 && status == 0; i++)
        status = buffer_append(joined, parts[i].data, parts[i].len);
    if (count > 1)
        *whole = (struct frame_part){joined->data, joined->len};
    if (whole->len == 0)
        *whole = (struct frame_part){"", 0};
    return status;
}

int event_stream_add(struct buffer *out, enum frame_opcode opcode, const struct frame_part *parts,
                     size_t count)
{
    struct event_stream_progress progress = {0};
    struct buffer joined = {0};
    struct frame_part whole;
    size_t size;
    int status = join(&joined, parts, count, &whole);

    if (status == 0) {
        size = event_stream_size(opcode, whole.data, whole.len) + EVENT_STREAM_MIN_ROOM;
        status = buffer_reserve(out, size);
    }
    if (status == 0)
        out->len += event_stream_write(out->data + out->len, size, opcode, whole.data, whole.len,
                                       &progress);
    buffer_deinit(&joined);
    return status;
}

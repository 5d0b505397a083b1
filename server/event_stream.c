#include "server/event_stream.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

size_t event_stream_write_id(char out[EVENT_STREAM_MAX_ID + 1], struct event_id id)
{
    char text[EVENT_ID_SIZE];

    return (size_t) snprintf(out, EVENT_STREAM_MAX_ID + 1, "id: %s\n", event_id_print(id, text));
}

/* Where the line that begins at `text` ends, of `len` bytes; `*past` is where the next begins, or
 * behind the end if there is none. A line ends with CR, LF or both. */
static size_t line_end(const uint8_t *text, size_t len, size_t *past)
{
    size_t end = 0;

    while (end < len && text[end] != '\n' && text[end] != '\r')
        end++;
    *past = end + 1;
    if (end + 1 < len && text[end] == '\r' && text[end + 1] == '\n')
        (*past)++;
    return end;
}

static int add_text(struct buffer *out, const uint8_t *text, size_t len)
{
    size_t past = 0;
    int status = 0;

    for (size_t at = 0; at <= len && status == 0; at += past) {
        size_t end = line_end(text + at, len - at, &past);

        status = buffer_append(out, "data: ", 6);
        if (status == 0 && end > 0)
            status = buffer_append(out, text + at, end);
        if (status == 0)
            status = buffer_append(out, "\n", 1);
    }
    return status;
}

static int add_binary(struct buffer *out, const uint8_t *data, size_t len)
{
    int status = buffer_append(out, "event: binary\ndata: ", 20);

    if (status == 0)
        status = buffer_reserve(out, (len + 2) / 3 * 4 + 1);
    if (status != 0)
        return status;
    out->len += (size_t) EVP_EncodeBlock(out->data + out->len, data, (int) len);
    return buffer_append(out, "\n", 1);
}

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
    struct buffer joined = {0};
    size_t before = out->len;
    struct frame_part whole;
    int status = join(&joined, parts, count, &whole);

    if (status == 0)
        status = opcode == FRAME_TEXT ? add_text(out, whole.data, whole.len)
                                      : add_binary(out, whole.data, whole.len);
    if (status == 0)
        status = buffer_append(out, "\n", 1);
    if (status != 0)
        out->len = before;
    buffer_deinit(&joined);
    return status;
}

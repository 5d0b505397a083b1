#include "server/http/http_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "server/broadcast/replay.h"

enum {
    MAX_PAGE = 1024 * 1024, /* bytes of JSON, but at least one message */
    CHUNK_HEAD = 10,        /* the size of a chunk as eight digits, and CRLF */
    MARGIN = 256,           /* bytes of the page beside its messages, and of a chunk */
};

struct http_page {
    struct channels *channels;
    struct channel *channel;
    struct block_cursor cursor;
    struct replay replay;
    struct event_id start;
    struct event_id id;   /* of the last message begun */
    struct event_id last; /* of the channel, at the time of the request */
    size_t limit;
    size_t count;   /* messages begun */
    size_t written; /* bytes, without chunk framing */
    bool begun;
    size_t measured; /* bytes of messages: measuring them takes time as well */
};

int http_page_new(struct http_page **page, struct channels *channels, struct channel *channel,
                  struct block_cursor *cursor, struct event_id start, size_t limit)
{
    struct http_page *fresh = malloc(sizeof *fresh);

    if (fresh == NULL) {
        block_log_leave(cursor);
        channels_unref(channels, channel);
        return UV_ENOMEM;
    }
    *fresh = (struct http_page){
        .channels = channels,
        .channel = channel,
        .cursor = *cursor,
        .start = start,
        .id = start,
        .last = channel_last_id(channel),
        .limit = limit,
    };
    *cursor = (struct block_cursor){0};
    *page = fresh;
    return 0;
}

void http_page_free(struct http_page *page)
{
    if (page == NULL)
        return;
    block_log_leave(&page->cursor);
    channels_unref(page->channels, page->channel);
    free(page);
}

size_t http_page_take_measured(struct http_page *page)
{
    size_t measured = page->measured;

    page->measured = 0;
    return measured;
}

uint64_t http_page_pinned(const struct http_page *page)
{
    uint64_t messages;

    return page->cursor._block != NULL
               ? channel_beyond_history(page->channel, &page->cursor, &messages)
               : 0;
}

/* ---- in pieces ---- */

static int begin(struct http_page *page, struct buffer *out)
{
    char id[EVENT_ID_SIZE], start[EVENT_ID_SIZE];

    page->begun = true;
    return buffer_printf(out, "{\"id\": \"%s\", \"start\": \"%s\", \"messages\": [",
                         event_id_print(page->last, id), event_id_print(page->start, start));
}

static int end(const struct http_page *page, struct buffer *out)
{
    char id[EVENT_ID_SIZE];

    if (page->id.sequence < page->last.sequence)
        return buffer_printf(out, "], \"next\": \"%s\"}\n", event_id_print(page->id, id));
    return buffer_append(out, "], \"next\": null}\n", 17);
}

/* True when the page, of which `written` bytes are written, has no room for a further message, or
 * there is none. */
static bool is_full(struct http_page *page, size_t written)
{
    struct channel_message message;

    if (page->count == page->limit || page->id.sequence >= page->last.sequence ||
        !channel_look(&page->cursor, 0, &message))
        return true;
    if (page->count > 0)
        page->measured += message.len;
    return page->count > 0 && (written + MARGIN >= MAX_PAGE ||
                               !replay_json_fits(&message, MAX_PAGE - MARGIN - written));
}

/* Appends messages. Returns 0 when all are written, UV_EAGAIN when `out` is full, or UV_ENOMEM. */
static int append_messages(struct http_page *page, struct buffer *out, size_t most)
{
    size_t before = out->len;
    int status = 0;

    while (status == 0) {
        if (!replay_is_within(&page->replay)) {
            if (is_full(page, page->written + out->len - before))
                return 0;
            if (out->len + REPLAY_MIN_ROOM + 2 > most)
                return UV_EAGAIN;
            status = page->count++ > 0 ? buffer_append(out, ", ", 2) : 0;
            page->id.sequence++;
        }
        if (status == 0)
            status = replay_message(&page->replay, REPLAY_JSON, &page->cursor, page->id, out, most);
    }
    return status;
}

/* Appends what there is room for. Returns as above. */
static int append(struct http_page *page, struct buffer *out, size_t most)
{
    size_t before = out->len;
    int status = page->begun ? 0 : begin(page, out);

    if (status == 0)
        status = append_messages(page, out, most);
    if (status == 0)
        status = end(page, out);
    page->written += out->len - before;
    return status;
}

/* The chunk that begins at `at` is complete. */
static int end_chunk(struct buffer *out, size_t at, bool last)
{
    size_t len = out->len - at - CHUNK_HEAD;
    char head[CHUNK_HEAD + 1];

    if (len == 0) {
        out->len = at; /* an empty chunk would end the body */
        return 0;
    }
    (void) snprintf(head, sizeof head, "%08x\r\n", (unsigned) len);
    memcpy(out->data + at, head, CHUNK_HEAD);
    return buffer_append(out, last ? "\r\n0\r\n\r\n" : "\r\n", last ? 7 : 2);
}

int http_page_write(struct http_page *page, struct buffer *out, size_t most, bool chunked,
                    bool *done)
{
    static const char room[CHUNK_HEAD] = {0};
    size_t at = out->len;
    int status = 0;

    *done = false;
    if (out->len + 2 * MARGIN > most)
        return 0;
    if (chunked)
        status = buffer_append(out, room, CHUNK_HEAD);
    if (status == 0)
        status = append(page, out, most - MARGIN);
    *done = status == 0;
    if (status == UV_EAGAIN)
        status = 0;
    return status == 0 && chunked ? end_chunk(out, at, *done) : status;
}

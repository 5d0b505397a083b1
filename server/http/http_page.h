/* A page of a channel's messages, as JSON, written in pieces as the connection takes them: as long
 * as it is being written it holds its channel and what it has yet to read of the history (whatever
 * expires meanwhile), and nothing else. */
#ifndef WS_SERVER_HTTP_HTTP_PAGE_H
#define WS_SERVER_HTTP_HTTP_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "server/broadcast/channels.h"

struct http_page;

/* A page that begins behind `start`, where the cursor of channel_look_back stands, and has `limit`
 * messages at most, and 1 MiB unless it is one message. Takes the cursor, and a reference to the
 * channel, in any case. Returns 0 or UV_ENOMEM. */
int http_page_new(struct http_page **page, struct channels *channels, struct channel *channel,
                  struct block_cursor *cursor, struct event_id start, size_t limit);
void http_page_free(struct http_page *page);

/* Appends what follows, until `out` has `most` bytes, or nearly so: as one chunk (RFC 9112, 7.1),
 * or with `chunked` false as it is. `*done` becomes true with the last piece, after which nothing
 * is to be called but http_page_free. Returns 0 or UV_ENOMEM. */
int http_page_write(struct http_page *page, struct buffer *out, size_t most, bool chunked,
                    bool *done);

/* Bytes of messages that were measured, and perhaps not written, since the last call. */
size_t http_page_take_measured(struct http_page *page);

/* Bytes of the log that the page has yet to read and that the history does not hold any more. Takes
 * the channel's lock. */
uint64_t http_page_pinned(const struct http_page *page);

#endif

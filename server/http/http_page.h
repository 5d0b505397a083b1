/* A page of a channel's messages, as JSON, written in pieces as the connection takes them. While it
 * is being written it holds its channel, and the part of the log that it has yet to read, even if
 * that expires meanwhile; nothing else. */
#ifndef WS_SERVER_HTTP_HTTP_PAGE_H
#define WS_SERVER_HTTP_HTTP_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "server/broadcast/channels.h"

struct http_page;

/* A page that begins after `start`, where the cursor of channel_look_back stands, and has at most
 * `limit` messages and 1 MiB (but at least one message). Takes the cursor, and a reference to the
 * channel, in any case. Returns 0 or UV_ENOMEM. */
int http_page_new(struct http_page **page, struct channels *channels, struct channel *channel,
                  struct block_cursor *cursor, struct event_id start, size_t limit);
void http_page_free(struct http_page *page);

/* Appends the next piece, until `out` has about `most` bytes: as one chunk (RFC 9112, 7.1), or
 * without framing if `chunked` is false. `*done` becomes true with the last piece; after it only
 * http_page_free may be called. Returns 0 or UV_ENOMEM. */
int http_page_write(struct http_page *page, struct buffer *out, size_t most, bool chunked,
                    bool *done);

/* Bytes of messages whose length as JSON was determined, written or not, since the last call. */
size_t http_page_take_measured(struct http_page *page);

/* Bytes of the log that only the page keeps: it has yet to read them, and the history has dropped
 * them. Takes the channel's lock. */
uint64_t http_page_pinned(const struct http_page *page);

#endif

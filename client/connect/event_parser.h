/* Bytes in, events of Server-Sent Events out (WHATWG HTML, 9.2.6), without a socket. Comments are
 * passed over; lines end in LF, CR or CRLF. */
#ifndef WS_CLIENT_CONNECT_EVENT_PARSER_H
#define WS_CLIENT_CONNECT_EVENT_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

/* What an empty line ends. All of it is borrowed for the call. */
struct event {
    const char *type; /* "message" where the server says none */
    const char *id;   /* NULL: it says none */
    const uint8_t *data;
    size_t len;
    bool has_data; /* else it is no event, and says where the next one begins */
};

struct event_parser_ops {
    /* False when no more is wanted. */
    bool (*on_event)(void *owner, const struct event *event);
    /* The server wants so many milliseconds between two connections. */
    void (*on_retry)(void *owner, uint64_t milliseconds);
};

enum event_parser_result {
    EVENT_PARSER_MORE,
    EVENT_PARSER_STOPPED, /* on_event has said so */
    EVENT_PARSER_TOO_LONG,
    EVENT_PARSER_NO_MEMORY,
};

struct event_parser {
    const struct event_parser_ops *_ops;
    void *_owner;
    uint64_t _max;
    struct buffer _line; /* what has come of one */
    struct buffer _data;
    struct buffer _type; /* NUL-terminated, as the next */
    struct buffer _id;
    bool _has_id;
    bool _has_data;
    bool _begun;    /* the first line has been read, where a BOM may stand */
    bool _after_cr; /* an LF belongs to the CR before it */
};

/* Data of more than `max` bytes (0: no limit) is too long. `ops` and `owner` are borrowed. */
void event_parser_init(struct event_parser *parser, uint64_t max,
                       const struct event_parser_ops *ops, void *owner);
void event_parser_deinit(struct event_parser *parser);

/* Not after another result than EVENT_PARSER_MORE. */
enum event_parser_result event_parser_feed(struct event_parser *parser, const uint8_t *data,
                                           size_t len);

#endif

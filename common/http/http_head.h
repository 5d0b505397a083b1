/* Bytes in, one HTTP/1 request or response head out (RFC 9112, 2 to 5), parsed by llhttp with all
 * leniency off and capped in size. Interim responses (RFC 9110, 15.2: 1xx but 101) are passed over,
 * up to 16 of them, which together with the final one have the bytes of one head. It lives on the
 * heap for the length of the opening handshake and is gone afterwards. Everything handed out is
 * NUL-terminated and stays valid until http_head_deinit. */
#ifndef WS_COMMON_HTTP_HTTP_HEAD_H
#define WS_COMMON_HTTP_HTTP_HEAD_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum http_head_kind {
    HTTP_HEAD_REQUEST,
    HTTP_HEAD_RESPONSE,
};

enum http_head_result {
    HTTP_HEAD_MORE, /* not complete: feed what comes next */
    HTTP_HEAD_DONE, /* complete: the rest of the input is not part of the head */
    HTTP_HEAD_BAD,  /* cannot be accepted: `status` and `why` are for the response */
};

/* The limits of a head, unless http_head_limit sets others: more is 431, a target that takes more
 * than half of the bytes 414. */
enum {
    HTTP_HEAD_MAX_BYTES = 16 * 1024,
    HTTP_HEAD_MAX_FIELDS = 200,
    HTTP_HEAD_MAX_TARGET = HTTP_HEAD_MAX_BYTES / 2,
};

/* Offsets into the text: the text moves while it grows. */
struct http_field {
    uint32_t _name;
    uint32_t _value;
};

struct http_head {
    int status;        /* of a response; or, after HTTP_HEAD_BAD, for the response to the request */
    const char *why;   /* after HTTP_HEAD_BAD: a phrase for people, static */
    const char *limit; /* if a limit was exceeded: the option that sets it, static; else NULL */
    uint8_t major;     /* HTTP version */
    uint8_t minor;
    bool has_body;   /* a body follows the head */
    bool keep_alive; /* the sender keeps the connection open (RFC 9112, 9.3) */

    llhttp_t _parser;
    struct buffer _text;
    uint32_t _target;
    uint32_t _method;
    uint32_t _reason;
    size_t _complete;   /* bytes of the text that are whole strings */
    size_t _seen;       /* bytes of the head so far */
    const char *_input; /* what is being fed */
    char _before[5];    /* the last bytes that were fed before it */
    bool _version_seen;
    bool _in_value;
    unsigned _interim; /* responses that were passed over */
    size_t _max_bytes;
    size_t _max_fields;
    size_t _count;
    struct buffer _fields; /* of struct http_field */
};

void http_head_init(struct http_head *head, enum http_head_kind kind);
void http_head_deinit(struct http_head *head);

/* Bytes of memory that the head holds in addition to this struct. */
size_t http_head_held(const struct http_head *head);

/* Before the first feed: allows this many bytes and header fields; 0 for no limit. */
void http_head_limit(struct http_head *head, uint64_t bytes, uint64_t fields);

/* Feeds `len` bytes; `*used` says how many of them belong to the head (all, unless it is done).
 * Running out of memory is HTTP_HEAD_BAD with status 503. */
enum http_head_result http_head_feed(struct http_head *head, const uint8_t *data, size_t len,
                                     size_t *used);

/* The method and the target of a request, as sent (RFC 9112, 3); empty until they are complete. */
const char *http_head_method(const struct http_head *head);
const char *http_head_target(const struct http_head *head);

/* The reason phrase of a response; may be empty. */
const char *http_head_reason(const struct http_head *head);

/* How many fields have this name (in any case). */
size_t http_head_count(const struct http_head *head, const char *name);

/* The value of the first field of this name, without the white space around it; NULL if none. */
const char *http_head_get(const struct http_head *head, const char *name);

/* The value of the next field of this name, from `*cursor` on, which is 0 at first; NULL when there
 * is none left. */
const char *http_head_next(const struct http_head *head, const char *name, size_t *cursor);

/* True when `token` is, in any case, a member of the comma-separated list that all fields of this
 * name make together (RFC 9110, 5.6.1). */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);

/* True when the media type is a member of Accept (RFC 9110, 12.5.1), whatever its parameters.
 * Wildcards do not count: a client that takes anything has not asked for this type. */
bool http_head_accepts(const struct http_head *head, const char *type);

#endif

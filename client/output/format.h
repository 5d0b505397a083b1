/* The format of -F: what is printed for a message, in the user's own words.
 *
 *     %p  the payload; a binary one as base64: and its bytes in base64
 *     %x  %X  %b  the payload in hexadecimal (lower, upper case) or base64
 *     %l  its length in bytes         %t  text or binary
 *     %I  when it came, in UTC, RFC 3339 with microseconds
 *     %U  the same in seconds since 1970, with nanoseconds
 *     %r  seconds since wsrecv was started, with microseconds
 *     %{FORMAT}  the same in local time, as strftime makes it of FORMAT
 *     %i  the server's event ID, or nothing       %u  the URL
 *     %n  the number of the message, from 1       %%  a percent sign
 *     \a \e \n \r \t \v \\ as in C, \0 a NUL; \c, at the end: no newline follows
 *
 * It is compiled once; printing allocates nothing but room in the output. */
#ifndef WS_CLIENT_OUTPUT_FORMAT_H
#define WS_CLIENT_OUTPUT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/output/message.h"
#include "client/output/stamp.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

struct format_piece;

struct format {
    struct buffer _literals;
    struct buffer _pieces; /* of struct format_piece */
    bool _unended;         /* \c */
    bool _timed;
    bool _identified;
};

/* Returns 0, UV_EINVAL with a text that names the escape that is unknown, or UV_ENOMEM. */
int format_init(struct format *format, const char *text, struct error *error);
void format_deinit(struct format *format);

/* True when it tells a time: the message must have its times set. */
bool format_is_timed(const struct format *format);

/* True when it tells the event ID: the message must have it set. */
bool format_is_identified(const struct format *format);

/* False when the format ends in \c: nothing is to follow it. */
bool format_is_ended(const struct format *format);

/* What a format tells besides the message itself. */
struct format_context {
    const char *url;
    bool escaped; /* a terminal reads: text is shown without what would act on it */
    uint64_t number;
    struct stamp_cache *stamps;
};

/* Appends what the format makes of the message. Returns 0 or UV_ENOMEM. */
int format_append(const struct format *format, struct buffer *out, const struct message *message,
                  const struct format_context *context);

/* Appends the payload as it stands in a line: text as it is, or fit for a terminal; a binary one as
 * base64: and its bytes in base64. Returns 0 or UV_ENOMEM. */
int format_append_payload(struct buffer *out, const struct message *message, bool escaped);

/* "text" or "binary". */
const char *format_type(const struct message *message);

#endif

/* The response to a request: filled in by a handler, or by whatever refuses the request, and
 * written by the connection. A refusal is one line of text, or a page for a browser; other content
 * is whole, or a page of messages that is written in pieces. */
#ifndef WS_SERVER_HTTP_RESPONSE_H
#define WS_SERVER_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/http/http_head.h"
#include "server/http/http_page.h"
#include "server/syntax/origin.h"

/* Refusals that several places give. */
#define RESPONSE_GOING_AWAY "the server is shutting down: try again later"
#define RESPONSE_OUT_OF_MEMORY "the server is out of memory: try again later"
#define RESPONSE_CHANNEL_NOT_LISTED \
    "this channel does not exist, and this client cannot create channels (--create-channels)"
#define RESPONSE_TOO_MANY_CHANNELS "there are too many channels: try again later"
#define RESPONSE_GAP \
    "messages behind this event ID are not retained any more, and the request says gap=refuse: " \
    "fetch a snapshot, and connect without the ID"
#define RESPONSE_FUTURE_ID \
    "this event ID is newer than any message of the channel: send an ID exactly as received"

struct response {
    int status;
    const char *why;   /* a refusal: one line that says what happened and what to do, static or
                          `text`; NULL: the response has content, or none if `type` is NULL */
    const char *limit; /* the refusal is for a limit: the option that sets it, static; or NULL */
    const char *allow; /* the methods that the target supports (RFC 9110, 10.2.1); borrowed */
    const char *challenge; /* of a 401 or 403: WWW-Authenticate, static; NULL: "Bearer" of a 401 */
    bool by_proxy; /* the refusal is for what a proxy has changed: its operator can mend it */
    bool closes;   /* the connection ends after it, whatever else holds */
    size_t work;   /* bytes that were copied, and as many as that is worth (channel_receipt) */

    const char *type;       /* Content-Type, static */
    const char *fields;     /* further header fields, each with its CRLF, static; or NULL */
    bool revalidates;       /* it may be kept, and asked for again with its ETag */
    const char *endpoint;   /* the page is told this path; borrowed; NULL: it is not the page */
    struct buffer body;     /* whole, */
    struct http_page *page; /* or in pieces, which the caller writes after the head */
    bool chunked;           /* the pieces are chunks */

    const char *origin; /* the page that may read it, borrowed; "*": any; NULL: no page of another
                           origin */
    bool guessed;       /* a 401 for a credential that is not valid: it counts */
    unsigned short retry_after; /* seconds, of a 429 (0: one) or a 503 (0: nobody knows) */
    bool credentials; /* the page may read it though cookies were sent along (Fetch, 3.2) */
    const char *html; /* a browser asks: the path of the endpoint, for the page of a refusal */
    char text[200];   /* much more, and malloc has no use for the holes that openings leave */
};

/* Makes it a refusal; `why` is static, or in `text`. */
void response_refuse(struct response *response, int status, const char *why);
void response_deinit(struct response *response);

/* Fills in which page may read the response, and in which form a refusal is written. `head` is the
 * request's; it need not be complete. `path` is that of the endpoint, `loopback` as in
 * origin_check. */
void response_address(struct response *response, const struct http_head *head, bool complete,
                      const struct origin_policy *origins, bool loopback, const char *path);

/* True for a response to a preflight (Fetch, 4.8) that would refuse it for its target or method,
 * and is for an admitted page: it becomes 204, so that the page can send the request, and read why
 * that is refused. After response_address. */
bool response_is_hidden_preflight(const struct response *response, const struct http_head *head);

/* Appends the response, of a page only its head, and with `head_only` the head of any. A body that
 * was not made, as for HEAD, has no Content-Length. `keep_alive` says whether the connection goes
 * on. Returns 0 or UV_ENOMEM. */
int response_write(struct buffer *out, const struct response *response, bool keep_alive,
                   bool head_only);

/* Appends the head of an event stream, after how long to reconnect (`retry:`, drawn at random), and
 * the ID where it begins, so that a browser that comes back before the first message sends that;
 * `live` is the ID of the newest message. `origin` and `credentials` are as in a response. Returns
 * 0 or UV_ENOMEM. */
int response_write_events(struct buffer *out, const char *origin, bool credentials,
                          struct event_id start, struct event_id live);

#endif

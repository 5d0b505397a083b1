/* What the target of a request names (RFC 9112, 3.2): a path, which may be the endpoint's or that
 * of a channel beneath it, and a query. Pure; everything is borrowed from the target's text. */
#ifndef WS_SERVER_HTTP_REQUEST_TARGET_H
#define WS_SERVER_HTTP_REQUEST_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "server/syntax/channel_name.h"

struct request_target {
    const char *path;
    size_t path_len;
    const char *query; /* behind the '?'; "" if there is none */
    size_t query_len;
};

/* A part of the text; {NULL, 0}: it is not there. */
struct request_target_text {
    const char *data;
    size_t len;
};

/* The name of a channel, decoded. */
struct request_target_channel {
    char name[CHANNEL_NAME_MAX + 1]; /* "": the default one */
    size_t len;
};

/* Takes a target of origin-form or absolute-form apart. Returns 0, or UV_EINVAL for other forms. */
int request_target_parse(struct request_target *resource, const char *text);

/* Decodes percent-encoding (RFC 3986, 2.1); a '%' that encodes nothing stays. Writes up to `size`
 * bytes, and returns how many. */
size_t request_target_decode(struct request_target_text text, char *out, size_t size);

/* True when the path is this one. Unreserved characters are the same whether they are
 * percent-encoded or not (RFC 3986, 6.2.2.2). */
bool request_target_is(const struct request_target *resource, const char *path);

/* Which channel of the endpoint (a path) is meant: what is behind it and a '/', decoded, or "" for
 * the endpoint itself. Returns 0; UV_ENOENT when the path is neither the endpoint nor beneath it;
 * UV_EINVAL when what is beneath it is no channel's name. */
int request_target_channel(const struct request_target *resource, const char *endpoint,
                           struct request_target_channel *channel);

/* The name of a channel as it stands in a URL, decoded. Returns 0 or UV_EINVAL. */
int request_target_parse_channel(struct request_target_text text,
                                 struct request_target_channel *channel);

/* The value of a parameter of the query, as it stands there: nothing is decoded. Returns 0 (the
 * value is NULL when there is no such parameter), or UV_EINVAL when there are several. */
int request_target_parameter(const struct request_target *resource, const char *name,
                             struct request_target_text *value);

#endif

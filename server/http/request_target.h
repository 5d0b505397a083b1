/* The target of a request (RFC 9112, 3.2): a path, which may be that of the endpoint or of a
 * channel beneath it, and a query. Pure; everything is borrowed from the text of the target. */
#ifndef WS_SERVER_HTTP_REQUEST_TARGET_H
#define WS_SERVER_HTTP_REQUEST_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "server/syntax/channel_name.h"

struct request_target {
    const char *path;
    size_t path_len;
    const char *query; /* after the '?'; "" if there is none */
    size_t query_len;
};

/* A part of the text; {NULL, 0}: absent. */
struct request_target_text {
    const char *data;
    size_t len;
};

/* The name of a channel, decoded. */
struct request_target_channel {
    char name[CHANNEL_NAME_MAX + 1]; /* "": the default one */
    size_t len;
};

/* Parses a target in origin-form or absolute-form. Returns 0, or UV_EINVAL for other forms. */
int request_target_parse(struct request_target *target, const char *text);

/* Decodes percent-encoding (RFC 3986, 2.1); an invalid '%' sequence is kept. Writes up to `size`
 * bytes, and returns how many. */
size_t request_target_decode(struct request_target_text text, char *out, size_t size);

/* True when the path is this one. Unreserved characters are the same whether they are
 * percent-encoded or not (RFC 3986, 6.2.2.2). */
bool request_target_is(const struct request_target *target, const char *path);

/* The channel of the endpoint (a path) that the target names: the part after the endpoint and a
 * '/', decoded, or "" for the endpoint itself. Returns 0; UV_ENOENT if the path is neither the
 * endpoint nor beneath it; UV_EINVAL if what is beneath it is not a valid name. */
int request_target_channel(const struct request_target *target, const char *endpoint,
                           struct request_target_channel *channel);

/* Decodes the name of a channel in a URL. Returns 0 or UV_EINVAL. */
int request_target_parse_channel(struct request_target_text text,
                                 struct request_target_channel *channel);

/* The value of a parameter of the query, not decoded. Returns 0 (with NULL if the parameter is
 * absent), or UV_EINVAL if it is there more than once. */
int request_target_parameter(const struct request_target *target, const char *name,
                             struct request_target_text *value);

#endif

/* What the target of a request names (RFC 9112, 3.2): a path, which may be the endpoint's or that
 * of a channel beneath it, and a query. Pure; everything is borrowed from the target's text. */
#ifndef WS_RESOURCE_H
#define WS_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>

enum { RESOURCE_MAX_CHANNEL = 128 }; /* bytes of a channel's name */

struct resource {
    const char *path;
    size_t path_len;
    const char *query; /* behind the '?'; "" if there is none */
    size_t query_len;
};

/* A part of the text; {NULL, 0}: it is not there. */
struct resource_text {
    const char *data;
    size_t len;
};

/* Takes a target of origin-form or absolute-form apart. Returns 0, or UV_EINVAL for other forms. */
int resource_parse(struct resource *resource, const char *text);

/* Which channel of the endpoint (a path) is meant: the part of the path behind it and a '/', or ""
 * for the endpoint itself. Returns 0; UV_ENOENT when the path is neither the endpoint nor beneath
 * it; UV_EINVAL when what is beneath it is no channel's name. */
int resource_channel(const struct resource *resource, const char *endpoint,
                     struct resource_text *channel);

/* True for the name of a channel that is not the default one: 1 to RESOURCE_MAX_CHANNEL unreserved
 * characters (RFC 3986, 2.3: letters, digits, '-', '.', '_', '~'), and '/' between parts that are
 * not empty and neither "." nor "..". There is one way to write each name: nothing is decoded. */
bool resource_channel_is_valid(const char *name, size_t len);

/* The value of a parameter of the query, as it stands there: nothing is decoded. Returns 0 (the
 * value is NULL when there is no such parameter), or UV_EINVAL when there are several. */
int resource_parameter(const struct resource *resource, const char *name,
                       struct resource_text *value);

#endif

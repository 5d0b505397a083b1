/* What a browser is shown where it gets no other answer, until there is a page of its own: why, and
 * what lives here. */
#ifndef WS_SERVER_HTTP_HTTP_HTML_H
#define WS_SERVER_HTTP_HTTP_HTML_H

#include "common/base/buffer.h"

/* The fields that go with the page, each with its line's end. */
extern const char http_html_fields[];

/* Appends the page of a refusal: its status, why, and the path of the endpoint, as text. Returns 0
 * or UV_ENOMEM. */
int http_html_write(struct buffer *out, int status, const char *why, const char *path);

#endif

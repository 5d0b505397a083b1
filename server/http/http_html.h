/* What a browser is shown until there is a page for it: what this server is, and how its
 * endpoint is used. It is the body of a refusal, and what GET / shows where / is the endpoint. */
#ifndef WS_SERVER_HTTP_HTTP_HTML_H
#define WS_SERVER_HTTP_HTTP_HTML_H

#include "common/base/buffer.h"

/* The header fields that go with the page, each with its CRLF. */
extern const char http_html_fields[];

/* Appends the page for an endpoint of this path; of a refusal, with its status and why (NULL: of
 * none). Returns 0 or UV_ENOMEM. */
int http_html_write(struct buffer *out, int status, const char *why, const char *path);

#endif

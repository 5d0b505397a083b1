/* The files that browsers get, embedded at build time by page_embed.c: each as it is and compressed
 * with gzip. All are static. */
#ifndef WS_SERVER_PAGE_PAGE_ASSET_H
#define WS_SERVER_PAGE_PAGE_ASSET_H

#include <stddef.h>

/* One form of a file, and the header fields that go with it, each with its CRLF. */
struct page_asset_form {
    const unsigned char *data;
    size_t len;
    const char *fields;
};

struct page_asset {
    const char *path; /* where it is served */
    const char *type; /* Content-Type */
    const char *etag; /* with its quotation marks (RFC 9110, 8.8.3); the same for both forms */
    struct page_asset_form plain;
    struct page_asset_form gzip;
};

/* The file that is served at this path; NULL if there is none. "/" is the page itself. */
const struct page_asset *page_asset_find(const char *path, size_t len);

/* Of the generated file: */
extern const struct page_asset page_asset_table[];
extern const size_t page_asset_count;

#endif

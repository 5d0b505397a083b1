/* base64url without padding (RFC 4648, 5; RFC 7515, 2), strictly: no whitespace, no '=', no bits
 * left over. */
#ifndef WS_SERVER_AUTH_BASE64URL_H
#define WS_SERVER_AUTH_BASE64URL_H

#include <stddef.h>

/* Returns 0, or UV_EINVAL for what is not base64url or has more than `size` bytes. */
int base64url_decode(const char *text, size_t text_len, unsigned char *out, size_t size,
                     size_t *len);

/* Returns the text, for the caller to free; NULL when out of memory. */
char *base64url_encode(const unsigned char *bytes, size_t len);

#endif

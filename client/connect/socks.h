/* What a client says to a SOCKS proxy, version 5 (RFC 1928, RFC 1929) or 4a, without a socket:
 * bytes in, bytes out. The proxy gets the name, and resolves it, unless it gets an address. */
#ifndef WS_CLIENT_CONNECT_SOCKS_H
#define WS_CLIENT_CONNECT_SOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum socks_result {
    SOCKS_MORE, /* of the proxy's bytes are needed */
    SOCKS_DONE, /* connected: what follows is the server's */
    SOCKS_FAILED,
};

struct socks {
    const char *why; /* after SOCKS_FAILED: one line for people, static */
    bool lasting;    /* and whether trying again would end the same way */

    const char *_host;
    const char *_user;
    uint16_t _port;
    uint8_t _stage;
    size_t _len;
    uint8_t _in[4 + 1 + 255 + 2]; /* the longest answer */
};

/* `version` is 5, or 4 for 4a, where the user has no password. `host` is a name or an address;
 * `user` is "USER:PASSWORD" or NULL; both are borrowed. Appends the first bytes for the proxy to
 * `out`. Returns 0, UV_EINVAL when a part is longer than the protocol allows, or UV_ENOMEM. */
int socks_init(struct socks *socks, unsigned version, const char *host, uint16_t port,
               const char *user, struct buffer *out);

/* Takes what the proxy says: `*used` bytes of it. What is to be answered is appended to `out`. */
enum socks_result socks_feed(struct socks *socks, const uint8_t *data, size_t len, size_t *used,
                             struct buffer *out);

#endif

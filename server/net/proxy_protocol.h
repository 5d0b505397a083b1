/* The header of the PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt), by which a
 * proxy in front says whose connection it passes on. Pure: bytes in, an address out.
 *
 * Nothing behind the header is looked at. A version 2 header may carry further fields (TLVs) after
 * the addresses, up to 64 KiB in all; they are skipped, not kept. */
#ifndef WS_SERVER_NET_PROXY_PROTOCOL_H
#define WS_SERVER_NET_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum proxy_protocol_step {
    PROXY_PROTOCOL_MORE, /* not complete: feed what comes next */
    PROXY_PROTOCOL_DONE,
    PROXY_PROTOCOL_BAD, /* not a header: the connection is to be closed (2, "receivers") */
};

/* Room for a version 1 line (107 bytes with its CRLF), and for the fixed part and the addresses of
 * version 2; the addresses of Unix sockets, which are of no use here, are skipped. */
enum { PROXY_PROTOCOL_KEPT = 108 };

struct proxy_protocol {
    uint8_t _kept[PROXY_PROTOCOL_KEPT];
    uint32_t _seen; /* bytes of the header so far */
};

/* Whose connection it is. */
struct proxy_protocol_client {
    bool known; /* false: the proxy's own (LOCAL), or of a family of which nothing is known */
    struct sockaddr_storage address; /* AF_INET or AF_INET6, with the port */
};

void proxy_protocol_init(struct proxy_protocol *header);

/* Feeds `len` bytes; `*used` says how many of them belong to the header: all, unless it is done.
 * `*client` is set when it is done. */
enum proxy_protocol_step proxy_protocol_feed(struct proxy_protocol *header, const uint8_t *data,
                                             size_t len, size_t *used,
                                             struct proxy_protocol_client *client);

/* How many bytes may be read next without reading beyond the header: at least 1 while it is not
 * complete. */
size_t proxy_protocol_wants(const struct proxy_protocol *header);

#endif

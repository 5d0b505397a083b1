/* A block of addresses in CIDR notation (RFC 4632, 3.1; RFC 4291, 2.3): "10.0.0.0/8", "fd00::/8",
 * or one address. An IPv4-mapped IPv6 address counts as the IPv4 address, as in address.h. */
#ifndef WS_COMMON_NET_CIDR_H
#define WS_COMMON_NET_CIDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct cidr {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;        /* of the 128 that an address of the block begins with */
};

/* Returns 0, or UV_EINVAL if `text` is no block: not an address, too long a prefix, or bits set
 * behind the prefix, which would be a typing error more often than not. */
int cidr_parse(const char *text, struct cidr *block);

/* True if the address, of AF_INET or AF_INET6, lies in the block. */
bool cidr_contains(const struct cidr *block, const struct sockaddr *address);

#endif

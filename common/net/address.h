/* What the address of a socket's end says. */
#ifndef WS_COMMON_NET_ADDRESS_H
#define WS_COMMON_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    ADDRESS_NAME_SIZE = 64,
    ADDRESS_KEY_LEN = 9, /* family, and 8 bytes of the address */
};

/* True for an address that only this machine has: of 127.0.0.0/8, ::1 (each also as an IPv6-mapped
 * one), or of a Unix socket. */
bool address_is_loopback(const struct sockaddr *address);

/* Writes the key by which clients are told apart: the IPv4 address, also of its IPv6-mapped form
 * (RFC 4291, 2.5.5.2), as an IPv6 socket that serves both sees it; or the /64 network of an IPv6
 * address, which one customer has. False where an address is not a client's alone: on loopback and
 * Unix sockets, where a proxy may be that speaks for many, and where it is not known. */
bool address_key(const struct sockaddr *address, unsigned char key[ADDRESS_KEY_LEN]);

/* Writes the address as "ADDRESS port PORT", "a Unix socket" or "unknown". Returns `out`. */
const char *address_client_name(const struct sockaddr *address, char *out, size_t size);

#endif

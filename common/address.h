/* What the address of a socket's end says. */
#ifndef WS_ADDRESS_H
#define WS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { ADDRESS_NAME_SIZE = 64 };

/* True for an address that only this machine has: of 127.0.0.0/8, ::1 (each also as an IPv6-mapped
 * one), or of a Unix socket. */
bool address_is_loopback(const struct sockaddr *address);

/* An IPv4 address in its IPv6-mapped form (RFC 4291, 2.5.5.2), as an IPv6 socket that serves both
 * sees it: points `*v4` to its 4 bytes and returns true. */
bool address_is_mapped(const struct sockaddr *address, const unsigned char **v4);

/* Writes the address as "ADDRESS port PORT", "a Unix socket" or "unknown". Returns `out`. */
const char *address_client_name(const struct sockaddr *address, char *out, size_t size);

#endif

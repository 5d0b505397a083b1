#include "common/net/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static const struct sockaddr_in *v4_of(const struct sockaddr *address)
{
    return (const struct sockaddr_in *) (const void *) address;
}

static const struct sockaddr_in6 *v6_of(const struct sockaddr *address)
{
    return (const struct sockaddr_in6 *) (const void *) address;
}

/* The 4 bytes of an IPv4 address, of the mapped form, too; else NULL. */
static const unsigned char *bytes_of_v4(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return (const unsigned char *) &v4_of(address)->sin_addr;
    if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6_of(address)->sin6_addr))
        return v6_of(address)->sin6_addr.s6_addr + 12;
    return NULL;
}

bool address_is_loopback(const struct sockaddr *address)
{
    const unsigned char *v4 = bytes_of_v4(address);

    if (v4 != NULL)
        return v4[0] == IN_LOOPBACKNET;
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&v6_of(address)->sin6_addr);
    return address->sa_family == AF_UNIX;
}

bool address_key(const struct sockaddr *address, unsigned char key[ADDRESS_KEY_LEN])
{
    const unsigned char *v4 = bytes_of_v4(address);

    memset(key, 0, ADDRESS_KEY_LEN);
    if (address_is_loopback(address) || (v4 == NULL && address->sa_family != AF_INET6))
        return false;
    key[0] = v4 != NULL ? AF_INET : AF_INET6;
    memcpy(key + 1, v4 != NULL ? v4 : v6_of(address)->sin6_addr.s6_addr, v4 != NULL ? 4 : 8);
    return true;
}

const char *address_client_name(const struct sockaddr *address, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    int port;

    if (uv_ip_name(address, text, sizeof text) != 0) {
        (void) snprintf(out, size, address->sa_family == AF_UNIX ? "a Unix socket" : "unknown");
        return out;
    }
    port = ntohs(address->sa_family == AF_INET6 ? v6_of(address)->sin6_port
                                                : v4_of(address)->sin_port);
    (void) snprintf(out, size, "%s port %d", text, port);
    return out;
}

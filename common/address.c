#include "common/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <uv.h>

static const struct sockaddr_in *v4_of(const struct sockaddr *address)
{
    return (const struct sockaddr_in *) (const void *) address;
}

static const struct sockaddr_in6 *v6_of(const struct sockaddr *address)
{
    return (const struct sockaddr_in6 *) (const void *) address;
}

bool address_is_mapped(const struct sockaddr *address, const unsigned char **v4)
{
    if (address->sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6_of(address)->sin6_addr))
        return false;
    *v4 = v6_of(address)->sin6_addr.s6_addr + 12;
    return true;
}

bool address_is_loopback(const struct sockaddr *address)
{
    const unsigned char *v4;

    if (address->sa_family == AF_INET)
        return ntohl(v4_of(address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (address_is_mapped(address, &v4))
        return v4[0] == IN_LOOPBACKNET;
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&v6_of(address)->sin6_addr);
    return address->sa_family == AF_UNIX;
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

#include "server/syntax/trusted_proxies.h"

#include <string.h>
#include <uv.h>

int trusted_proxies_add(struct trusted_proxies *proxies, const char *text)
{
    if (strcmp(text, "unix") == 0) {
        proxies->unix_sockets = true;
        return 0;
    }
    if (proxies->count == TRUSTED_PROXIES_MAX)
        return UV_E2BIG;
    if (cidr_parse(text, &proxies->blocks[proxies->count]) != 0)
        return UV_EINVAL;
    proxies->count++;
    return 0;
}

bool trusted_proxies_has(const struct trusted_proxies *proxies, const struct sockaddr *address)
{
    if (address->sa_family == AF_UNIX)
        return proxies->unix_sockets;
    for (size_t i = 0; i < proxies->count; i++) {
        if (cidr_contains(&proxies->blocks[i], address))
            return true;
    }
    return false;
}

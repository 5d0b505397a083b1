#include "common/base/authority.h"

#include <string.h>

size_t authority_host_len(const char *text, size_t len)
{
    bool brackets = len > 0 && *text == '[';
    const char *end = memchr(text, brackets ? ']' : ':', len);

    if (end == NULL)
        return brackets ? 0 : len;
    return (size_t) (end - text) + (brackets ? 1 : 0);
}

bool authority_split(const char *text, size_t len, struct authority *authority)
{
    size_t host = authority_host_len(text, len);

    *authority = (struct authority){.host = text, .host_len = host};
    authority->brackets = host > 0 && *text == '[';
    if (authority->brackets) {
        authority->host++;
        authority->host_len -= 2;
    } else if (len > 0 && *text == '[') {
        return false;
    }
    if (host == len)
        return true;
    authority->port = text + host + 1;
    authority->port_len = len - host - 1;
    return text[host] == ':' &&
           (authority->brackets || memchr(authority->port, ':', authority->port_len) == NULL);
}

#include "server/syntax/server_names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/base/authority.h"
#include "server/syntax/origin.h"

enum { MAX_NAME = 253, MAX_PORT_DIGITS = 5 };

/* False if the text is no host, or host and port. */
static bool split(const char *text, struct authority *authority)
{
    if (!authority_split(text, strlen(text), authority))
        return false;
    if (authority->host_len > 1 && authority->host[authority->host_len - 1] == '.')
        authority->host_len--; /* the root's: the same name */
    return true;
}

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits <= MAX_PORT_DIGITS && text[digits] == '\0';
}

bool server_names_valid(const char *name)
{
    struct authority authority;

    if (!split(name, &authority) || authority.host_len < (authority.brackets ? 2U : 1U) ||
        authority.host_len > MAX_NAME || (authority.port != NULL && !is_port(authority.port)))
        return false;
    for (size_t i = 0; i < authority.host_len; i++) {
        unsigned char c = (unsigned char) authority.host[i];

        if (authority.brackets ? !isxdigit(c) && c != ':' && c != '.'
                               : !isalnum(c) && strchr("-._", c) == NULL)
            return false;
    }
    return true;
}

/* Ports are equal as numbers: 080 is 80. */
static bool same_port(const char *one, const char *other)
{
    one += strspn(one, "0");
    other += strspn(other, "0");
    return strcmp(one, other) == 0;
}

static bool matches(const char *name, const struct authority *asked, bool tls)
{
    bool has_port = asked->port != NULL && asked->port_len > 0;
    const char *port = has_port ? asked->port : tls ? "443" : "80";
    struct authority known;

    return split(name, &known) && known.brackets == asked->brackets &&
           known.host_len == asked->host_len &&
           strncasecmp(known.host, asked->host, known.host_len) == 0 &&
           (known.port == NULL || same_port(known.port, port));
}

bool server_names_include(const struct server_names *names, const struct http_head *request,
                          bool tls, bool loopback)
{
    const char *host = http_head_get(request, "Host");
    struct authority asked;

    if (names->count == 0 || host == NULL || (loopback && origin_host_is_loopback(host)))
        return true;
    for (size_t i = 0; i < names->count && split(host, &asked); i++) {
        if (matches(names->list[i], &asked, tls))
            return true;
    }
    return false;
}

bool server_names_is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    struct authority authority;
    char text[INET6_ADDRSTRLEN];

    if (!split(host, &authority) || authority.host_len >= sizeof text)
        return false;
    memcpy(text, authority.host, authority.host_len);
    text[authority.host_len] = '\0';
    return inet_pton(authority.brackets ? AF_INET6 : AF_INET, text, address) == 1;
}

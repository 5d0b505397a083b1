#include "server/syntax/server_names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "server/syntax/origin.h"

enum { MAX_NAME = 253, MAX_PORT_DIGITS = 5 };

/* A host and its port. */
struct authority {
    const char *host;
    size_t len;
    const char *port; /* NULL: none; never empty */
};

static void split(const char *text, struct authority *authority)
{
    const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
    size_t len = bracket != NULL ? (size_t) (bracket + 1 - text) : strcspn(text, ":");

    *authority = (struct authority){.host = text, .len = len};
    if (text[len] == ':' && text[len + 1] != '\0')
        authority->port = text + len + 1;
    if (len > 1 && text[len - 1] == '.') /* the root's: the same name */
        authority->len--;
}

static bool is_port(const char *text)
{
    return strlen(text) <= MAX_PORT_DIGITS && strspn(text, "0123456789") == strlen(text);
}

bool server_names_valid(const char *name)
{
    struct authority authority;
    bool v6 = *name == '[';

    split(name, &authority);
    if (authority.len == 0 || authority.len > MAX_NAME || name[strlen(name) - 1] == ':' ||
        (authority.port != NULL && !is_port(authority.port)))
        return false;
    if (v6 && (authority.len < 4 || name[authority.len - 1] != ']' ||
               (name[authority.len] != '\0' && name[authority.len] != ':')))
        return false;
    for (size_t i = v6 ? 1 : 0; i < authority.len - (v6 ? 1 : 0); i++) {
        unsigned char c = (unsigned char) name[i];

        if (v6 ? !isxdigit(c) && c != ':' && c != '.' : !isalnum(c) && strchr("-._", c) == NULL)
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
    const char *port = asked->port != NULL ? asked->port : tls ? "443" : "80";
    struct authority known;

    split(name, &known);
    return known.len == asked->len && strncasecmp(known.host, asked->host, known.len) == 0 &&
           (known.port == NULL || same_port(known.port, port));
}

bool server_names_include(const struct server_names *names, const struct http_head *request,
                          bool tls, bool loopback)
{
    const char *host = http_head_get(request, "Host");
    struct authority asked;

    if (names->count == 0 || host == NULL || (loopback && origin_host_is_loopback(host)))
        return true;
    split(host, &asked);
    for (size_t i = 0; i < names->count; i++) {
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
    bool v6 = *host == '[';

    split(host, &authority);
    if (authority.len < (v6 ? 3U : 1U) || authority.len >= sizeof text)
        return false;
    memcpy(text, authority.host + (v6 ? 1 : 0), authority.len - (v6 ? 2 : 0));
    text[authority.len - (v6 ? 2 : 0)] = '\0';
    return inet_pton(v6 ? AF_INET6 : AF_INET, text, address) == 1;
}

#include "client/connect/proxy.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/authority.h"
#include "common/base/decimal.h"

enum {
    DEFAULT_PORT = 1080, /* curl's, for all but https */
    DEFAULT_TLS_PORT = 443,
};

/* ---- a proxy's URL ---- */

static const struct scheme {
    const char *prefix;
    enum proxy_kind kind;
    const char *as; /* what url takes for it */
    uint16_t port;
} schemes[] = {
    {"http://", PROXY_HTTP, "ws://", DEFAULT_PORT},
    {"https://", PROXY_HTTPS, "wss://", DEFAULT_TLS_PORT},
    {"socks5h://", PROXY_SOCKS5H, "ws://", DEFAULT_PORT},
    {"socks5://", PROXY_SOCKS5, "ws://", DEFAULT_PORT},
    {"socks://", PROXY_SOCKS5, "ws://", DEFAULT_PORT},
    {"socks4a://", PROXY_SOCKS4A, "ws://", DEFAULT_PORT},
};

/* Takes the scheme off; NULL when it is one that is not known. */
static const struct scheme *cut_scheme(const char **text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i].prefix);

        if (strncasecmp(*text, schemes[i].prefix, len) != 0)
            continue;
        *text += len;
        return &schemes[i];
    }
    return strstr(*text, "://") == NULL ? &schemes[0] : NULL;
}

static bool has_port(const char *rest)
{
    const char *at = memrchr(rest, '@', strcspn(rest, "/?#"));
    const char *host = at != NULL ? at + 1 : rest;
    struct authority authority;

    return authority_split(host, strcspn(host, "/?#"), &authority) && authority.port != NULL;
}

/* What is left is parsed as the URL of a WebSocket, which has the same parts. */
static int parse_rest(struct proxy *proxy, const struct scheme *scheme, const char *rest,
                      struct error *error)
{
    char shown[256];
    struct error why;
    struct url url;
    char *as;
    int status;

    if (asprintf(&as, "%s%s", scheme->as, rest) < 0)
        return UV_ENOMEM;
    status = url_init(&url, as, &why);
    free(as);
    if (status != 0)
        return error_set(error, status, "'%s' is not a proxy: write %sHOST:PORT",
                         url_show_invalid(shown, sizeof shown, proxy->text), scheme->prefix);
    proxy->kind = scheme->kind;
    proxy->host = url.host;
    proxy->port = has_port(rest) ? url.port : scheme->port;
    proxy->user = url.user;
    url.host = NULL;
    url.user = NULL;
    url_deinit(&url);
    return 0;
}

int proxy_init(struct proxy *proxy, const char *text, struct error *error)
{
    const char *rest = text;
    const struct scheme *scheme = cut_scheme(&rest);
    char shown[256];
    int status;

    *proxy = (struct proxy){.kind = PROXY_NONE};
    if (*text == '\0')
        return 0;
    proxy->text = url_shown(text);
    if (proxy->text == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    if (scheme == NULL)
        status = error_set(error, UV_EPROTONOSUPPORT,
                           "'%s' is not a proxy of a kind that is known: write http://, https://, "
                           "socks5://, socks5h:// or socks4a://",
                           url_show_invalid(shown, sizeof shown, proxy->text));
    else
        status = parse_rest(proxy, scheme, rest, error);
    if (status != 0)
        proxy_deinit(proxy);
    return status;
}

void proxy_deinit(struct proxy *proxy)
{
    free(proxy->host);
    free(proxy->user);
    free(proxy->text);
    *proxy = (struct proxy){.kind = PROXY_NONE};
}

/* ---- no_proxy ---- */

/* An address of either family, as bytes; returns their number, or 0 when it is none. */
static size_t parse_address(const char *text, size_t len, uint8_t bytes[16])
{
    char copy[INET6_ADDRSTRLEN];

    if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof copy)
        return 0;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (uv_inet_pton(AF_INET, copy, bytes) == 0)
        return 4;
    return uv_inet_pton(AF_INET6, copy, bytes) == 0 ? 16 : 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

static bool address_is_in(const uint8_t *address, size_t size, const char *entry, size_t len)
{
    const char *slash = memchr(entry, '/', len);
    size_t text_len = slash != NULL ? (size_t) (slash - entry) : len;
    unsigned bits = (unsigned) size * 8;
    uint8_t network[16];

    if (parse_address(entry, text_len, network) != size)
        return false;
    if (slash != NULL) {
        uint64_t given;

        if (!decimal_parse(slash + 1, (size_t) (entry + len - slash - 1), bits, &given))
            return false;
        bits = (unsigned) given;
    }
    return same_bits(address, network, bits);
}

static bool name_is_in(const char *name, size_t name_len, const char *entry, size_t len)
{
    if (len > 0 && entry[0] == '.') {
        entry++;
        len--;
    }
    if (len > 0 && entry[len - 1] == '.')
        len--;
    if (len == 0 || len > name_len || strncasecmp(name + name_len - len, entry, len) != 0)
        return false;
    return len == name_len || name[name_len - len - 1] == '.';
}

bool proxy_is_excepted(const char *list, const char *host)
{
    static const char separators[] = ", \t\r\n";
    uint8_t address[16];
    size_t host_len = strlen(host);
    size_t size = parse_address(host, host_len, address);

    if (host_len > 1 && host[host_len - 1] == '.')
        host_len--;
    for (list += strspn(list, separators); *list != '\0'; list += strspn(list, separators)) {
        size_t len = strcspn(list, separators);

        if (len == 1 && *list == '*')
            return true;
        if (size > 0 ? address_is_in(address, size, list, len)
                     : name_is_in(host, host_len, list, len))
            return true;
        list += len;
    }
    return false;
}

/* ---- the choice ---- */

/* The first of these variables that is set, and not empty. */
static const char *first_set(const char *const *names, const char **name)
{
    for (; *names != NULL; names++) {
        const char *value = getenv(*names);

        *name = *names;
        if (value != NULL && *value != '\0')
            return value;
    }
    return NULL;
}

int proxy_choose(struct proxy *proxy, const char *option, const char *except, const struct url *url,
                 struct error *error)
{
    static const char *const plain[] = {"ws_proxy",  "WS_PROXY",  "http_proxy",
                                        "all_proxy", "ALL_PROXY", NULL};
    static const char *const secure[] = {"wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY",
                                         "all_proxy", "ALL_PROXY", NULL};
    static const char *const excepted[] = {"no_proxy", "NO_PROXY", NULL};
    const char *name = "option '--proxy'";
    const char *ignored;
    struct error why;
    int status;

    *proxy = (struct proxy){.kind = PROXY_NONE};
    if (except == NULL)
        except = first_set(excepted, &ignored);
    if (except != NULL && proxy_is_excepted(except, url->host))
        return 0;
    if (option == NULL)
        option = first_set(url->secure ? secure : plain, &name);
    if (option == NULL)
        return 0;
    status = proxy_init(proxy, option, &why);
    return status == 0 ? 0 : error_set(error, status, "%s: %s", name, why.text);
}

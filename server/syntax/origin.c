#include "server/syntax/origin.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/decimal.h"

enum { MAX_PORT = 65535, MAX_PORT_DIGITS = 5 };

/* A text that lies within another. */
struct part {
    const char *text;
    size_t len;
};

/* RFC 6454, 4: what an origin is. */
struct origin {
    struct part scheme;
    struct part host; /* of a pattern: without the `*.` */
    unsigned port;    /* 0: the default one of the scheme */
    bool wildcard;
};

static bool part_is(struct part part, const char *text)
{
    return part.len == strlen(text) && strncasecmp(part.text, text, part.len) == 0;
}

static bool same_part(struct part one, struct part other)
{
    return one.len == other.len && strncasecmp(one.text, other.text, one.len) == 0;
}

static bool ends_with(struct part part, const char *end, size_t len)
{
    return part.len >= len && strncasecmp(part.text + part.len - len, end, len) == 0;
}

/* ---- parsing ---- */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Consumes the scheme and "://" at the front of the text. */
static bool parse_scheme(const char **text, struct part *scheme)
{
    *scheme = (struct part){*text, strspn(*text, LETTERS DIGITS "+-.")};
    if (scheme->len == 0 || strspn(*text, LETTERS) == 0 ||
        strncmp(*text + scheme->len, "://", 3) != 0)
        return false;
    *text += scheme->len + 3;
    return true;
}

/* Consumes a host at the front of the text: a name without empty labels (but for one after a final
 * dot), or an address. */
static bool parse_host(const char **text, struct part *host)
{
    *host = (struct part){*text, strspn(*text, LETTERS DIGITS "-._")};
    if (**text == '[') {
        size_t len = strspn(*text + 1, "0123456789abcdefABCDEF:.");

        if (len == 0 || (*text)[len + 1] != ']')
            return false;
        host->len = len + 2;
    } else if (host->len == 0 || **text == '.' || memmem(host->text, host->len, "..", 2) != NULL) {
        return false;
    }
    *text += host->len;
    return true;
}

/* Consumes a port at the front of the text, if there is one; a default port counts as none. */
static bool parse_port(const char **text, struct part scheme, unsigned *port)
{
    uint64_t number;
    size_t digits;

    *port = 0;
    if (**text != ':')
        return true;
    (*text)++;
    digits = decimal_read(*text, strlen(*text), &number);
    if (digits == 0 || digits > MAX_PORT_DIGITS || number == 0 || number > MAX_PORT)
        return false;
    *text += digits;
    *port = (unsigned) number;
    if ((part_is(scheme, "http") && *port == 80) || (part_is(scheme, "https") && *port == 443))
        *port = 0;
    return true;
}

/* Parses an origin, which is the whole text. False if it is not valid. */
static bool parse(const char *text, bool pattern, struct origin *origin)
{
    if (!parse_scheme(&text, &origin->scheme))
        return false;
    origin->wildcard = pattern && strncmp(text, "*.", 2) == 0;
    if (origin->wildcard)
        text += 2;
    return parse_host(&text, &origin->host) && parse_port(&text, origin->scheme, &origin->port) &&
           *text == '\0';
}

/* The host of a field Host, without its port (RFC 9110, 7.2); empty if there is none. */
static struct part host_of(const char *host)
{
    struct part part;

    if (host != NULL && parse_host(&host, &part) &&
        (*host == '\0' || (*host == ':' && host[1 + strspn(host + 1, DIGITS)] == '\0')))
        return part;
    return (struct part){"", 0};
}

/* ---- checking ---- */

/* 127.0.0.0/8 in its usual form. */
static bool is_loopback_v4(struct part host)
{
    return host.len > 4 && strncmp(host.text, "127.", 4) == 0 &&
           strspn(host.text, DIGITS ".") >= host.len;
}

static bool is_loopback(struct part host)
{
    return part_is(host, "localhost") || ends_with(host, ".localhost", 10) ||
           part_is(host, "[::1]") || is_loopback_v4(host);
}

bool origin_host_is_loopback(const char *host)
{
    return is_loopback(host_of(host));
}

static bool matches(const struct origin *pattern, const struct origin *origin)
{
    size_t len = pattern->host.len;

    if (!same_part(pattern->scheme, origin->scheme) || pattern->port != origin->port)
        return false;
    if (!pattern->wildcard)
        return same_part(pattern->host, origin->host);
    return origin->host.len > len + 1 && ends_with(origin->host, pattern->host.text, len) &&
           origin->host.text[origin->host.len - len - 1] == '.';
}

/* `origin` is NULL for the opaque origin, "null". */
static bool is_listed(const struct origin_policy *policy, const struct origin *origin)
{
    struct origin pattern;

    for (size_t i = 0; i < policy->allowed_count; i++) {
        const char *text = policy->allowed[i];

        if (strcmp(text, "*") == 0 || (origin == NULL && strcmp(text, "null") == 0) ||
            (origin != NULL && parse(text, true, &pattern) && matches(&pattern, origin)))
            return true;
    }
    return false;
}

enum origin_verdict origin_check(const struct origin_policy *policy,
                                 const struct http_head *request, bool loopback)
{
    const char *text = http_head_get(request, "Origin");
    bool is_null = text != NULL && strcmp(text, "null") == 0;
    struct part host = host_of(http_head_get(request, "Host"));
    struct origin origin;

    if (text == NULL)
        return ORIGIN_NONE;
    if (http_head_count(request, "Origin") > 1 || (!is_null && !parse(text, false, &origin)))
        return ORIGIN_BAD;
    if (is_listed(policy, is_null ? NULL : &origin))
        return ORIGIN_ADMITTED;
    if (is_null || !same_part(origin.host, host))
        return ORIGIN_FOREIGN;
    if (loopback ? !is_loopback(host) : policy->allowed_count > 0 && !policy->host_is_known)
        return ORIGIN_FOREIGN;
    return ORIGIN_ADMITTED;
}

const char *origin_of_any(const struct origin_policy *policy)
{
    for (size_t i = 0; i < policy->allowed_count; i++) {
        if (strcmp(policy->allowed[i], "*") == 0)
            return "*";
    }
    if (policy->allowed_count != 1 || strstr(policy->allowed[0], "://*.") != NULL)
        return NULL;
    return policy->allowed[0];
}

bool origin_host_is_own(const struct http_head *request, bool loopback)
{
    const char *host = http_head_get(request, "Host");

    return !loopback || host == NULL || origin_host_is_loopback(host);
}

/* ---- the list ---- */

/* True for an address: no names exist beneath it. */
static bool is_address(struct part host)
{
    size_t label = host.len;

    while (label > 0 && host.text[label - 1] != '.')
        label--;
    return host.text[0] == '[' ||
           (label < host.len && strspn(host.text + label, DIGITS) >= host.len - label);
}

int origin_check_pattern(const char *pattern, struct error *error)
{
    struct origin origin;

    if (strcmp(pattern, "*") == 0 || strcmp(pattern, "null") == 0)
        return 0;
    if (!parse(pattern, true, &origin))
        return error_set(
            error, UV_EINVAL,
            "'%s' is not an origin: write SCHEME://HOST or SCHEME://HOST:PORT, without "
            "a path, SCHEME://*.DOMAIN for all names beneath a domain, or '*' for all; "
            "for several origins repeat the option",
            pattern);
    if (part_is(origin.scheme, "ws") || part_is(origin.scheme, "wss"))
        return error_set(error, UV_EINVAL,
                         "'%s' is never the origin of a page: write http:// or https://, as in the "
                         "page's own address",
                         pattern);
    if (origin.wildcard && is_address(origin.host))
        return error_set(error, UV_EINVAL, "'%s' never matches: an address has no names beneath it",
                         pattern);
    return 0;
}

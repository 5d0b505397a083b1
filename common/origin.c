#include "common/origin.h"

#include <string.h>
#include <strings.h>

/* Host and optional port, as in an Origin or Host field: the host alone. */
static size_t host_len(const char *host)
{
    const char *bracket = *host == '[' ? strchr(host, ']') : NULL;

    return bracket != NULL ? (size_t) (bracket + 1 - host) : strcspn(host, ":");
}

static bool host_is(const char *host, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(host, name, len) == 0;
}

static bool ends_with(const char *host, size_t len, const char *end)
{
    size_t end_len = strlen(end);

    return len >= end_len && strncasecmp(host + len - end_len, end, end_len) == 0;
}

/* 127.0.0.0/8 in its usual form. */
static bool is_loopback_v4(const char *host, size_t len)
{
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len;
}

bool origin_host_is_loopback(const char *host)
{
    size_t len = host_len(host);

    return host_is(host, len, "localhost") || ends_with(host, len, ".localhost") ||
           host_is(host, len, "[::1]") || is_loopback_v4(host, len);
}

/* True when the origin's host is the one of the Host field; their ports may differ. */
static bool same_host(const char *origin, const char *host)
{
    const char *scheme_end = strstr(origin, "://");
    size_t len;

    if (scheme_end == NULL || host == NULL)
        return false;
    origin = scheme_end + 3;
    len = host_len(origin);
    return len > 0 && len == host_len(host) && strncasecmp(origin, host, len) == 0;
}

static bool is_listed(const struct origin_policy *policy, const char *origin)
{
    for (size_t i = 0; i < policy->allowed_count; i++) {
        if (strcmp(policy->allowed[i], "*") == 0 || strcasecmp(policy->allowed[i], origin) == 0)
            return true;
    }
    return false;
}

bool origin_is_allowed(const struct origin_policy *policy, const struct http_head *request,
                       bool loopback)
{
    const char *origin = http_head_get(request, "Origin");
    const char *host = http_head_get(request, "Host");

    if (origin == NULL)
        return true;
    if (http_head_count(request, "Origin") > 1)
        return false;
    if (policy->allowed_count > 0)
        return is_listed(policy, origin);
    return same_host(origin, host) && (!loopback || origin_host_is_loopback(host));
}

bool origin_host_is_own(const struct origin_policy *policy, const struct http_head *request,
                        bool loopback)
{
    const char *host = http_head_get(request, "Host");

    if (!loopback || host == NULL || origin_host_is_loopback(host))
        return true;
    for (size_t i = 0; i < policy->allowed_count; i++) {
        if (strcmp(policy->allowed[i], "*") == 0 || same_host(policy->allowed[i], host))
            return true;
    }
    return false;
}

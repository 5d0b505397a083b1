#include "common/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uriparser/Uri.h>
#include <uv.h>

#include "common/buffer.h"

static size_t range_len(const UriTextRangeA *range)
{
    return range->first != NULL ? (size_t) (range->afterLast - range->first) : 0;
}

static bool range_is(const UriTextRangeA *range, const char *text)
{
    return range_len(range) == strlen(text) && strncasecmp(range->first, text, strlen(text)) == 0;
}

/* Parses the port, if any. False when it is not a number from 1 to 65535. */
static bool parse_port(struct url *url, const UriUriA *uri)
{
    size_t len = range_len(&uri->portText);
    unsigned long port = 0;

    if (len == 0)
        return true;
    if (len > 5)
        return false;
    for (size_t i = 0; i < len; i++)
        port = port * 10 + (unsigned long) (uri->portText.first[i] - '0');
    url->port = (uint16_t) port;
    return port >= 1 && port <= UINT16_MAX;
}

/* RFC 3986 lets a host have far more characters than any name or address has. */
static bool is_name_or_address(const UriTextRangeA *host)
{
    static const char characters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "-._~:";

    for (const char *c = host->first; c != host->afterLast; c++) {
        if (memchr(characters, *c, sizeof characters - 1) == NULL)
            return false;
    }
    return true;
}

/* What is wrong with a URL that is one; NULL when nothing is. */
static const char *judge(struct url *url, const UriUriA *uri)
{
    if (range_is(&uri->scheme, "wss"))
        url->secure = true;
    else if (!range_is(&uri->scheme, "ws"))
        return "it must begin with ws:// or wss://";
    url->port = url->secure ? 443 : 80;
    if (range_len(&uri->hostText) == 0)
        return "it has no host";
    if (uri->hostData.ipFuture.first != NULL)
        return "its host is an address of an unknown kind";
    if (memchr(uri->hostText.first, '%', range_len(&uri->hostText)) != NULL)
        return "its host has percent-escapes";
    if (!is_name_or_address(&uri->hostText))
        return "its host is neither a name nor an address";
    if (uri->userInfo.first != NULL)
        return "it has a user name, which everybody could read in the list of processes";
    if (uri->fragment.first != NULL)
        return "it has a fragment ('#'), which a WebSocket URL cannot have";
    if (!parse_port(url, uri))
        return "its port is not a number from 1 to 65535";
    return NULL;
}

static int make_authority(struct url *url, bool v6)
{
    const char *open = v6 ? "[" : "";
    const char *close = v6 ? "]" : "";
    int n;

    if (url->port == (url->secure ? 443 : 80))
        n = asprintf(&url->authority, "%s%s%s", open, url->host, close);
    else
        n = asprintf(&url->authority, "%s%s%s:%u", open, url->host, close, url->port);
    if (n < 0) {
        url->authority = NULL;
        return UV_ENOMEM;
    }
    return 0;
}

/* Path and query as they stand in the URL. */
static int make_target(struct url *url, const UriUriA *uri)
{
    struct buffer target = {0};
    const UriPathSegmentA *segment = uri->pathHead;
    int status = 0;

    if (segment == NULL)
        status = buffer_append(&target, "/", 1);
    for (; status == 0 && segment != NULL; segment = segment->next) {
        status = buffer_append(&target, "/", 1);
        if (status == 0)
            status = buffer_append(&target, segment->text.first, range_len(&segment->text));
    }
    if (status == 0 && uri->query.first != NULL) {
        status = buffer_append(&target, "?", 1);
        if (status == 0)
            status = buffer_append(&target, uri->query.first, range_len(&uri->query));
    }
    if (status == 0)
        status = buffer_append(&target, "", 1);
    url->target = (char *) target.data;
    return status;
}

int url_init(struct url *url, const char *text, struct error *error)
{
    UriUriA uri;
    const char *wrong;
    int status;

    *url = (struct url){0};
    if (uriParseSingleUriA(&uri, text, NULL) != URI_SUCCESS)
        return error_set(error, UV_EINVAL,
                         "'%s' is not a URL: write ws://HOST:PORT/PATH, with spaces and other "
                         "special characters percent-encoded",
                         text);
    wrong = judge(url, &uri);
    if (wrong != NULL) {
        uriFreeUriMembersA(&uri);
        return error_set(error, UV_EINVAL, "cannot use the URL '%s': %s", text, wrong);
    }
    url->host = strndup(uri.hostText.first, range_len(&uri.hostText));
    status = url->host != NULL ? make_authority(url, uri.hostData.ip6 != NULL) : UV_ENOMEM;
    if (status == 0)
        status = make_target(url, &uri);
    uriFreeUriMembersA(&uri);
    if (status != 0) {
        url_deinit(url);
        return error_set(error, status, "out of memory");
    }
    return 0;
}

void url_deinit(struct url *url)
{
    free(url->host);
    free(url->authority);
    free(url->target);
    *url = (struct url){0};
}

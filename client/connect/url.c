#include "client/connect/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uriparser/Uri.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/base/decimal.h"
#include "common/http/secret.h"

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
    uint64_t port;

    if (len == 0)
        return true;
    if (len > 5 || !decimal_parse(uri->portText.first, len, UINT16_MAX, &port))
        return false;
    url->port = (uint16_t) port;
    return port >= 1;
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
static const char *check_parts(struct url *url, const UriUriA *uri)
{
    url->events = range_is(&uri->scheme, "http") || range_is(&uri->scheme, "https");
    url->secure = range_is(&uri->scheme, "wss") || range_is(&uri->scheme, "https");
    if (!url->events && !url->secure && !range_is(&uri->scheme, "ws"))
        return "it must begin with ws:// or wss://, or for an event stream with http:// or "
               "https://";
    url->port = url->secure ? 443 : 80;
    if (range_len(&uri->hostText) == 0)
        return "it has no host";
    if (uri->hostData.ipFuture.first != NULL)
        return "its host is an address of an unknown kind";
    if (memchr(uri->hostText.first, '%', range_len(&uri->hostText)) != NULL)
        return "its host has percent-escapes";
    if (!is_name_or_address(&uri->hostText))
        return "its host is neither a name nor an address";
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

/* Where the authority of a URL begins and ends; its user name and password end with the last '@'
 * in it. Needs no valid URL: what is not valid is shown, too. */
static const char *find_user(const char *text, size_t *len)
{
    const char *slashes = strstr(text, "//");
    const char *first = slashes != NULL ? slashes + 2 : text;
    const char *at = memrchr(first, '@', strcspn(first, "/?#"));

    *len = at != NULL ? (size_t) (at - first) + 1 : 0;
    return first;
}

static char *without_user(const char *text)
{
    size_t len;
    const char *user = find_user(text, &len);
    char *copy;

    return asprintf(&copy, "%.*s%s", (int) (user - text), text, user + len) >= 0 ? copy : NULL;
}

/* A copy with what is secret in its query masked. */
static char *masked(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(SECRET_MASKED_SIZE(len));

    if (copy != NULL)
        (void) secret_mask(copy, SECRET_MASKED_SIZE(len), text, len);
    return copy;
}

char *url_shown(const char *text)
{
    char *bare = without_user(text);
    char *shown = bare != NULL ? masked(bare) : NULL;

    free(bare);
    return shown;
}

const char *url_show_invalid(char *out, size_t size, const char *text)
{
    const char *at = strrchr(text, '@');
    const char *rest = at != NULL ? at + 1 : text;

    return secret_mask(out, size, rest, strlen(rest));
}

/* The user information, unescaped. Returns 0, UV_EINVAL when it has control characters, or
 * UV_ENOMEM. */
static int make_user(struct url *url, const UriUriA *uri)
{
    size_t len = range_len(&uri->userInfo);
    const char *colon;

    if (len == 0)
        return 0;
    colon = memchr(uri->userInfo.first, ':', len);
    if (asprintf(&url->user, "%.*s%s", (int) len, uri->userInfo.first, colon != NULL ? "" : ":") <
        0) {
        url->user = NULL;
        return UV_ENOMEM;
    }
    if (strstr(url->user, "%00") != NULL)
        return UV_EINVAL;
    (void) uriUnescapeInPlaceExA(url->user, URI_FALSE, URI_BR_DONT_TOUCH);
    for (const char *c = url->user; *c != '\0'; c++) {
        if ((unsigned char) *c < ' ' || *c == 0x7f)
            return UV_EINVAL;
    }
    return 0;
}

int url_init(struct url *url, const char *text, struct error *error)
{
    char shown[256];
    UriUriA uri;
    const char *wrong;
    int status;

    *url = (struct url){.href = without_user(text), .text = url_shown(text)};
    if (url->href == NULL || url->text == NULL) {
        url_deinit(url);
        return error_set(error, UV_ENOMEM, "out of memory");
    }
    if (uriParseSingleUriA(&uri, text, NULL) != URI_SUCCESS) {
        url_deinit(url);
        return error_set(error, UV_EINVAL,
                         "'%s' is not a URL: write ws://HOST:PORT/PATH, with spaces and other "
                         "special characters percent-encoded",
                         url_show_invalid(shown, sizeof shown, text));
    }
    wrong = check_parts(url, &uri);
    status = wrong == NULL ? make_user(url, &uri) : UV_EINVAL;
    if (status == UV_EINVAL && wrong == NULL)
        wrong = "its user name or password has a control character";
    if (status == 0)
        url->host = strndup(uri.hostText.first, range_len(&uri.hostText));
    if (status == 0)
        status = url->host != NULL ? make_authority(url, uri.hostData.ip6 != NULL) : UV_ENOMEM;
    if (status == 0)
        status = make_target(url, &uri);
    uriFreeUriMembersA(&uri);
    if (status == UV_EINVAL)
        (void) error_set(error, status, "cannot use the URL '%s': %s",
                         url_show_invalid(shown, sizeof shown, url->text), wrong);
    else if (status != 0)
        (void) error_set(error, status, "out of memory");
    if (status != 0)
        url_deinit(url);
    return status;
}

void url_deinit(struct url *url)
{
    free(url->host);
    free(url->authority);
    free(url->target);
    free(url->user);
    free(url->href);
    free(url->text);
    *url = (struct url){0};
}

/* ---- what a hand types ---- */

/* "ws:", and what is no port behind it: a URL with a mistake in it, and no host of that name. */
static bool has_scheme(const char *text)
{
    static const char *const schemes[] = {"ws:", "wss:", "http:", "https:"};

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);

        if (strncasecmp(text, schemes[i], len) == 0)
            return text[len] < '0' || text[len] > '9';
    }
    return strstr(text, "://") != NULL &&
           strcspn(text, "/?#") == (size_t) (strstr(text, "://") - text) + 1;
}

char *url_complete(const char *text)
{
    char *complete;
    int len;

    if (strchr("/?#", *text) != NULL || has_scheme(text)) /* NUL is found, too */
        len = asprintf(&complete, "%s", text);
    else if (*text != ':')
        len = asprintf(&complete, "ws://%s", text);
    else
        len = asprintf(&complete, "ws://localhost%s%s", text,
                       text[strcspn(text, "/?#")] == '\0' ? "/ws" : "");
    return len >= 0 ? complete : NULL;
}

/* ---- redirections ---- */

static void set_range(UriTextRangeA *range, const char *text)
{
    range->first = text;
    range->afterLast = text != NULL ? text + strlen(text) : NULL;
}

/* What a redirection leaves out, and its scheme in our terms. Returns 0 or UV_ENOMEM. */
static int write_resolved(char **text, UriUriA *uri, bool events)
{
    int size = 0;

    if (range_is(&uri->scheme, events ? "ws" : "http"))
        set_range(&uri->scheme, events ? "http" : "ws");
    else if (range_is(&uri->scheme, events ? "wss" : "https"))
        set_range(&uri->scheme, events ? "https" : "wss");
    set_range(&uri->userInfo, NULL);
    set_range(&uri->fragment, NULL);
    if (uriToStringCharsRequiredA(uri, &size) != URI_SUCCESS)
        return UV_ENOMEM;
    *text = malloc((size_t) size + 1);
    if (*text == NULL)
        return UV_ENOMEM;
    (void) uriToStringA(*text, uri, size + 1, NULL);
    return 0;
}

int url_resolve(char **text, const struct url *base, const char *reference, struct error *error)
{
    UriUriA from, relative, resolved;
    int status = UV_ENOMEM;

    if (uriParseSingleUriA(&relative, reference, NULL) != URI_SUCCESS)
        return error_set(error, UV_EINVAL, "that is not a URL");
    if (uriParseSingleUriA(&from, base->href, NULL) == URI_SUCCESS) {
        if (uriAddBaseUriA(&resolved, &relative, &from) == URI_SUCCESS)
            status = write_resolved(text, &resolved, base->events);
        uriFreeUriMembersA(&resolved);
        uriFreeUriMembersA(&from);
    }
    uriFreeUriMembersA(&relative);
    return status == 0 ? 0 : error_set(error, status, "out of memory");
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->secure == b->secure && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

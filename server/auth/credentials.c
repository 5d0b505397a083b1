#include "server/auth/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* A copy of the text as the token. */
static int give(const char *text, size_t len, char **token)
{
    if (len == 0 || len > CREDENTIALS_MAX)
        return UV_EINVAL;
    *token = strndup(text, len);
    return *token != NULL ? 0 : UV_ENOMEM;
}

static int from_authorization(const struct http_head *head, char **token)
{
    const char *value = http_head_get(head, "Authorization");

    if (value == NULL)
        return 0;
    if (http_head_count(head, "Authorization") > 1 || strncasecmp(value, "Bearer ", 7) != 0)
        return UV_EINVAL;
    value += 7;
    value += strspn(value, " ");
    return give(value, strlen(value), token);
}

/* RFC 9110 has no word on Sec-Fetch-Site; W3C's Fetch Metadata has. Other programs than browsers do
 * not send it, and have no cookies that were not given to them. */
static bool cookies_count(const struct credentials_request *request)
{
    const char *site = http_head_get(request->head, "Sec-Fetch-Site");

    if (http_head_get(request->head, "Origin") != NULL)
        return request->origin_is_trusted;
    return strcmp(http_head_method(request->head), "GET") == 0 &&
           (site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0);
}

/* RFC 6265, 4.2.1: pairs of NAME=VALUE, with "; " between them; a value may stand in quotes. */
static int from_cookie_field(const char *pairs, const char *name, char **token)
{
    size_t name_len = strlen(name);

    while (*pairs != '\0') {
        size_t len = strcspn(pairs, ";");

        if (len > name_len && pairs[name_len] == '=' && strncmp(pairs, name, name_len) == 0) {
            const char *value = pairs + name_len + 1;
            size_t value_len = len - name_len - 1;

            while (value_len > 0 && strchr(" \t", value[value_len - 1]) != NULL)
                value_len--;
            if (value_len >= 2 && value[0] == '"' && value[value_len - 1] == '"')
                return give(value + 1, value_len - 2, token);
            return give(value, value_len, token);
        }
        pairs += len;
        pairs += strspn(pairs, "; \t");
    }
    return 0;
}

static int from_cookie(const struct credentials_request *request, char **token)
{
    const char *field;
    size_t cursor = 0;
    int status = 0;

    if (request->cookie == NULL || !cookies_count(request))
        return 0;
    while (status == 0 && *token == NULL &&
           (field = http_head_next(request->head, "Cookie", &cursor)) != NULL)
        status = from_cookie_field(field, request->cookie, token);
    return status;
}

/* The members of a comma-separated list, in all fields of the name (RFC 6455, 11.3.4). */
static int from_subprotocol(const struct http_head *head, char **token)
{
    const char *field;
    size_t cursor = 0;

    while ((field = http_head_next(head, "Sec-WebSocket-Protocol", &cursor)) != NULL) {
        while (*field != '\0') {
            size_t len = strcspn(field, ", \t"), prefix = strlen(CREDENTIALS_SUBPROTOCOL);

            if (len >= prefix && strncmp(field, CREDENTIALS_SUBPROTOCOL, prefix) == 0) {
                if (*token != NULL)
                    return UV_EINVAL;
                if (give(field + prefix, len - prefix, token) != 0)
                    return UV_EINVAL;
            }
            field += len;
            field += strspn(field, ", \t");
        }
    }
    return 0;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char) (digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Undoes percent-encoding in place. False for a '%' that encodes nothing, and for %00. */
static bool decode(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        int high, low;

        if (*text != '%') {
            *out++ = *text;
            continue;
        }
        high = hex_value(text[1]);
        low = high >= 0 ? hex_value(text[2]) : -1;
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *out++ = (char) (high << 4 | low);
        text += 2;
    }
    *out = '\0';
    return true;
}

static int from_query(const struct credentials_request *request, char **token)
{
    static const char name[] = "access_token=";
    const char *pair = request->query, *end = pair + request->query_len;
    int status = 0;

    while (pair < end && status == 0) {
        const char *stop = memchr(pair, '&', (size_t) (end - pair));
        size_t len = (size_t) ((stop != NULL ? stop : end) - pair);

        if (len >= sizeof name - 1 && memcmp(pair, name, sizeof name - 1) == 0)
            status = *token != NULL ? UV_EINVAL
                                    : give(pair + sizeof name - 1, len - (sizeof name - 1), token);
        pair += len + 1;
    }
    if (status == 0 && *token != NULL && !decode(*token))
        status = UV_EINVAL;
    return status;
}

int credentials_find(const struct credentials_request *request, char **token)
{
    int status;

    *token = NULL;
    status = from_authorization(request->head, token);
    if (status == 0 && *token == NULL)
        status = from_cookie(request, token);
    if (status == 0 && *token == NULL)
        status = from_subprotocol(request->head, token);
    if (status == 0 && *token == NULL)
        status = from_query(request, token);
    if (status != 0) {
        free(*token);
        *token = NULL;
    }
    return status;
}

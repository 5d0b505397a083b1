#include "client/connect/cookies.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/buffer.h"

enum { MAX_COOKIES = 50, MAX_PAIR = 4096 };

struct cookie {
    char *host;
    char *path;
    char *pair; /* "NAME=VALUE" */
    bool secure;
};

static void release(struct cookie *cookie)
{
    free(cookie->host);
    free(cookie->path);
    free(cookie->pair);
}

void cookies_deinit(struct cookies *cookies)
{
    for (size_t i = 0; i < cookies->_count; i++)
        release(&cookies->_items[i]);
    free(cookies->_items);
    free(cookies->_line);
    *cookies = (struct cookies){._count = 0};
}

/* ---- what a response sets ---- */

/* RFC 6265, 5.1.4: the directory of the target. */
static char *default_path(const char *target)
{
    size_t len = strcspn(target, "?");

    while (len > 1 && target[len - 1] != '/')
        len--;
    return strndup(target, len > 1 ? len - 1 : 1);
}

/* An attribute and its value, without white space around them; `*text` moves behind it. */
struct attribute {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && strchr(" \t", **text) != NULL) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && strchr(" \t", (*text)[*len - 1]) != NULL)
        (*len)--;
}

static struct attribute next_attribute(const char **text)
{
    size_t len = strcspn(*text, ";");
    size_t name = strcspn(*text, "=;");
    struct attribute found = {
        .name = *text,
        .name_len = name,
        .value = *text + (name < len ? name + 1 : len),
        .value_len = name < len ? len - name - 1 : 0,
    };

    trim(&found.name, &found.name_len);
    trim(&found.value, &found.value_len);
    *text += len + ((*text)[len] == ';' ? 1 : 0);
    return found;
}

static bool is(const struct attribute *attribute, const char *name)
{
    return attribute->name_len == strlen(name) &&
           strncasecmp(attribute->name, name, attribute->name_len) == 0;
}

/* Reads the attributes behind the pair. Returns false when the cookie is over at once. */
static bool heed(struct cookie *cookie, const char *text)
{
    bool lives = true;

    while (*text != '\0') {
        struct attribute found = next_attribute(&text);

        if (is(&found, "Secure"))
            cookie->secure = true;
        if (is(&found, "Max-Age"))
            lives = found.value_len > 0 && *found.value != '-' && *found.value != '0';
        if (is(&found, "Path") && found.value_len > 0 && *found.value == '/') {
            free(cookie->path);
            cookie->path = strndup(found.value, found.value_len);
        }
    }
    return lives;
}

static size_t name_len(const char *pair)
{
    return strcspn(pair, "=") + 1;
}

/* RFC 6265, 5.3, 11: the same name, host and path. */
static void forget(struct cookies *cookies, const struct cookie *like)
{
    for (size_t i = 0; i < cookies->_count; i++) {
        struct cookie *old = &cookies->_items[i];

        if (strcasecmp(old->host, like->host) != 0 || strcmp(old->path, like->path) != 0 ||
            strncmp(old->pair, like->pair, name_len(like->pair)) != 0)
            continue;
        release(old);
        *old = cookies->_items[--cookies->_count];
        return;
    }
}

/* Takes the cookie in; false when there is no room. */
static bool append(struct cookies *cookies, const struct cookie *cookie)
{
    struct cookie *items;

    if (cookies->_count == MAX_COOKIES)
        return false;
    items = realloc(cookies->_items, (cookies->_count + 1) * sizeof *items);
    if (items == NULL)
        return false;
    cookies->_items = items;
    items[cookies->_count++] = *cookie;
    return true;
}

static void keep(struct cookies *cookies, const struct url *url, const char *text)
{
    bool named = memchr(text, '=', strcspn(text, ";")) != NULL;
    struct attribute pair = next_attribute(&text);
    struct cookie cookie = {.host = strdup(url->host), .path = default_path(url->target)};
    bool lives;

    if (!named || pair.name_len == 0 ||
        asprintf(&cookie.pair, "%.*s=%.*s", (int) pair.name_len, pair.name, (int) pair.value_len,
                 pair.value) < 0)
        cookie.pair = NULL;
    lives = heed(&cookie, text) && (!cookie.secure || url->secure);
    if (cookie.host == NULL || cookie.path == NULL || cookie.pair == NULL ||
        strlen(cookie.pair) > MAX_PAIR) {
        release(&cookie);
        return;
    }
    forget(cookies, &cookie);
    if (!lives || !append(cookies, &cookie))
        release(&cookie);
}

void cookies_keep(struct cookies *cookies, const struct url *url, const struct http_head *head)
{
    size_t cursor = 0;
    const char *text;

    while ((text = http_head_next(head, "Set-Cookie", &cursor)) != NULL)
        keep(cookies, url, text);
}

/* ---- what a request bears ---- */

/* RFC 6265, 5.1.4 */
static bool path_matches(const char *path, const char *target)
{
    size_t len = strlen(path);

    if (strncmp(path, target, len) != 0)
        return false;
    return path[len - 1] == '/' || strchr("/?", target[len]) != NULL; /* NUL is found, too */
}

const char *cookies_for(struct cookies *cookies, const struct url *url)
{
    struct buffer line = {0};
    int status = 0;

    free(cookies->_line);
    cookies->_line = NULL;
    for (size_t i = 0; status == 0 && i < cookies->_count; i++) {
        const struct cookie *cookie = &cookies->_items[i];

        if (strcasecmp(cookie->host, url->host) == 0 && (url->secure || !cookie->secure) &&
            path_matches(cookie->path, url->target))
            status = buffer_printf(&line, "%s%s", line.len > 0 ? "; " : "", cookie->pair);
    }
    if (status == 0 && line.len > 0)
        status = buffer_append(&line, "", 1);
    if (status != 0)
        buffer_deinit(&line);
    cookies->_line = (char *) line.data;
    return cookies->_line;
}

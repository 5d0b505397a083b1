#include "common/resource.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

int resource_parse(struct resource *resource, const char *text)
{
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
    bool rooted = false;

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes && !rooted; i++) {
        if (strncasecmp(text, schemes[i], strlen(schemes[i])) != 0)
            continue;
        text += strlen(schemes[i]);
        text += strcspn(text, "/?");
        rooted = true;
    }
    if (*text != '/' && !rooted)
        return UV_EINVAL;
    resource->path = *text == '/' ? text : "/"; /* RFC 9112, 3.2.2: an empty path */
    resource->path_len = strcspn(resource->path, "?");
    resource->query = *text == '/' ? text + resource->path_len : text;
    if (*resource->query == '?')
        resource->query++;
    resource->query_len = strlen(resource->query);
    return 0;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool part_is_valid(const char *part, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_unreserved(part[i]))
            return false;
    }
    return len > 0 && !(len == 1 && part[0] == '.') &&
           !(len == 2 && part[0] == '.' && part[1] == '.');
}

bool resource_channel_is_valid(const char *name, size_t len)
{
    size_t begin = 0;

    if (len > RESOURCE_MAX_CHANNEL)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] != '/')
            continue;
        if (!part_is_valid(name + begin, i - begin))
            return false;
        begin = i + 1;
    }
    return part_is_valid(name + begin, len - begin);
}

int resource_channel(const struct resource *resource, const char *endpoint,
                     struct resource_text *channel)
{
    size_t len = strlen(endpoint);

    if (resource->path_len < len || memcmp(resource->path, endpoint, len) != 0)
        return UV_ENOENT;
    *channel = (struct resource_text){resource->path + len, resource->path_len - len};
    if (channel->len == 0)
        return 0;
    if (endpoint[len - 1] != '/') {
        if (*channel->data != '/')
            return UV_ENOENT;
        channel->data++;
        channel->len--;
    }
    return resource_channel_is_valid(channel->data, channel->len) ? 0 : UV_EINVAL;
}

int resource_parameter(const struct resource *resource, const char *name,
                       struct resource_text *value)
{
    const char *end = resource->query + resource->query_len;
    size_t name_len = strlen(name);

    *value = (struct resource_text){NULL, 0};
    for (const char *at = resource->query; at < end;) {
        const char *stop = memchr(at, '&', (size_t) (end - at));
        size_t len = (size_t) ((stop != NULL ? stop : end) - at);

        if (len >= name_len && memcmp(at, name, name_len) == 0 &&
            (len == name_len || at[name_len] == '=')) {
            if (value->data != NULL)
                return UV_EINVAL;
            value->data = len > name_len ? at + name_len + 1 : at + name_len;
            value->len = len > name_len ? len - name_len - 1 : 0;
        }
        at += len + 1;
    }
    return 0;
}

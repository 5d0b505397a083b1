#include "common/target.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

int target_parse(struct target *target, const char *text)
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
    target->path = *text == '/' ? text : "/"; /* RFC 9112, 3.2.2: an empty path */
    target->path_len = strcspn(target->path, "?");
    target->query = *text == '/' ? text + target->path_len : text;
    if (*target->query == '?')
        target->query++;
    target->query_len = strlen(target->query);
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

bool target_channel_is_valid(const char *name, size_t len)
{
    size_t begin = 0;

    if (len > TARGET_MAX_CHANNEL)
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

int target_channel(const struct target *target, const char *endpoint, struct target_text *channel)
{
    size_t len = strlen(endpoint);

    if (target->path_len < len || memcmp(target->path, endpoint, len) != 0)
        return UV_ENOENT;
    *channel = (struct target_text){target->path + len, target->path_len - len};
    if (channel->len == 0)
        return 0;
    if (endpoint[len - 1] != '/') {
        if (*channel->data != '/')
            return UV_ENOENT;
        channel->data++;
        channel->len--;
    }
    return target_channel_is_valid(channel->data, channel->len) ? 0 : UV_EINVAL;
}

int target_parameter(const struct target *target, const char *name, struct target_text *value)
{
    const char *end = target->query + target->query_len;
    size_t name_len = strlen(name);

    *value = (struct target_text){NULL, 0};
    for (const char *at = target->query; at < end;) {
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

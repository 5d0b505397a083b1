#include "server/http/request_target.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

int request_target_parse(struct request_target *target, const char *text)
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

/* ---- percent-encoding (RFC 3986, 2) ---- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* The value of a hexadecimal digit, or -1. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A byte of a URL. */
struct byte {
    char value;
    bool encoded; /* it came as %XX */
};

/* Consumes a byte at the front of a text that is not empty. An invalid '%' sequence is a '%'. */
static struct byte take_byte(struct request_target_text *text)
{
    struct byte byte = {*text->data, false};
    int high = -1, low = -1;
    size_t used = 1;

    if (byte.value == '%' && text->len >= 3) {
        high = digit_of(text->data[1]);
        low = digit_of(text->data[2]);
    }
    if (high >= 0 && low >= 0) {
        byte = (struct byte){(char) (high << 4 | low), true};
        used = 3;
    }
    text->data += used;
    text->len -= used;
    return byte;
}

size_t request_target_decode(struct request_target_text text, char *out, size_t size)
{
    size_t len = 0;

    while (text.len > 0 && len < size)
        out[len++] = take_byte(&text).value;
    return len;
}

/* Consumes `path` at the front of the text, if it is there. Unreserved characters are the same
 * whether they are encoded or not (RFC 3986, 6.2.2.2). */
static bool take_path(struct request_target_text *text, const char *path)
{
    struct request_target_text wanted = {path, strlen(path)};

    while (wanted.len > 0) {
        struct byte one, other;

        if (text->len == 0)
            return false;
        one = take_byte(text);
        other = take_byte(&wanted);
        if (one.value != other.value || (one.encoded != other.encoded && !is_unreserved(one.value)))
            return false;
    }
    return true;
}

bool request_target_is(const struct request_target *target, const char *path)
{
    struct request_target_text text = {target->path, target->path_len};

    return take_path(&text, path) && text.len == 0;
}

/* ---- names of channels ---- */

int request_target_parse_channel(struct request_target_text text,
                                 struct request_target_channel *channel)
{
    channel->len = 0;
    while (text.len > 0) {
        struct byte byte = take_byte(&text);

        /* An encoded '/' separates nothing; what is not ASCII has to be encoded (RFC 3986, 2.4). */
        if (channel->len == CHANNEL_NAME_MAX || (byte.encoded && byte.value == '/') ||
            (!byte.encoded && (unsigned char) byte.value >= 0x80))
            return UV_EINVAL;
        channel->name[channel->len++] = byte.value;
    }
    channel->name[channel->len] = '\0';
    return channel_name_is_valid(channel->name, channel->len) ? 0 : UV_EINVAL;
}

int request_target_channel(const struct request_target *target, const char *endpoint,
                           struct request_target_channel *channel)
{
    struct request_target_text text = {target->path, target->path_len};

    channel->name[0] = '\0';
    channel->len = 0;
    if (!take_path(&text, endpoint))
        return UV_ENOENT;
    if (text.len == 0)
        return 0;
    if (endpoint[strlen(endpoint) - 1] != '/') {
        if (*text.data != '/')
            return UV_ENOENT;
        text.data++;
        text.len--;
    }
    return request_target_parse_channel(text, channel);
}

/* ---- the query ---- */

int request_target_parameter(const struct request_target *target, const char *name,
                             struct request_target_text *value)
{
    const char *end = target->query + target->query_len;
    size_t name_len = strlen(name);

    *value = (struct request_target_text){NULL, 0};
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

#include "client/connect/refusal.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/escape.h"

enum {
    MAX_BYTES = 4 * 1024,
    MAX_LINES = 5,
    MAX_SHOWN = 300, /* bytes of an escaped line */
};

/* True for what people can read as it is. */
static bool is_text(const struct http_head *head)
{
    static const char *const types[] = {"text/plain", "application/json",
                                        "application/problem+json"};
    const char *type = http_head_get(head, "Content-Type");
    const char *coding = http_head_get(head, "Content-Encoding");

    if (coding != NULL && strcasecmp(coding, "identity") != 0)
        return false;
    if (type == NULL)
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcspn(type, "; \t") == strlen(types[i]) &&
            strncasecmp(type, types[i], strlen(types[i])) == 0)
            return true;
    }
    return false;
}

static bool on_piece(void *owner, const uint8_t *data, size_t len)
{
    struct refusal *refusal = owner;
    size_t room = MAX_BYTES - refusal->_text.len;

    return buffer_append(&refusal->_text, data, len < room ? len : room) == 0 && len < room;
}

bool refusal_begin(struct refusal *refusal, struct http_head *head)
{
    *refusal = (struct refusal){._text = {0}};
    return is_text(head) &&
           http_body_begin(&refusal->_body, head, on_piece, refusal) == HTTP_BODY_MORE;
}

void refusal_deinit(struct refusal *refusal)
{
    buffer_deinit(&refusal->_text);
}

bool refusal_feed(struct refusal *refusal, struct http_head *head, const uint8_t *data, size_t len)
{
    return http_body_feed(&refusal->_body, head, data, len) == HTTP_BODY_MORE;
}

static size_t line_len(const uint8_t *text, size_t len)
{
    const uint8_t *end = memchr(text, '\n', len);

    return end != NULL ? (size_t) (end - text) : len;
}

static size_t trimmed(const uint8_t *line, size_t len)
{
    while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL && line[len - 1] != '\0')
        len--;
    return len;
}

int refusal_write(const struct refusal *refusal, struct buffer *out)
{
    const uint8_t *text = refusal->_text.data;
    size_t left = refusal->_text.len;
    unsigned lines = 0;
    int status = 0;

    while (status == 0 && left > 0) {
        size_t len = line_len(text, left);
        size_t visible = trimmed(text, len);
        char shown[MAX_SHOWN];

        if (visible > 0 && lines++ == MAX_LINES)
            return buffer_append(out, "...\n", sizeof "...\n");
        if (visible > 0)
            status = buffer_printf(out, "%s\n", escape_text(shown, sizeof shown, text, visible));
        len += len < left ? 1 : 0;
        text += len;
        left -= len;
    }
    if (status == 0)
        status = lines > 0 ? buffer_append(out, "", 1) : UV_ENOENT;
    return status;
}

#include "client/trace.h"

#include <string.h>
#include <strings.h>

#include "common/escape.h"
#include "common/log.h"
#include "common/plural.h"

static char direction(bool own)
{
    return own ? '>' : '<';
}

static bool is_named(const uint8_t *line, size_t len, const char *name, size_t name_len)
{
    return len > name_len && line[name_len] == ':' &&
           strncasecmp((const char *) line, name, name_len) == 0;
}

static bool is_secret(const uint8_t *line, size_t len, const struct string_list *hidden)
{
    static const char *const names[] = {
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_named(line, len, names[i], strlen(names[i])))
            return true;
    }
    for (size_t i = 0; i < hidden->count; i++) {
        if (is_named(line, len, hidden->items[i], strcspn(hidden->items[i], ":")))
            return true;
    }
    return false;
}

static void trace_line(bool own, const uint8_t *line, size_t len, const struct string_list *hidden)
{
    const uint8_t *colon = memchr(line, ':', len);
    char shown[512];

    if (colon != NULL && is_secret(line, len, hidden))
        log_info("%c %s: ...", direction(own),
                 escape_text(shown, sizeof shown, line, (size_t) (colon - line)));
    else
        log_info("%c %s", direction(own), escape_text(shown, sizeof shown, line, len));
}

void trace_head(bool own, const uint8_t *head, size_t len, const struct string_list *hidden)
{
    while (len > 0) {
        const uint8_t *newline = memchr(head, '\n', len);
        size_t used = newline != NULL ? (size_t) (newline - head) + 1 : len;
        size_t line = newline != NULL ? used - 1 : used;

        if (line > 0 && head[line - 1] == '\r')
            line--;
        if (line > 0)
            trace_line(own, head, line, hidden);
        head += used;
        len -= used;
    }
}

void trace_frame(bool own, enum frame_opcode opcode, size_t len)
{
    const char *name = opcode == FRAME_TEXT     ? "text"
                       : opcode == FRAME_BINARY ? "binary"
                       : opcode == FRAME_PING   ? "ping"
                       : opcode == FRAME_PONG   ? "pong"
                       : opcode == FRAME_CLOSE  ? "close"
                                                : "frame";

    log_info("%c %s, %zu byte%s", direction(own), name, len, plural(len));
}

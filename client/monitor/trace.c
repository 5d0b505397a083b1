#include "client/monitor/trace.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/escape.h"
#include "common/base/log.h"
#include "common/base/plural.h"
#include "common/http/secret.h"

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

/* How many of the first bytes are, or are not, among `set`. */
static size_t span(const char *text, size_t len, const char *set, bool in)
{
    size_t n = 0;

    while (n < len && (text[n] != '\0' && strchr(set, text[n]) != NULL) == in)
        n++;
    return n;
}

/* Names that are no credentials, and "***" for each of the others. */
static void trace_subprotocols(bool own, const uint8_t *line, size_t len, size_t name)
{
    const char *list = (const char *) line;
    char names[512] = "", shown[512];
    size_t used = 0;

    for (size_t at = name + 1; at < len;) {
        size_t skipped = span(list + at, len - at, ", \t", true);
        size_t member = span(list + at + skipped, len - at - skipped, ", \t", false);
        const char *text = list + at + skipped;
        bool secret = secret_is_subprotocol(text, member);
        int n = snprintf(names + used, sizeof names - used, "%s%.*s", used > 0 ? ", " : "",
                         secret ? 3 : (int) member, secret ? "***" : text);

        at += skipped + member;
        if (member > 0 && n > 0 && (size_t) n < sizeof names - used)
            used += (size_t) n;
        names[used] = '\0';
    }
    log_info("%c %.*s: %s", direction(own), (int) name, list,
             escape_text(shown, sizeof shown, names, used));
}

static void trace_line(bool own, const uint8_t *line, size_t len, const struct string_list *hidden)
{
    static const char subprotocols[] = "Sec-WebSocket-Protocol";
    const uint8_t *colon = memchr(line, ':', len);
    char masked[512], shown[512];

    if (is_named(line, len, subprotocols, sizeof subprotocols - 1)) {
        trace_subprotocols(own, line, len, sizeof subprotocols - 1);
    } else if (colon != NULL && is_secret(line, len, hidden)) {
        log_info("%c %s: ...", direction(own),
                 escape_text(shown, sizeof shown, line, (size_t) (colon - line)));
    } else {
        /* The target of a request and the Location of a response may have credentials in them. */
        (void) secret_mask(masked, sizeof masked, (const char *) line, len);
        log_info("%c %s", direction(own), escape_text(shown, sizeof shown, masked, strlen(masked)));
    }
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

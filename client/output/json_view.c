#include "client/output/json_view.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/escape.h"
#include "common/base/json_check.h"

enum {
    MAX_LEN = 1024 * 1024, /* bytes that anybody reads; and of them */
    MAX_INDENT = 32,       /* levels, so that what is printed stays within 70 times as many */
};

static const char off[] = "\x1b[0m";
static const char key_colour[] = "\x1b[34m";
static const char string_colour[] = "\x1b[32m";
static const char number_colour[] = "\x1b[36m";
static const char literal_colour[] = "\x1b[35m";

bool json_view_wants_colour(bool terminal)
{
    const char *none = getenv("NO_COLOR");
    const char *asked = getenv("CLICOLOR");
    const char *forced = getenv("CLICOLOR_FORCE");
    const char *term = getenv("TERM");

    if (none != NULL && *none != '\0')
        return false;
    if (forced != NULL && *forced != '\0' && strcmp(forced, "0") != 0)
        return true;
    if (asked != NULL && strcmp(asked, "0") == 0)
        return false;
    return terminal && (term == NULL || strcmp(term, "dumb") != 0);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(const uint8_t *text, size_t len, size_t at)
{
    while (at < len && is_space(text[at]))
        at++;
    return at;
}

bool json_view_is_for(const void *text, size_t len)
{
    const uint8_t *bytes = text;
    size_t at = skip_space(bytes, len, 0);
    struct json_check check = {0};
    size_t bad;

    if (len > MAX_LEN || at == len || (bytes[at] != '{' && bytes[at] != '['))
        return false;
    return json_check_feed(&check, text, len, &bad) == 0 && json_check_complete(&check);
}

/* ---- tokens ---- */

/* Where the string that begins at `at` ends, behind its quotation mark. */
static size_t string_end(const uint8_t *text, size_t len, size_t at)
{
    for (at++; at < len && text[at] != '"'; at++)
        at += text[at] == '\\' ? 1 : 0;
    return at < len ? at + 1 : len;
}

static size_t scalar_end(const uint8_t *text, size_t len, size_t at)
{
    while (at < len && !is_space(text[at]) && strchr(",]}", text[at]) == NULL)
        at++;
    return at;
}

static int put(struct buffer *out, const char *text)
{
    return buffer_append(out, text, strlen(text));
}

static int put_token(const struct json_view *view, struct buffer *out, const char *colour,
                     const uint8_t *token, size_t len)
{
    int status = view->colour ? put(out, colour) : 0;

    if (status == 0)
        status = view->escaped ? escape_append(out, token, len) : buffer_append(out, token, len);
    return status == 0 && view->colour ? put(out, off) : status;
}

static int break_line(const struct json_view *view, struct buffer *out, size_t depth)
{
    int status = view->pretty ? put(out, "\n") : 0;

    for (size_t i = 0; view->pretty && status == 0 && i < depth && i < MAX_INDENT; i++)
        status = put(out, "  ");
    return status;
}

/* A string or another scalar. Moves `*at` behind it. */
static int put_scalar(const struct json_view *view, struct buffer *out, const uint8_t *text,
                      size_t len, size_t *at)
{
    size_t from = *at;
    bool is_string = text[from] == '"';
    const char *colour = strchr("-0123456789", text[from]) != NULL ? number_colour : literal_colour;

    *at = is_string ? string_end(text, len, from) : scalar_end(text, len, from);
    if (is_string) {
        size_t next = skip_space(text, len, *at);

        colour = next < len && text[next] == ':' ? key_colour : string_colour;
    }
    return put_token(view, out, colour, text + from, *at - from);
}

/* An opening bracket; `*at` moves behind it, and behind the closing one if nothing is between. */
static int open_bracket(const struct json_view *view, struct buffer *out, const uint8_t *text,
                        size_t len, size_t *at, size_t *depth)
{
    size_t next = skip_space(text, len, *at + 1);
    int status = buffer_append(out, text + *at, 1);

    *at = next;
    if (status == 0 && next < len && (text[next] == '}' || text[next] == ']')) {
        *at = next + 1;
        return buffer_append(out, text + next, 1);
    }
    ++*depth;
    return status == 0 ? break_line(view, out, *depth) : status;
}

static int put_mark(const struct json_view *view, struct buffer *out, uint8_t mark, size_t *depth)
{
    int status = 0;

    if (mark == '}' || mark == ']')
        status = break_line(view, out, --*depth);
    if (status == 0)
        status = buffer_append(out, &mark, 1);
    if (status == 0 && mark == ',')
        return break_line(view, out, *depth);
    return status == 0 && mark == ':' && view->pretty ? put(out, " ") : status;
}

int json_view_append(const struct json_view *view, struct buffer *out, const void *text, size_t len)
{
    const uint8_t *bytes = text;
    size_t at = skip_space(bytes, len, 0);
    size_t depth = 0;
    int status = 0;

    while (status == 0 && at < len) {
        uint8_t c = bytes[at];

        if (c == '{' || c == '[')
            status = open_bracket(view, out, bytes, len, &at, &depth);
        else if (c == '}' || c == ']' || c == ',' || c == ':')
            status = put_mark(view, out, bytes[at++], &depth);
        else
            status = put_scalar(view, out, bytes, len, &at);
        at = skip_space(bytes, len, at);
    }
    return status;
}

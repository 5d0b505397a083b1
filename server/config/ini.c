#include "server/config/ini.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/utf8.h"

static const char blanks[] = " \t";

static char *skip_blanks(char *text)
{
    return text + strspn(text, blanks);
}

static void trim_end(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(blanks, text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
}

static bool is_comment(const char *text)
{
    return *text == '#' || *text == ';';
}

/* True when nothing but a comment follows. */
static bool is_end(char *text)
{
    text = skip_blanks(text);
    return *text == '\0' || is_comment(text);
}

/* Takes a quoted value apart, in place. Returns what is wrong, or NULL. */
static const char *unquote(char *quoted)
{
    char *out = quoted, *in = quoted + 1;

    for (; *in != '"'; in++) {
        if (*in == '\0')
            return "the closing '\"' is missing";
        if (*in != '\\') {
            *out++ = *in;
            continue;
        }
        switch (*++in) {
        case 'n':
            *out++ = '\n';
            break;
        case 't':
            *out++ = '\t';
            break;
        case '"':
        case '\\':
            *out++ = *in;
            break;
        default:
            return "within quotes, a '\\' stands before n, t, '\"' or another '\\' only";
        }
    }
    if (!is_end(in + 1))
        return "behind the closing '\"' there may only be a comment";
    *out = '\0';
    return NULL;
}

/* Ends an unquoted value before a comment. */
static void cut_comment(char *value)
{
    for (char *at = value; *at != '\0'; at++) {
        if (is_comment(at) && (at == value || strchr(blanks, at[-1]) != NULL)) {
            *at = '\0';
            break;
        }
    }
    trim_end(value);
}

static const char *read_section(size_t number, char *line, const struct ini_handler *handler)
{
    char *end = strrchr(line, ']'), *name = skip_blanks(line + 1), *argument;

    if (end == NULL || !is_end(end + 1))
        return "a section is written [NAME] or [NAME ARGUMENT]";
    *end = '\0';
    trim_end(name);
    argument = name + strcspn(name, blanks);
    if (*argument != '\0')
        *argument++ = '\0';
    if (*name == '\0')
        return "a section needs a name";
    handler->on_section(handler->context, number, name, skip_blanks(argument));
    return NULL;
}

static const char *read_setting(size_t number, char *line, const struct ini_handler *handler)
{
    char *equals = strchr(line, '='), *value;
    const char *wrong = NULL;

    if (equals == NULL)
        return "a setting is written NAME = VALUE";
    *equals = '\0';
    trim_end(line);
    if (*line == '\0' || strpbrk(line, " \t\"#;") != NULL)
        return "before '=' there must be the name of one setting";
    value = skip_blanks(equals + 1);
    if (*value == '"')
        wrong = unquote(value);
    else
        cut_comment(value);
    if (wrong == NULL)
        handler->on_setting(handler->context, number, line, value);
    return wrong;
}

static const char *read_line(size_t number, char *line, size_t len,
                             const struct ini_handler *handler)
{
    if (len > INI_MAX_LINE)
        return "the line has more than 65536 bytes";
    if (memchr(line, '\0', len) != NULL || !utf8_valid((const uint8_t *) line, len))
        return "the line is not text in UTF-8";
    line = skip_blanks(line);
    if (*line == '\0' || is_comment(line))
        return NULL;
    return *line == '[' ? read_section(number, line, handler) : read_setting(number, line, handler);
}

void ini_read(char *text, size_t len, const struct ini_handler *handler)
{
    static const char mark[] = "\xef\xbb\xbf"; /* U+FEFF, as some editors begin files */
    char *end = text + len;
    size_t number = 1;

    if (strncmp(text, mark, sizeof mark - 1) == 0)
        text += sizeof mark - 1;
    for (; text < end; number++) {
        char *stop = memchr(text, '\n', (size_t) (end - text));
        char *next = stop != NULL ? stop + 1 : end;
        const char *wrong;

        stop = stop != NULL ? stop : end;
        if (stop > text && stop[-1] == '\r')
            stop--;
        *stop = '\0';
        wrong = read_line(number, text, (size_t) (stop - text), handler);
        if (wrong != NULL)
            handler->on_error(handler->context, number, wrong);
        text = next;
    }
}

#include "client/connect/event_parser.h"

#include <string.h>

#include "common/base/decimal.h"

enum {
    MAX_NAME = 4096, /* bytes of a type, an ID, or a line beside its data */
    MAX_RETRY = 3600 * 1000,
};

void event_parser_init(struct event_parser *parser, uint64_t max,
                       const struct event_parser_ops *ops, void *owner)
{
    *parser = (struct event_parser){._ops = ops, ._owner = owner, ._max = max};
}

void event_parser_deinit(struct event_parser *parser)
{
    buffer_deinit(&parser->_line);
    buffer_deinit(&parser->_data);
    buffer_deinit(&parser->_type);
    buffer_deinit(&parser->_id);
}

static bool is_too_long(const struct event_parser *parser, size_t len)
{
    return parser->_max > 0 && len > parser->_max;
}

/* ---- fields ---- */

static enum event_parser_result add_data(struct event_parser *parser, const uint8_t *value,
                                         size_t len)
{
    int status = 0;

    if (is_too_long(parser, parser->_data.len + len + (parser->_has_data ? 1 : 0)))
        return EVENT_PARSER_TOO_LONG;
    if (parser->_has_data)
        status = buffer_append(&parser->_data, "\n", 1);
    if (status == 0)
        status = buffer_append(&parser->_data, value, len);
    parser->_has_data = true;
    return status == 0 ? EVENT_PARSER_MORE : EVENT_PARSER_NO_MEMORY;
}

static enum event_parser_result set_text(struct buffer *text, const uint8_t *value, size_t len)
{
    text->len = 0;
    if (len > MAX_NAME)
        return EVENT_PARSER_TOO_LONG;
    if (buffer_append(text, value, len) != 0 || buffer_append(text, "", 1) != 0)
        return EVENT_PARSER_NO_MEMORY;
    return EVENT_PARSER_MORE;
}

static bool is(const uint8_t *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

static enum event_parser_result take_field(struct event_parser *parser, const uint8_t *line,
                                           size_t name, const uint8_t *value, size_t len)
{
    uint64_t milliseconds;

    if (is(line, name, "data"))
        return add_data(parser, value, len);
    if (is(line, name, "event"))
        return set_text(&parser->_type, value, len);
    if (is(line, name, "id") && memchr(value, '\0', len) == NULL) {
        parser->_has_id = true;
        return set_text(&parser->_id, value, len);
    }
    if (is(line, name, "retry") &&
        decimal_parse((const char *) value, len, MAX_RETRY, &milliseconds))
        parser->_ops->on_retry(parser->_owner, milliseconds);
    return EVENT_PARSER_MORE;
}

/* ---- lines ---- */

static enum event_parser_result dispatch(struct event_parser *parser)
{
    bool typed = parser->_type.len > 1;
    struct event event = {
        .type = typed ? (const char *) parser->_type.data : "message",
        .id = parser->_has_id ? (const char *) parser->_id.data : NULL,
        .data = parser->_data.data,
        .len = parser->_data.len,
        .has_data = parser->_has_data,
    };
    bool goes_on = true;

    if (parser->_has_data || parser->_has_id)
        goes_on = parser->_ops->on_event(parser->_owner, &event);
    parser->_data.len = 0;
    parser->_type.len = 0;
    parser->_has_data = false;
    parser->_has_id = false;
    return goes_on ? EVENT_PARSER_MORE : EVENT_PARSER_STOPPED;
}

static enum event_parser_result take_line(struct event_parser *parser, const uint8_t *line,
                                          size_t len)
{
    static const uint8_t bom[] = {0xef, 0xbb, 0xbf};
    const uint8_t *colon;
    size_t name;

    if (!parser->_begun && len >= sizeof bom && memcmp(line, bom, sizeof bom) == 0) {
        line += sizeof bom;
        len -= sizeof bom;
    }
    parser->_begun = true;
    if (len == 0)
        return dispatch(parser);
    colon = memchr(line, ':', len);
    name = colon != NULL ? (size_t) (colon - line) : len;
    if (name == 0)
        return EVENT_PARSER_MORE; /* a comment */
    if (colon == NULL)
        return take_field(parser, line, name, line + len, 0);
    colon++;
    if (colon < line + len && *colon == ' ')
        colon++;
    return take_field(parser, line, name, colon, (size_t) (line + len - colon));
}

/* A line that may have begun in an earlier feed. */
static enum event_parser_result end_line(struct event_parser *parser, const uint8_t *rest,
                                         size_t len)
{
    enum event_parser_result result;

    if (parser->_line.len == 0)
        return take_line(parser, rest, len);
    if (buffer_append(&parser->_line, rest, len) != 0)
        return EVENT_PARSER_NO_MEMORY;
    result = take_line(parser, parser->_line.data, parser->_line.len);
    parser->_line.len = 0;
    return result;
}

/* How many bytes precede the first CR or LF, or all. */
static size_t line_len(const uint8_t *data, size_t len)
{
    const uint8_t *newline = memchr(data, '\n', len);
    size_t most = newline != NULL ? (size_t) (newline - data) : len;
    const uint8_t *cr = memchr(data, '\r', most);

    return cr != NULL ? (size_t) (cr - data) : most;
}

enum event_parser_result event_parser_feed(struct event_parser *parser, const uint8_t *data,
                                           size_t len)
{
    enum event_parser_result result = EVENT_PARSER_MORE;

    while (result == EVENT_PARSER_MORE && len > 0) {
        size_t used;

        if (parser->_after_cr && *data == '\n') {
            data++;
            len--;
        }
        parser->_after_cr = false;
        used = line_len(data, len);
        if (used == len) {
            if (parser->_max > 0 && parser->_line.len + len > parser->_max + MAX_NAME)
                return EVENT_PARSER_TOO_LONG;
            return buffer_append(&parser->_line, data, len) == 0 ? EVENT_PARSER_MORE
                                                                 : EVENT_PARSER_NO_MEMORY;
        }
        parser->_after_cr = data[used] == '\r';
        result = end_line(parser, data, used);
        data += used + 1;
        len -= used + 1;
    }
    return result;
}

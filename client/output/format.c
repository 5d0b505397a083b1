#include "client/output/format.h"

#include <string.h>
#include <uv.h>

#include "common/base/base64.h"
#include "common/base/encode.h"
#include "common/base/escape.h"

/* The letter behind a '%', or a literal: bytes of `_literals`. */
struct format_piece {
    char letter; /* 0: a literal */
    size_t at;
    size_t len;
};

/* ---- compiling ---- */

static int add_piece(struct format *format, char letter)
{
    struct format_piece piece = {.letter = letter};

    return buffer_append(&format->_pieces, &piece, sizeof piece);
}

/* Adds a byte to the literal that the format ends in, or begins one. */
static int add_literal(struct format *format, char byte)
{
    struct format_piece *last = NULL;
    struct format_piece fresh = {.at = format->_literals.len, .len = 1};
    int status = buffer_append(&format->_literals, &byte, 1);

    if (status != 0)
        return status;
    if (format->_pieces.len > 0)
        last = (struct format_piece *) (void *) (format->_pieces.data + format->_pieces.len) - 1;
    if (last == NULL || last->letter != 0)
        return buffer_append(&format->_pieces, &fresh, sizeof fresh);
    last->len++;
    return 0;
}

static int compile_percent(struct format *format, char letter, struct error *error)
{
    if (letter == '%')
        return add_literal(format, '%');
    if (letter == '\0')
        return error_set(error, UV_EINVAL, "it ends in '%%'; write '%%%%' for a percent sign");
    if (strchr("pxXbltIUriun", letter) == NULL)
        return error_set(error, UV_EINVAL,
                         "'%%%c' is unknown: there are %%p %%x %%X %%b %%l %%t %%I %%U %%r "
                         "%%{STRFTIME} %%i %%u %%n %%%%",
                         letter);
    if (strchr("IUr", letter) != NULL)
        format->_timed = true;
    if (letter == 'i')
        format->_identified = true;
    return add_piece(format, letter);
}

/* `text` begins behind "%{"; `*len` is what there is up to the '}'. */
static int compile_strftime(struct format *format, const char *text, size_t *len,
                            struct error *error)
{
    struct format_piece piece = {.letter = '{', .at = format->_literals.len};
    int status;

    *len = strcspn(text, "}");
    if (text[*len] == '\0' || *len == 0)
        return error_set(error, UV_EINVAL,
                         "'%%{' begins a format of strftime: write '%%{%%H:%%M:%%S}'");
    status = buffer_append(&format->_literals, text, *len);
    if (status == 0)
        status = buffer_append(&format->_literals, "", 1);
    format->_timed = true;
    return status == 0 ? buffer_append(&format->_pieces, &piece, sizeof piece) : status;
}

static int compile_backslash(struct format *format, char letter, const char *rest,
                             struct error *error)
{
    static const char letters[] = "aenrtv0\\";
    static const char bytes[] = "\a\x1b\n\r\t\v\0\\";
    const char *found;

    if (letter == 'c' && *rest == '\0') {
        format->_unended = true;
        return 0;
    }
    if (letter == 'c')
        return error_set(error, UV_EINVAL, "'\\c' is for the end, and '%s' follows it", rest);
    if (letter == '\0')
        return error_set(error, UV_EINVAL, "it ends in '\\'; write '\\\\' for a backslash");
    found = strchr(letters, letter);
    if (found == NULL)
        return error_set(error, UV_EINVAL,
                         "'\\%c' is unknown: there are \\a \\e \\n \\r \\t \\v \\0 \\\\ and \\c",
                         letter);
    return add_literal(format, bytes[found - letters]);
}

int format_init(struct format *format, const char *text, struct error *error)
{
    int status = 0;

    *format = (struct format){0};
    while (*text != '\0' && status == 0) {
        size_t len = 0;

        if (*text == '%' && text[1] == '{') {
            status = compile_strftime(format, text + 2, &len, error);
            len++; /* the brace */
        } else if (*text == '%')
            status = compile_percent(format, text[1], error);
        else if (*text == '\\')
            status = compile_backslash(format, text[1], text + 1 + (text[1] != '\0'), error);
        else
            status = add_literal(format, *text);
        if (status == 0)
            text += len + (*text == '%' || *text == '\\' ? 2 : 1);
    }
    if (status == UV_ENOMEM)
        status = error_set(error, UV_ENOMEM, "out of memory");
    if (status != 0)
        format_deinit(format);
    return status;
}

void format_deinit(struct format *format)
{
    buffer_deinit(&format->_literals);
    buffer_deinit(&format->_pieces);
}

bool format_is_timed(const struct format *format)
{
    return format->_timed;
}

bool format_is_identified(const struct format *format)
{
    return format->_identified;
}

bool format_is_ended(const struct format *format)
{
    return !format->_unended;
}

/* ---- printing ---- */

const char *format_type(const struct message *message)
{
    return message->opcode == FRAME_TEXT ? "text" : "binary";
}

int format_append_payload(struct buffer *out, const struct message *message, bool escaped)
{
    static const char mark[] = "base64:";
    int status;

    if (message->opcode == FRAME_TEXT)
        return escaped ? escape_append(out, message->data, message->len)
                       : buffer_append(out, message->data, message->len);
    status = buffer_append(out, mark, sizeof mark - 1);
    return status != 0 ? status : base64_append(out, message->data, message->len);
}

static int append_text(struct buffer *out, const char *text)
{
    return buffer_append(out, text, strlen(text));
}

static int append_number(struct buffer *out, uint64_t number)
{
    return buffer_printf(out, "%llu", (unsigned long long) number);
}

static int append_time(struct buffer *out, char letter, const struct message *message,
                       const struct format_context *context)
{
    char text[STAMP_MAX];
    size_t len;

    if (letter == 'I')
        len = stamp_iso(context->stamps, text, message->time);
    else if (letter == 'U')
        len = stamp_seconds(text, message->time, 9);
    else
        len = stamp_seconds(text, message->since_start, 6);
    return buffer_append(out, text, len);
}

static int append_letter(struct buffer *out, char letter, const struct message *message,
                         const struct format_context *context)
{
    switch (letter) {
    case 'p':
        return format_append_payload(out, message, context->escaped);
    case 'x':
        return encode_hex(out, message->data, message->len, false);
    case 'X':
        return encode_hex(out, message->data, message->len, true);
    case 'b':
        return base64_append(out, message->data, message->len);
    case 'l':
        return append_number(out, message->len);
    case 't':
        return append_text(out, format_type(message));
    case 'i':
        return escape_append(out, (const uint8_t *) message->id, strlen(message->id));
    case 'u':
        return append_text(out, context->url);
    case 'n':
        return append_number(out, context->number);
    default:
        return append_time(out, letter, message, context);
    }
}

int format_append(const struct format *format, struct buffer *out, const struct message *message,
                  const struct format_context *context)
{
    const struct format_piece *piece = (const void *) format->_pieces.data;
    size_t count = format->_pieces.len / sizeof *piece;
    int status = 0;

    for (; status == 0 && count > 0; count--, piece++) {
        if (piece->letter == '{')
            status = stamp_strftime(out, (const char *) format->_literals.data + piece->at,
                                    message->time);
        else if (piece->letter != 0)
            status = append_letter(out, piece->letter, message, context);
        else
            status = buffer_append(out, format->_literals.data + piece->at, piece->len);
    }
    return status;
}

/* What is printed: a format that is taken prints any message; a JSON string is one, and reads back
 * as the text that it was made from. The input is a format, a NUL, and a message; its last byte
 * says which mode, and whether the message is text. */
#include "client/output/render.h"

#include <uv.h>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static unsigned hex_digit(uint8_t digit)
{
    fuzz_check((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'), "%d", digit);
    return digit <= '9' ? (unsigned) digit - '0' : (unsigned) digit - 'a' + 10U;
}

/* UTF-8 of a character below U+10000. */
static void append_character(struct buffer *out, unsigned character)
{
    uint8_t bytes[3];
    size_t len = 0;

    if (character < 0x80) {
        bytes[len++] = (uint8_t) character;
    } else if (character < 0x800) {
        bytes[len++] = (uint8_t) (0xc0 | character >> 6);
        bytes[len++] = (uint8_t) (0x80 | (character & 0x3f));
    } else {
        bytes[len++] = (uint8_t) (0xe0 | character >> 12);
        bytes[len++] = (uint8_t) (0x80 | (character >> 6 & 0x3f));
        bytes[len++] = (uint8_t) (0x80 | (character & 0x3f));
    }
    fuzz_check(buffer_append(out, bytes, len) == 0, "out of memory");
}

/* RFC 8259, 7. Returns the byte behind the escape. */
static const uint8_t *read_escape(const uint8_t *at, const uint8_t *end, struct buffer *out)
{
    static const char letters[] = "\"\\bfnrt";
    static const char bytes[] = "\"\\\b\f\n\r\t";
    const char *found;
    unsigned character = 0;

    fuzz_check(at < end, "a backslash at the end");
    found = strchr(letters, *at);
    if (found != NULL && *at != '\0') {
        fuzz_check(buffer_append(out, bytes + (found - letters), 1) == 0, "out of memory");
        return at + 1;
    }
    fuzz_check(*at == 'u' && end - at > 4, "escape %d", *at);
    for (int i = 1; i <= 4; i++)
        character = character << 4 | hex_digit(at[i]);
    fuzz_check(character < 0xd800 || character > 0xdfff, "a surrogate");
    append_character(out, character);
    return at + 5;
}

static void check_json(const uint8_t *text, size_t len)
{
    struct buffer json = {0}, back = {0};
    const uint8_t *at, *end;

    fuzz_check(json_append_string(&json, text, len) == 0, "out of memory");
    fuzz_check(json.len >= 2 && json.data[0] == '"' && json.data[json.len - 1] == '"', "quotes");
    fuzz_check(utf8_valid(json.data, json.len), "not UTF-8");
    end = json.data + json.len - 1;
    for (at = json.data + 1; at < end;) {
        fuzz_check(*at >= 0x20 && *at != '"' && *at != 0x7f, "a bare %d", *at);
        if (*at == '\\')
            at = read_escape(at + 1, end, &back);
        else
            fuzz_check(buffer_append(&back, at++, 1) == 0, "out of memory");
    }
    if (utf8_valid(text, len))
        fuzz_check(back.len == len && (len == 0 || memcmp(back.data, text, len) == 0), "changed");
    buffer_deinit(&json);
    buffer_deinit(&back);
}

static void check_render(enum render_mode mode, const char *format, const struct message *message)
{
    struct render_config config = {
        .mode = mode, .format = format, .escaped = true, .url = "ws://localhost/"};
    struct buffer out = {0};
    struct error error = {""};
    struct render render;
    int status = render_init(&render, &config, &error);

    if (status != 0) {
        fuzz_check(status == UV_EINVAL && error.text[0] != '\0', "status %d", status);
        return;
    }
    fuzz_check(render_append(&render, &out, message) == 0, "out of memory");
    if (mode != RENDER_FORMAT && mode != RENDER_BYTES) {
        fuzz_check(out.len > 0 && memchr(out.data, '\n', out.len) == out.data + out.len - 1,
                   "a line is not one line");
        fuzz_check(memchr(out.data, '\x1b', out.len) == NULL, "it acts on a terminal");
    }
    buffer_deinit(&out);
    render_deinit(&render);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t choice = fuzz_last(&input);
    const uint8_t *nul = input.len > 0 ? memchr(input.data, '\0', input.len) : NULL;
    size_t len = nul != NULL ? (size_t) (nul - input.data) : input.len;
    struct fuzz_input written = fuzz_take(&input, len);
    char *format = strndup((const char *) written.data, written.len);
    struct message message = {.id = ""};
    uint8_t *copy;

    fuzz_check(format != NULL, "out of memory");
    (void) fuzz_first(&input);
    copy = fuzz_copy(input.data, input.len);
    message.data = copy;
    message.len = input.len;
    message.opcode =
        (choice & 0x80) != 0 && utf8_valid(copy, input.len) ? FRAME_TEXT : FRAME_BINARY;
    message.time = (int64_t) input.len * 123456789123 - 1000000000;
    message.since_start = message.time;
    check_json(copy, input.len);
    check_render(choice % (RENDER_BYTES + 1), format, &message);
    free(copy);
    free(format);
    return 0;
}

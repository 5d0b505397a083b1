/* JSON for people: only its white space is changed, so that what was indented goes back on the same
 * line; and nothing in it acts on a terminal. */
#include "client/output/json_view.h"

#include "tests/fuzz/fuzz.h"

static struct buffer view(bool pretty, bool escaped, const uint8_t *text, size_t len)
{
    const struct json_view how = {.pretty = pretty, .escaped = escaped};
    struct buffer out = {0};

    fuzz_check(json_view_append(&how, &out, text, len) == 0, "out of memory");
    return out;
}

/* Strings keep their white space, and all else has none. */
static struct buffer without_space(const uint8_t *text, size_t len)
{
    struct buffer out = {0};
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        bool escape = in_string && text[i] == '\\' && i + 1 < len;

        if (in_string || strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
            fuzz_check(buffer_append(&out, text + i, escape ? 2 : 1) == 0, "out of memory");
        if (text[i] == '"')
            in_string = !in_string;
        i += escape;
    }
    return out;
}

static void check_same(const char *what, struct buffer *a, const struct buffer *b)
{
    fuzz_check(a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0),
               "%s: '%.*s' is not '%.*s'", what, (int) a->len, (const char *) a->data, (int) b->len,
               (const char *) b->data);
    buffer_deinit(a);
}

static void check_harmless(struct buffer *shown)
{
    for (size_t i = 0; i < shown->len; i++)
        fuzz_check((shown->data[i] >= 0x20 && shown->data[i] != 0x7f) || shown->data[i] == '\n',
                   "byte %d is shown", shown->data[i]);
    buffer_deinit(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer line, indented, bare, other;

    if (!json_view_is_for(data, size))
        return 0;
    line = view(false, false, data, size);
    indented = view(true, false, data, size);
    bare = without_space(data, size);
    other = without_space(line.data, line.len);
    check_same("on a line", &other, &bare);
    other = without_space(indented.data, indented.len);
    check_same("indented", &other, &bare);
    other = view(false, false, indented.data, indented.len);
    check_same("on a line again", &other, &line);
    other = view(true, true, data, size);
    check_harmless(&other);
    buffer_deinit(&line);
    buffer_deinit(&indented);
    buffer_deinit(&bare);
    return 0;
}

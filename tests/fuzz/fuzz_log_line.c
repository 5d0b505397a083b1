/* A line of the log, whose text and values come from anywhere: it is one line, of bounded length,
 * of printable UTF-8; and as JSON an object that has what was put in, cut or whole. The choice:
 * form and level. The input is the text, and values, each up to a NUL. */
#include "common/base/log_line.h"

#include <jansson.h>

#include "common/base/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { FIELDS = 12, SURELY_WHOLE = 150 };

static void check_json(const char *line, size_t len, const struct log_entry *entry)
{
    json_error_t error;
    json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    const char *message = json_string_value(json_object_get(object, "message"));
    size_t text_len = strlen(entry->text);

    fuzz_check(object != NULL, "jansson says: %s", error.text);
    fuzz_check(message != NULL, "no message");
    if (text_len < SURELY_WHOLE && utf8_valid((const uint8_t *) entry->text, text_len))
        fuzz_check(strcmp(message, entry->text) == 0, "'%s'", message);
    json_decref(object);
}

static void check(const struct log_form *form, const struct log_entry *entry)
{
    char line[LOG_LINE_MAX];
    size_t len = log_line_write(line, form, entry);
    size_t prefix = form->prefix == LOG_PREFIX_JOURNAL ? 3 : 0; /* "<N>" */

    fuzz_check(len > 0 && len <= LOG_LINE_MAX, "%zu bytes", len);
    fuzz_check(memchr(line, '\n', len) == line + len - 1, "no single line");
    fuzz_check(utf8_valid((const uint8_t *) line, len), "no UTF-8");
    for (size_t i = 0; i + 1 < len; i++)
        fuzz_check((unsigned char) line[i] >= ' ' && line[i] != 0x7f, "a control at %zu", i);
    if (form->json)
        check_json(line + prefix, len - prefix, entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[FIELDS] = {"a", "b", "c", "d", "e", "f",
                                              "g", "h", "i", "j", "k", "l"};
    struct fuzz_input input = {data, size};
    uint8_t choice = fuzz_last(&input);
    struct log_form form = {(choice & 1) != 0, (enum log_prefix)((choice >> 1) % 3)};
    char *text = malloc(input.len + 1);
    struct log_field fields[FIELDS];
    struct log_entry entry = {
        .program = "prog",
        .level = (enum log_level)(choice >> 6),
        .time = (uint64_t) size * 0x123456789,
        .text = text,
        .fields = fields,
        .fields_in_json = (choice & 8) != 0,
    };

    fuzz_check(text != NULL, "out of memory");
    memcpy(text, input.data, input.len);
    text[input.len] = '\0';
    for (char *at = text + strlen(text); entry.field_count < FIELDS && at < text + input.len;
         at += strlen(at)) {
        at++;
        fields[entry.field_count] = (struct log_field){
            names[entry.field_count],
            entry.field_count % 3 == 2 ? LOG_FIELD_MILLISECONDS : LOG_FIELD_TEXT, at, size};
        entry.field_count++;
    }
    check(&form, &entry);
    free(text);
    return 0;
}

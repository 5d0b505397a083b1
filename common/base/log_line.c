#include "common/base/log_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/escape.h"
#include "common/base/json.h"

enum {
    MAX_TEXT = 1032, /* bytes of the text of an entry, as it is written */
    MAX_VALUE = 512, /* and of a value */
    MAX_NAME = 64,   /* of a field, with what stands around it */
    MAX_NUMBER = 24,
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const unsigned char priorities[] = {3, 4, 6, 7}; /* RFC 5424, 6.2.1 */

/* What has been written so far. There is always room for what ends the line. */
struct writer {
    char *line;
    size_t len;
};

static void put(struct writer *writer, const char *text, size_t len)
{
    memcpy(writer->line + writer->len, text, len);
    writer->len += len;
}

static void put_text(struct writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

/* True when a field fits, and the end of the line behind it. */
static bool has_room(const struct writer *writer)
{
    return writer->len + MAX_NAME + MAX_VALUE + MAX_NUMBER <= LOG_LINE_MAX;
}

/* RFC 3339, in UTC. */
static void put_time(struct writer *writer, uint64_t milliseconds)
{
    time_t seconds = (time_t) (milliseconds / 1000);
    struct tm parts;
    char text[64];
    size_t len;

    if (gmtime_r(&seconds, &parts) == NULL)
        parts = (struct tm){.tm_mday = 1, .tm_year = 70};
    len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    put(writer, text, len);
    (void) snprintf(text, sizeof text, ".%03uZ", (unsigned) (milliseconds % 1000));
    put_text(writer, text);
}

static void put_number(struct writer *writer, const struct log_field *field)
{
    char text[MAX_NUMBER + 8];

    if (field->type == LOG_FIELD_NUMBER)
        (void) snprintf(text, sizeof text, "%" PRIu64, field->number);
    else
        (void) snprintf(text, sizeof text, "%" PRIu64 ".%03u", field->number / 1000,
                        (unsigned) (field->number % 1000));
    put_text(writer, text);
}

/* ---- text ---- */

static bool is_bare(const char *value)
{
    if (*value == '\0')
        return false;
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char) *c <= ' ' || strchr("\"\\=", *c) != NULL)
            return false;
    }
    return true;
}

/* `value` is printable. Cut if it is too long, which its "..." says. */
static void put_quoted(struct writer *writer, const char *value)
{
    size_t most = writer->len + MAX_VALUE - 1;

    put(writer, "\"", 1);
    for (; *value != '\0' && writer->len + 2 <= most; value++) {
        if (*value == '"' || *value == '\\')
            put(writer, "\\", 1);
        put(writer, value, 1);
    }
    put(writer, "\"", 1);
}

static void put_value(struct writer *writer, const char *value)
{
    char shown[MAX_VALUE / 2]; /* each byte of it may get a backslash */

    escape_text(shown, sizeof shown, value, strlen(value));
    if (is_bare(shown))
        put_text(writer, shown);
    else
        put_quoted(writer, shown);
}

static void put_fields(struct writer *writer, const struct log_entry *entry)
{
    for (size_t i = 0; i < entry->field_count && has_room(writer); i++) {
        const struct log_field *field = &entry->fields[i];

        put(writer, " ", 1);
        put_text(writer, field->name);
        put(writer, "=", 1);
        if (field->type == LOG_FIELD_TEXT)
            put_value(writer, field->text);
        else
            put_number(writer, field);
    }
}

static void put_prefix(struct writer *writer, enum log_prefix prefix, const struct log_entry *entry)
{
    if (prefix == LOG_PREFIX_JOURNAL)
        return; /* which knows the program */
    if (prefix == LOG_PREFIX_TIME) {
        put_time(writer, entry->time);
        put(writer, " ", 1);
        put_text(writer, level_names[entry->level]);
        put(writer, " ", 1);
    }
    put_text(writer, entry->program);
    put(writer, ": ", 2);
}

static void write_text(struct writer *writer, enum log_prefix prefix, const struct log_entry *entry)
{
    char shown[MAX_TEXT];

    put_prefix(writer, prefix, entry);
    put_text(writer, escape_text(shown, sizeof shown, entry->text, strlen(entry->text)));
    if (!entry->fields_in_json)
        put_fields(writer, entry);
}

/* ---- JSON ---- */

static void put_string(struct writer *writer, const char *text, size_t max)
{
    size_t len = strlen(text), used;

    put(writer, "\"", 1);
    writer->len += json_escape((uint8_t *) writer->line + writer->len, max - 5, text, len, &used);
    put_text(writer, used < len ? "...\"" : "\"");
}

static void put_name(struct writer *writer, const char *name)
{
    put(writer, ",\"", 2);
    put_text(writer, name);
    put(writer, "\":", 2);
}

static void write_json(struct writer *writer, const struct log_entry *entry)
{
    put_text(writer, "{\"time\":\"");
    put_time(writer, entry->time);
    put_text(writer, "\",\"level\":\"");
    put_text(writer, level_names[entry->level]);
    put(writer, "\"", 1);
    put_name(writer, "program");
    put_string(writer, entry->program, MAX_NAME);
    put_name(writer, "message");
    put_string(writer, entry->text, MAX_TEXT);
    for (size_t i = 0; i < entry->field_count && has_room(writer); i++) {
        const struct log_field *field = &entry->fields[i];

        put_name(writer, field->name);
        if (field->type == LOG_FIELD_TEXT)
            put_string(writer, field->text, MAX_VALUE);
        else
            put_number(writer, field);
    }
    put(writer, "}", 1);
}

size_t log_line_write(char line[LOG_LINE_MAX], const struct log_form *form,
                      const struct log_entry *entry)
{
    struct writer writer = {line, 0};
    char priority[8];

    if (form->prefix == LOG_PREFIX_JOURNAL) {
        (void) snprintf(priority, sizeof priority, "<%u>", priorities[entry->level]);
        put_text(&writer, priority);
    }
    if (form->json)
        write_json(&writer, entry);
    else
        write_text(&writer, form->prefix, entry);
    put(&writer, "\n", 1);
    return writer.len;
}

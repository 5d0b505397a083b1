#include "server/upgrade/state_reader.h"

#include <string.h>
#include <uv.h>

#include "server/upgrade/state_format.h"

/* A record or a field, as it lies there. */
struct piece {
    uint16_t name;
    const uint8_t *data;
    size_t len;
};

static uint64_t load(const uint8_t *data, size_t size)
{
    uint64_t number = 0;

    for (size_t i = size; i > 0; i--)
        number = number << 8 | data[i - 1];
    return number;
}

/* Takes the first piece of the `len` bytes at `data`. False if they do not hold a whole one. */
static bool take(const uint8_t *data, size_t len, struct piece *piece)
{
    if (len < STATE_PREFIX_SIZE)
        return false;
    piece->name = (uint16_t) load(data, 2);
    piece->len = (size_t) load(data + 2, 4);
    piece->data = data + STATE_PREFIX_SIZE;
    return piece->len <= len - STATE_PREFIX_SIZE;
}

int state_reader_init(struct state_reader *reader, const uint8_t *data, size_t len,
                      struct error *error)
{
    uint64_t version;

    *reader = (struct state_reader){data, len, STATE_HEADER_SIZE};
    if (len < STATE_HEADER_SIZE || memcmp(data, STATE_MAGIC, STATE_MAGIC_SIZE) != 0)
        return error_set(error, UV_EINVAL, "this is not the state of a wsbroadcastd");
    version = load(data + STATE_MAGIC_SIZE, STATE_HEADER_SIZE - STATE_MAGIC_SIZE);
    if (version != STATE_VERSION)
        return error_set(error, UV_ENOTSUP, "the state has version %llu, this program reads %d",
                         (unsigned long long) version, STATE_VERSION);
    return 0;
}

/* Holds one field against the rule. */
static int read_field(const struct piece *piece, struct state_record *record, struct error *error)
{
    const struct state_rule *rule = record->rule;
    const struct state_field *field;
    struct state_value *value;
    size_t i = 0;

    while (i < rule->count && rule->fields[i].tag != piece->name)
        i++;
    if (i == rule->count)
        return error_set(error, UV_EINVAL, "state: %s: field %u is not known", rule->name,
                         (unsigned) piece->name);
    field = &rule->fields[i];
    value = &record->values[i];
    if (value->present)
        return error_set(error, UV_EINVAL, "state: %s: duplicate %s", rule->name, field->name);
    *value = (struct state_value){.present = true, .data = piece->data, .len = piece->len};
    if (field->type == STATE_NUMBER && piece->len != STATE_NUMBER_SIZE)
        return error_set(error, UV_EINVAL, "state: %s: %s is not a number", rule->name,
                         field->name);
    if (field->type == STATE_NUMBER)
        value->number = load(piece->data, STATE_NUMBER_SIZE);
    if ((field->type == STATE_NUMBER ? value->number : value->len) > field->max)
        return error_set(error, UV_EINVAL, "state: %s: %s is out of range", rule->name,
                         field->name);
    return 0;
}

static int read_fields(const struct piece *whole, struct state_record *record, struct error *error)
{
    const struct state_rule *rule = record->rule;
    size_t at = 0;

    while (at < whole->len) {
        struct piece piece;
        int status;

        if (!take(whole->data + at, whole->len - at, &piece))
            return error_set(error, UV_EINVAL, "state: %s: a field is cut off", rule->name);
        status = read_field(&piece, record, error);
        if (status != 0)
            return status;
        at += STATE_PREFIX_SIZE + piece.len;
    }
    for (size_t i = 0; i < rule->count; i++) {
        if (rule->fields[i].required && !record->values[i].present)
            return error_set(error, UV_EINVAL, "state: %s: %s is missing", rule->name,
                             rule->fields[i].name);
    }
    return 1;
}

int state_reader_next(struct state_reader *reader, const struct state_rule *rules, size_t count,
                      struct state_record *record, struct error *error)
{
    struct piece piece;

    if (!take(reader->_data + reader->_at, reader->_len - reader->_at, &piece))
        return error_set(error, UV_EINVAL, "state: it is cut off");
    reader->_at += STATE_PREFIX_SIZE + piece.len;
    if (piece.name == STATE_END) {
        if (piece.len > 0 || reader->_at != reader->_len)
            return error_set(error, UV_EINVAL, "state: there is more behind its end");
        return 0;
    }
    *record = (struct state_record){0};
    for (size_t i = 0; i < count; i++) {
        if (rules[i].kind == piece.name)
            record->rule = &rules[i];
    }
    if (record->rule == NULL)
        return error_set(error, UV_EINVAL, "state: a record of kind %u is not known",
                         (unsigned) piece.name);
    return read_fields(&piece, record, error);
}

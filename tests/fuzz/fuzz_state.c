/* The state of an upgrade: whatever stands there, no byte beyond it is read, and what is accepted
 * keeps to the rules. The choice: how many bytes of a right header are put before it. */
#include "server/upgrade/state_format.h"
#include "server/upgrade/state_reader.h"
#include "tests/fuzz/fuzz.h"

static const struct state_field fields[] = {
    {"name", 1, STATE_BYTES, 64, true},
    {"number", 2, STATE_NUMBER, 1000, true},
    {"more", 3, STATE_BYTES, UINT32_MAX, false},
};
static const struct state_rule rules[] = {{"one", 1, fields, 3}, {"none", 2, fields, 0}};

static void check(const struct state_record *record, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < record->rule->count; i++) {
        const struct state_value *value = &record->values[i];
        const struct state_field *field = &record->rule->fields[i];

        fuzz_check(value->present || !field->required, "%s is missing", field->name);
        if (!value->present)
            continue;
        fuzz_check(value->data >= data && value->len <= len &&
                       value->data <= data + len - value->len,
                   "%s lies outside", field->name);
        fuzz_check((field->type == STATE_NUMBER ? value->number : value->len) <= field->max,
                   "%s is out of range", field->name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t header[STATE_HEADER_SIZE] = STATE_MAGIC "\1\0\0";
    struct fuzz_input input = {data, size};
    size_t before = fuzz_last(&input) % 2 == 0 ? 0 : sizeof header;
    size_t len = before + input.len;
    struct state_reader reader;
    struct state_record record;
    struct error error = {""};
    uint8_t *copy = malloc(len > 0 ? len : 1);
    int status;

    fuzz_check(copy != NULL, "out of memory");
    memcpy(copy, header, before);
    if (input.len > 0)
        memcpy(copy + before, input.data, input.len);
    status = state_reader_init(&reader, copy, len, &error);
    while (status == 0 && (status = state_reader_next(&reader, rules, 2, &record, &error)) == 1) {
        check(&record, copy, len);
        status = 0;
    }
    fuzz_check(status == 0 || error.text[0] != '\0', "an error without a text");
    free(copy);
    return 0;
}

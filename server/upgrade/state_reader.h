/* Reads the state that another process has written (state_format.h), which may be of another
 * version or damaged: nothing is read beyond its end, and all that a caller gets has been held
 * against that caller's rules. Strict: what is not known, missing, doubled or too much is an
 * error. Values are borrowed from the bytes that are read. */
#ifndef WS_SERVER_UPGRADE_STATE_READER_H
#define WS_SERVER_UPGRADE_STATE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

enum { STATE_MAX_FIELDS = 32 };

enum state_type {
    STATE_NUMBER,
    STATE_BYTES,
};

struct state_field {
    const char *name; /* for errors */
    uint16_t tag;
    enum state_type type;
    uint64_t max; /* the largest number, or the most bytes */
    bool required;
};

/* What a record of this kind may have: at most STATE_MAX_FIELDS fields. */
struct state_rule {
    const char *name;
    uint16_t kind;
    const struct state_field *fields;
    size_t count;
};

struct state_value {
    bool present;
    uint64_t number;
    const uint8_t *data;
    size_t len;
};

struct state_record {
    const struct state_rule *rule;
    struct state_value values[STATE_MAX_FIELDS]; /* in the order of the rule's fields */
};

struct state_reader {
    const uint8_t *_data;
    size_t _len;
    size_t _at;
};

/* Checks the header; the bytes are borrowed. Returns 0, UV_EINVAL if this is no state, or
 * UV_ENOTSUP if it has another version, with a text. */
int state_reader_init(struct state_reader *reader, const uint8_t *data, size_t len,
                      struct error *error);

/* The next record, by the rule for its kind. Returns 1, 0 at the end of a complete state, or
 * UV_EINVAL with a text; nothing is to be read after that. */
int state_reader_next(struct state_reader *reader, const struct state_rule *rules, size_t count,
                      struct state_record *record, struct error *error);

#endif

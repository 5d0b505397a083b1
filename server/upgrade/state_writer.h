/* Writes the state for the next process (state_format.h) to a memory file, which is sealed when it
 * is complete: nobody can change it afterwards. The caller owns the writer, and the file once it is
 * sealed. Errors stick: after the first, every call does nothing, and state_writer_seal reports it.
 */
#ifndef WS_SERVER_UPGRADE_STATE_WRITER_H
#define WS_SERVER_UPGRADE_STATE_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct state_writer {
    int _fd;
    int _status;
    uint64_t _left;     /* bytes that the file may still take */
    struct buffer _out; /* not yet in the file */
    size_t _record;     /* where the record begun last stands in it */
};

/* `max` bounds the file, in bytes. Returns 0 or a negative UV_E* code; state_writer_deinit is to
 * follow either way. */
int state_writer_init(struct state_writer *writer, uint64_t max);

/* Frees all that is held, the file too if it was not sealed. */
void state_writer_deinit(struct state_writer *writer);

/* Records do not nest; `kind` is not STATE_END. */
void state_writer_begin(struct state_writer *writer, uint16_t kind);
void state_writer_number(struct state_writer *writer, uint16_t tag, uint64_t number);
void state_writer_bytes(struct state_writer *writer, uint16_t tag, const void *data, size_t len);
void state_writer_end(struct state_writer *writer);

/* Completes and seals the file; `*fd` (close-on-exec) is the caller's then. Returns 0, or the first
 * error: UV_ENOSPC beyond `max`, UV_E2BIG for a record of 4 GiB, UV_ENOMEM, or what the system
 * says. */
int state_writer_seal(struct state_writer *writer, int *fd);

#endif

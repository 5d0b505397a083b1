/* Standard output. What is to be printed in one turn of the loop goes out in one write at its end;
 * when the reader is slow it waits here, and the owner stops receiving until it is gone. Where the
 * owner wants to know of each message when it is written, each goes out in a write of its own. */
#ifndef WS_CLIENT_OUTPUT_PRINTER_H
#define WS_CLIENT_OUTPUT_PRINTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/base/descriptor.h"

struct printer {
    struct descriptor _out;
    uv_poll_t _poll;
    struct buffer _lines; /* not written yet */
    size_t _written;      /* of these, bytes that are */
    struct buffer _marks; /* of size_t: where in `_lines` the marked messages end */
    size_t _passed;       /* of these, how many are written and told */
    bool _waiting;        /* for the reader of the pipe */
    bool _broken;
    int _failure; /* of on_mark, which has not been told yet */
    int (*_on_mark)(struct printer *printer);
    void (*_on_drained)(struct printer *printer);
    void (*_on_broken)(struct printer *printer, int status);
};

/* `on_mark` runs when all up to the next mark is written, and returns 0, or a negative UV_E* code
 * after which nothing more is written; `on_drained` when all is written after some had to wait;
 * `on_broken` once, when nothing can be written any more (UV_EPIPE: the reader is gone, which is
 * noticed even while there is nothing to write; or on_mark's own code). Returns 0 or a negative
 * UV_E* code. */
int printer_init(struct printer *printer, uv_loop_t *loop, int (*on_mark)(struct printer *printer),
                 void (*on_drained)(struct printer *printer),
                 void (*on_broken)(struct printer *printer, int status));

/* Stops; what waits is dropped. Run the loop once more before the printer's memory goes. */
void printer_close(struct printer *printer);

/* Where the owner appends what is to be printed. */
static inline struct buffer *printer_output(struct printer *printer)
{
    return &printer->_lines;
}

/* What has been appended so far is the end of a message: on_mark will tell when it is written, and
 * no write goes beyond it. Returns 0 or UV_ENOMEM. */
int printer_mark(struct printer *printer);

/* Drops what is not written, and writes nothing any more. */
void printer_drop(struct printer *printer);

/* Writes what can be written now. Call it at the end of the turn. */
void printer_flush(struct printer *printer);

/* The same, for before something else is written: of the callbacks only on_mark runs within it, and
 * what goes wrong is told by the next printer_flush. */
void printer_push(struct printer *printer);

/* Bytes that are not written yet. */
static inline size_t printer_pending(const struct printer *printer)
{
    return printer->_lines.len - printer->_written;
}

/* True from a flush that the reader could not take until on_drained. */
bool printer_is_waiting(const struct printer *printer);

#endif

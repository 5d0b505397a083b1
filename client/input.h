/* Standard input, line by line, for those who asked for it (-s). Whatever it is (pipe, terminal,
 * socket or file), reading it never blocks the loop, and stops while the owner cannot take more. */
#ifndef WS_INPUT_H
#define WS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "client/descriptor.h"
#include "common/buffer.h"

enum { INPUT_MAX_LINE = 16 * 1024 * 1024 }; /* bytes; a longer line is reported and skipped */

struct input {
    struct descriptor _in;
    uv_loop_t *_loop;
    uv_poll_t _poll;  /* of what is pollable */
    uv_fs_t _request; /* of what is not: a file, read by libuv's threads */
    bool _reading;    /* `_request` is under way */
    bool _paused;
    bool _ended;
    bool _closed;
    bool _skipping; /* the rest of a line that is too long */
    uint64_t _line; /* number of the line that is being read, from 1 */
    struct buffer _partial;
    void (*_on_line)(struct input *input, const uint8_t *line, size_t len);
    char _chunk[64 * 1024];
};

/* `on_line` gets each line without its newline, borrowed for the call; the last one need not have
 * had a newline. Nothing is read before input_resume. Returns 0 or a negative UV_E* code. */
int input_init(struct input *input, uv_loop_t *loop,
               void (*on_line)(struct input *input, const uint8_t *line, size_t len));

/* Stops for good. Run the loop once more before the input's memory goes. */
void input_close(struct input *input);

/* Back-pressure: between these two no more is read than has been. */
void input_pause(struct input *input);
void input_resume(struct input *input);

/* The number, from 1, of the line that on_line was last called with. */
uint64_t input_line(const struct input *input);

#endif

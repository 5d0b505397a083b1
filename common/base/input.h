/* Standard input, line by line. Whatever it is (pipe, terminal, socket
 * or file), reading it never blocks the loop, and stops while the owner cannot take more: lines
 * that were read with the one that made the owner pause wait here. A line that is too long is
 * reported and skipped. */
#ifndef WS_COMMON_BASE_INPUT_H
#define WS_COMMON_BASE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/base/descriptor.h"

struct input;

struct input_ops {
    /* A line without its delimiter, borrowed for the call; the last one need not have had one. */
    void (*on_line)(struct input *input, const uint8_t *line, size_t len);
    /* All lines have been told, and no more will come. */
    void (*on_end)(struct input *input);
};

struct input {
    struct descriptor _in;
    uv_loop_t *_loop;
    uv_poll_t _poll;  /* of what is pollable */
    uv_fs_t _request; /* of what is not: a file, read by libuv's threads */
    uv_idle_t _rest;  /* tells, after a pause, what was read before it */
    char _delimiter;
    size_t _max_line; /* bytes */
    bool _reading;    /* `_request` is under way */
    bool _paused;
    bool _closed;
    int _status; /* of reading; an error is an end, too */
    uint64_t _skipped;
    bool _skipping; /* the rest of a line that is too long */
    uint64_t _line; /* number of the line that is being read, from 1 */
    struct buffer _partial;
    const struct input_ops *_ops;
    size_t _at; /* the bytes of `_chunk` that have not been looked at */
    size_t _end;
    bool _drained; /* nothing more will be read */
    bool _ended;   /* and all is told */
    char _chunk[64 * 1024];
};

/* Lines end in `delimiter`, a newline or a NUL, and have at most `max_line` bytes without it. `ops`
 * is borrowed for the life of the input. Nothing is read before input_resume. Returns 0 or a
 * negative UV_E* code. */
int input_init(struct input *input, uv_loop_t *loop, char delimiter, size_t max_line,
               const struct input_ops *ops);

/* Stops for good. Run the loop once more before the input's memory goes. */
void input_close(struct input *input);

/* Back-pressure: between these two no line is told, and no more is read than has been. */
void input_pause(struct input *input);
void input_resume(struct input *input);

/* True when on_end has run. */
bool input_is_ended(const struct input *input);

/* 0, or the negative UV_E* code, which has been logged, for which reading ended before the end. */
int input_status(const struct input *input);

/* How many lines were too long. */
uint64_t input_skipped(const struct input *input);

/* The number, from 1, of the line that on_line was last called with. */
uint64_t input_line(const struct input *input);

#endif

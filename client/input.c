#include "client/input.h"

#include <string.h>
#include <unistd.h>

#include "common/list.h"
#include "common/log.h"

static void read_file(struct input *input);

int input_init(struct input *input, uv_loop_t *loop,
               void (*on_line)(struct input *input, const uint8_t *line, size_t len))
{
    *input = (struct input){._loop = loop, ._paused = true, ._on_line = on_line};
    descriptor_open(&input->_in, STDIN_FILENO, false);
    if (!descriptor_is_pollable(&input->_in))
        return 0;
    return descriptor_poll_init(&input->_in, loop, &input->_poll);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct input *input = container_of(handle, struct input, _poll);

    descriptor_close(&input->_in);
}

void input_close(struct input *input)
{
    if (input->_closed)
        return;
    input->_closed = true;
    input->_ended = true;
    buffer_deinit(&input->_partial);
    if (descriptor_is_pollable(&input->_in))
        uv_close((uv_handle_t *) &input->_poll, on_poll_closed);
    else if (input->_reading)
        (void) uv_cancel((uv_req_t *) &input->_request);
}

/* ---- lines ---- */

/* Keeps the beginning of a line whose end has not come. */
static void keep_partial(struct input *input, const uint8_t *data, size_t len)
{
    if (input->_skipping)
        return;
    if (input->_partial.len + len <= INPUT_MAX_LINE &&
        buffer_append(&input->_partial, data, len) == 0)
        return;
    input->_skipping = true;
    log_error("line %llu of standard input is longer than %d bytes: not sent",
              (unsigned long long) input->_line + 1, INPUT_MAX_LINE);
    buffer_deinit(&input->_partial);
}

static void end_line(struct input *input, const uint8_t *data, size_t len)
{
    if (input->_partial.len > 0 || input->_skipping) {
        keep_partial(input, data, len);
        data = input->_partial.data;
        len = input->_partial.len;
    }
    input->_line++;
    if (!input->_skipping)
        input->_on_line(input, data, len);
    input->_skipping = false;
    input->_partial.len = 0;
}

static void take_chunk(struct input *input, size_t len)
{
    const uint8_t *data = (const uint8_t *) input->_chunk;
    const uint8_t *newline;

    while (len > 0 && (newline = memchr(data, '\n', len)) != NULL) {
        size_t line = (size_t) (newline - data);

        end_line(input, data, line);
        if (input->_closed)
            return;
        data += line + 1;
        len -= line + 1;
    }
    if (len > 0)
        keep_partial(input, data, len);
}

/* What one read brought: bytes, the end, or an error, which is an end that is reported. */
static void take_result(struct input *input, ssize_t n)
{
    if (n > 0) {
        take_chunk(input, (size_t) n);
        return;
    }
    if (n < 0)
        log_error("cannot read standard input: %s", uv_strerror((int) n));
    if (input->_partial.len > 0)
        end_line(input, NULL, 0);
    input->_ended = true;
    buffer_deinit(&input->_partial);
    if (descriptor_is_pollable(&input->_in) && !input->_closed)
        (void) uv_poll_stop(&input->_poll);
}

/* ---- reading ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct input *input = container_of(poll, struct input, _poll);
    ssize_t n = status;

    (void) events;
    if (status == 0)
        n = descriptor_read(&input->_in, input->_chunk, sizeof input->_chunk);
    if (n != UV_EAGAIN)
        take_result(input, n);
}

static void on_file_read(uv_fs_t *request)
{
    struct input *input = container_of(request, struct input, _request);
    ssize_t n = request->result;

    uv_fs_req_cleanup(request);
    input->_reading = false;
    if (input->_closed)
        return;
    /* Nobody can take it now: it is read again when somebody can. */
    if (input->_paused && n > 0 && lseek(input->_in.fd, -n, SEEK_CUR) >= 0)
        return;
    take_result(input, n);
    if (!input->_paused && !input->_ended)
        read_file(input);
}

static void read_file(struct input *input)
{
    uv_buf_t buf = uv_buf_init(input->_chunk, sizeof input->_chunk);
    int status =
        uv_fs_read(input->_loop, &input->_request, input->_in.fd, &buf, 1, -1, on_file_read);

    input->_reading = status == 0;
    if (status != 0)
        take_result(input, status);
}

void input_pause(struct input *input)
{
    if (input->_paused || input->_ended)
        return;
    input->_paused = true;
    if (descriptor_is_pollable(&input->_in))
        (void) uv_poll_stop(&input->_poll);
}

void input_resume(struct input *input)
{
    if (!input->_paused || input->_ended)
        return;
    input->_paused = false;
    if (descriptor_is_pollable(&input->_in))
        (void) uv_poll_start(&input->_poll, UV_READABLE, on_poll);
    else if (!input->_reading)
        read_file(input);
}

uint64_t input_line(const struct input *input)
{
    return input->_line;
}

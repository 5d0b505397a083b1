#include "common/base/input.h"

#include <string.h>
#include <unistd.h>

#include "common/base/list.h"
#include "common/base/log.h"

static void read_file(struct input *input);

int input_init(struct input *input, uv_loop_t *loop, char delimiter, size_t max_line,
               const struct input_ops *ops)
{
    int status;

    *input = (struct input){
        ._loop = loop,
        ._paused = true,
        ._delimiter = delimiter,
        ._max_line = max_line,
        ._ops = ops,
    };
    (void) uv_idle_init(loop, &input->_rest); /* which cannot fail */
    descriptor_open(&input->_in, STDIN_FILENO, false);
    if (!descriptor_is_pollable(&input->_in))
        return 0;
    status = descriptor_poll_init(&input->_in, loop, &input->_poll);
    if (status == 0)
        return 0;
    descriptor_close(&input->_in); /* there is nothing that could be closed later */
    uv_close((uv_handle_t *) &input->_rest, NULL);
    input->_closed = true;
    input->_ended = true;
    return status;
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
    input->_drained = true;
    input->_ended = true;
    buffer_deinit(&input->_partial);
    uv_close((uv_handle_t *) &input->_rest, NULL);
    if (descriptor_is_pollable(&input->_in))
        uv_close((uv_handle_t *) &input->_poll, on_poll_closed);
    else if (input->_reading)
        (void) uv_cancel((uv_req_t *) &input->_request);
}

/* ---- lines ---- */

static void skip_line(struct input *input)
{
    input->_skipping = true;
    input->_skipped++;
    log_error("line %llu of standard input is longer than %zu bytes: not sent",
              (unsigned long long) input->_line + 1, input->_max_line);
    buffer_deinit(&input->_partial);
}

/* Keeps the beginning of a line whose end has not come. */
static void keep_partial(struct input *input, const uint8_t *data, size_t len)
{
    if (input->_skipping)
        return;
    if (len > input->_max_line - input->_partial.len ||
        buffer_append(&input->_partial, data, len) != 0)
        skip_line(input);
}

static void end_line(struct input *input, const uint8_t *data, size_t len)
{
    if (input->_partial.len > 0 || input->_skipping) {
        keep_partial(input, data, len);
        data = input->_partial.data;
        len = input->_partial.len;
    } else if (len > input->_max_line) {
        skip_line(input);
    }
    input->_line++;
    if (!input->_skipping)
        input->_ops->on_line(input, data, len);
    input->_skipping = false;
    input->_partial.len = 0;
}

/* Tells the lines of the chunk, as long as the owner takes them. */
static void take_chunk(struct input *input)
{
    while (input->_at < input->_end && !input->_paused && !input->_closed) {
        const uint8_t *data = (const uint8_t *) input->_chunk + input->_at;
        size_t len = input->_end - input->_at;
        const uint8_t *delimiter = memchr(data, input->_delimiter, len);

        if (delimiter == NULL) {
            input->_at = input->_end;
            keep_partial(input, data, len);
        } else {
            input->_at += (size_t) (delimiter - data) + 1;
            end_line(input, data, (size_t) (delimiter - data));
        }
    }
}

/* When all is read and told, a last line without an end is one, too. */
static void end_if_drained(struct input *input)
{
    if (!input->_drained || input->_at < input->_end || input->_paused || input->_ended)
        return;
    if (input->_partial.len > 0)
        end_line(input, NULL, 0);
    if (input->_closed)
        return;
    input->_ended = true;
    buffer_deinit(&input->_partial);
    input->_ops->on_end(input);
}

/* What one read brought: bytes, the end, or an error, which is an end that is reported. */
static void take_result(struct input *input, ssize_t n)
{
    input->_at = 0;
    input->_end = n > 0 ? (size_t) n : 0;
    if (n < 0) {
        input->_status = (int) n;
        log_error("cannot read standard input: %s", uv_strerror((int) n));
    }
    if (n <= 0) {
        input->_drained = true;
        if (descriptor_is_pollable(&input->_in))
            (void) uv_poll_stop(&input->_poll);
    }
    take_chunk(input);
    end_if_drained(input);
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
    /* The line cannot be taken now: it is read again later. */
    if (input->_paused && n > 0 && lseek(input->_in.fd, -n, SEEK_CUR) >= 0)
        return;
    take_result(input, n);
    if (!input->_paused && !input->_drained)
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

/* Reads on, in the way of what it reads. */
static void start_reading(struct input *input)
{
    if (input->_drained)
        return;
    if (descriptor_is_pollable(&input->_in))
        (void) uv_poll_start(&input->_poll, UV_READABLE, on_poll);
    else if (!input->_reading)
        read_file(input);
}

/* Not within input_resume, whose caller may be in the middle of something. */
static void on_rest(uv_idle_t *rest)
{
    struct input *input = container_of(rest, struct input, _rest);

    (void) uv_idle_stop(rest);
    take_chunk(input);
    if (!input->_paused && !input->_closed)
        start_reading(input);
    end_if_drained(input);
}

void input_pause(struct input *input)
{
    if (input->_paused || input->_ended)
        return;
    input->_paused = true;
    (void) uv_idle_stop(&input->_rest);
    if (descriptor_is_pollable(&input->_in))
        (void) uv_poll_stop(&input->_poll);
}

void input_resume(struct input *input)
{
    if (!input->_paused || input->_ended)
        return;
    input->_paused = false;
    if (input->_at < input->_end || input->_drained)
        (void) uv_idle_start(&input->_rest, on_rest);
    else
        start_reading(input);
}

bool input_is_ended(const struct input *input)
{
    return input->_ended && !input->_closed;
}

int input_status(const struct input *input)
{
    return input->_status;
}

uint64_t input_skipped(const struct input *input)
{
    return input->_skipped;
}

uint64_t input_line(const struct input *input)
{
    return input->_line;
}

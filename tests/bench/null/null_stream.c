#include "tests/bench/null/null_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stream_write left. */
struct waiting {
    struct stream *stream;
    uv_write_t *request;
    uv_write_cb on_written;
    size_t len;
};

struct null_network null_network;

static struct {
    struct stream *accepted;
    uv_alloc_cb on_alloc; /* the same for all streams */
    uv_read_cb on_read;
    uv_close_cb on_closed;
    struct waiting *waiting; /* those whose sockets are full, in no order */
    size_t waiting_count;
    size_t waiting_size;
    uint32_t random;
} state = {.random = 2463534242};

/* ---- the network ---- */

static uint32_t next_random(void) /* xorshift: it need only be cheap */
{
    state.random ^= state.random << 13;
    state.random ^= state.random >> 17;
    state.random ^= state.random << 5;
    return state.random;
}

static void count(struct stream *stream, size_t bytes)
{
    null_stream_set_got(stream, null_stream_got(stream) + bytes);
}

static void end_wait(size_t at, int status)
{
    struct waiting done = state.waiting[at];

    state.waiting[at] = state.waiting[--state.waiting_count];
    if (status == 0)
        count(done.stream, done.len);
    done.on_written(done.request, status);
}

void null_network_turn(void)
{
    size_t count_now = state.waiting_count;

    /* From behind: who waits anew meanwhile stands in places that are done. */
    while (!null_network.held && count_now-- > 0)
        end_wait(count_now, 0);
}

void null_network_forget(void)
{
    free(state.waiting);
    state.waiting = NULL;
    state.waiting_size = 0;
}

size_t null_network_waiting(void)
{
    return state.waiting_count;
}

struct stream *null_network_accepted(void)
{
    return state.accepted;
}

void null_stream_say(struct stream *stream, const void *data, size_t len)
{
    uv_buf_t buf = {0};

    state.on_alloc((uv_handle_t *) &stream->tcp, len, &buf);
    memcpy(buf.base, data, len);
    state.on_read((uv_stream_t *) &stream->tcp, (ssize_t) len, &buf);
}

void null_stream_end(struct stream *stream)
{
    state.on_read((uv_stream_t *) &stream->tcp, UV_EOF, &(uv_buf_t){0});
}

uint64_t null_stream_got(const struct stream *stream)
{
    return (uintptr_t) stream->tcp.data;
}

void null_stream_set_got(struct stream *stream, uint64_t bytes)
{
    stream->tcp.data = (void *) (uintptr_t) bytes; // NOLINT(performance-no-int-to-ptr): a count
}

/* ---- common/net/stream.h ---- */

int stream_init(struct stream *stream, uv_loop_t *loop)
{
    int status = uv_tcp_init(loop, &stream->tcp); /* without a socket: for its life in the loop */

    null_stream_set_got(stream, 0);
    return status;
}

int stream_open(struct stream *stream, int fd)
{
    (void) fd;
    state.accepted = stream;
    return 0;
}

void stream_configure(struct stream *stream)
{
    (void) stream;
}

int stream_read_start(struct stream *stream, uv_alloc_cb on_alloc, uv_read_cb on_read)
{
    (void) stream;
    state.on_alloc = on_alloc;
    state.on_read = on_read;
    return 0;
}

void stream_read_stop(struct stream *stream)
{
    (void) stream;
}

/* The descriptor is looked up as the real one does it: what that touches is part of the cost. */
static void look_up(const struct stream *stream)
{
    volatile int fd = stream->tcp.io_watcher.fd;

    (void) fd;
}

ssize_t stream_try_write(struct stream *stream, const uv_buf_t *bufs, unsigned buf_count)
{
    size_t len = 0;

    for (unsigned i = 0; i < buf_count; i++)
        len += bufs[i].len;
    look_up(stream);
    null_network.writes++;
    if (null_network.stall_one_in > 0 && next_random() % null_network.stall_one_in == 0) {
        null_network.stalls++;
        len = (state.random & (1U << 20)) != 0 ? len / 2 : 0;
    }
    count(stream, len);
    return (ssize_t) len;
}

int stream_write(struct stream *stream, uv_write_t *request, const uv_buf_t *bufs,
                 unsigned buf_count, uv_write_cb on_written)
{
    struct waiting *fresh;

    if (state.waiting_count == state.waiting_size) {
        size_t size = state.waiting_size > 0 ? 2 * state.waiting_size : 1024;

        fresh = realloc(state.waiting, size * sizeof *fresh);
        if (fresh == NULL)
            return UV_ENOMEM;
        state.waiting = fresh;
        state.waiting_size = size;
    }
    fresh = &state.waiting[state.waiting_count++];
    *fresh = (struct waiting){.stream = stream, .request = request, .on_written = on_written};
    for (unsigned i = 0; i < buf_count; i++)
        fresh->len += bufs[i].len;
    request->handle = (uv_stream_t *) &stream->tcp;
    if (state.waiting_count > null_network.most_waiting)
        null_network.most_waiting = state.waiting_count;
    return 0;
}

size_t stream_waiting(const struct stream *stream)
{
    for (size_t i = 0; i < state.waiting_count; i++) {
        if (state.waiting[i].stream == stream)
            return state.waiting[i].len;
    }
    return 0;
}

uint32_t stream_acknowledged(const struct stream *stream)
{
    return (uint32_t) null_stream_got(stream);
}

int stream_finish(struct stream *stream)
{
    (void) stream;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    for (size_t i = state.waiting_count; i > 0; i--) {
        if ((uv_handle_t *) &state.waiting[i - 1].stream->tcp == handle)
            end_wait(i - 1, UV_ECANCELED);
    }
    state.on_closed(handle);
}

void stream_close(struct stream *stream, bool reset, uv_close_cb on_closed)
{
    (void) reset;
    if (uv_is_closing((uv_handle_t *) &stream->tcp) != 0)
        return;
    state.on_closed = on_closed;
    uv_close((uv_handle_t *) &stream->tcp, on_handle_closed);
}

void stream_peer_address(const struct stream *stream, struct sockaddr_storage *address)
{
    (void) stream;
    *address = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
}

const char *stream_peer_name(const struct stream *stream, char *out, size_t size)
{
    (void) stream;
    (void) snprintf(out, size, "nobody");
    return out;
}

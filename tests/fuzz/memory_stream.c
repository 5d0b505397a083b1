#include "tests/fuzz/memory_stream.h"

#include <sanitizer/asan_interface.h>

#include "common/base/list.h"
#include "tests/fuzz/fuzz.h"

/* What stream_write queued. */
struct memory_write {
    struct memory_write *next;
    uv_write_t *request;
    uv_write_cb on_written;
    unsigned count;
    uv_buf_t bufs[]; /* what is still to be written */
};

static struct memory_end *offered; /* to the next stream_open */
static int offered_status;

static struct memory_end *end_of(const struct stream *stream)
{
    return stream->tcp.data;
}

static uv_handle_t *handle_of(struct stream *stream)
{
    return (uv_handle_t *) &stream->tcp;
}

static bool is_open(const struct memory_end *end)
{
    return end->_stream != NULL && uv_is_closing(handle_of(end->_stream)) == 0;
}

/* Takes as much of the buffer as the socket has room for, from where it lies. */
static size_t take(struct memory_end *end, const uv_buf_t *buf)
{
    size_t len = buf->len < end->room ? buf->len : end->room;

    fuzz_check(buffer_append(&end->written, buf->base, len) == 0, "out of memory");
    if (end->room != SIZE_MAX)
        end->room -= len;
    return len;
}

/* ---- the far end ---- */

void memory_end_init(struct memory_end *end)
{
    *end = (struct memory_end){.room = SIZE_MAX};
}

void memory_end_deinit(struct memory_end *end)
{
    fuzz_check(end->_stream == NULL && end->_writes == NULL, "it is still in use");
    buffer_deinit(&end->written);
    buffer_deinit(&end->_incoming);
}

void memory_end_send(struct memory_end *end, const void *data, size_t len)
{
    if (end->_ending == 0)
        fuzz_check(buffer_append(&end->_incoming, data, len) == 0, "out of memory");
}

void memory_end_finish(struct memory_end *end, int ending)
{
    if (end->_ending == 0)
        end->_ending = ending;
}

/* Ends the first write that waits. */
static void end_write(struct memory_end *end, int status)
{
    struct memory_write *write = end->_writes;
    uv_write_t *request = write->request;
    uv_write_cb on_written = write->on_written;

    end->_writes = write->next;
    free(write);
    on_written(request, status);
}

static void pump_writes(struct memory_end *end)
{
    while (is_open(end) && end->_writes != NULL) {
        struct memory_write *write = end->_writes;

        if (end->broken != 0) {
            end_write(end, end->broken);
            continue;
        }
        for (unsigned i = 0; i < write->count; i++) {
            size_t len = take(end, &write->bufs[i]);

            write->bufs[i].base += len;
            write->bufs[i].len -= len;
            if (write->bufs[i].len > 0)
                return;
        }
        end_write(end, 0);
    }
}

/* One read, as libuv does it. False when there was nothing to read. */
static bool read_once(struct memory_end *end)
{
    uv_stream_t *stream = (uv_stream_t *) &end->_stream->tcp;
    uv_buf_t buf = {0};
    size_t len = end->_incoming.len;

    if (len == 0 && end->_ending == 0)
        return false;
    end->_on_alloc(handle_of(end->_stream), 65536, &buf);
    if (buf.base == NULL || buf.len == 0) { /* as libuv does: another time */
        end->_on_read(stream, UV_ENOBUFS, &buf);
        return false;
    }
    if (len == 0) {
        uv_read_cb on_read = end->_on_read;

        end->_on_read = NULL; /* libuv reads no further behind an end */
        on_read(stream, end->_ending, &buf);
        return false;
    }
    if (end->piece > 0 && len > end->piece)
        len = end->piece;
    if (len > buf.len)
        len = buf.len;
    memcpy(buf.base, end->_incoming.data, len);
    buffer_drop(&end->_incoming, len);
    ASAN_POISON_MEMORY_REGION(buf.base + len, buf.len - len); /* nobody may read there */
    end->_on_read(stream, (ssize_t) len, &buf);
    ASAN_UNPOISON_MEMORY_REGION(buf.base + len, buf.len - len);
    return true;
}

void memory_end_wake(struct memory_end *end)
{
    uv_buf_t buf = {0};

    if (!is_open(end) || end->_on_read == NULL)
        return;
    end->_on_alloc(handle_of(end->_stream), 65536, &buf);
    end->_on_read((uv_stream_t *) &end->_stream->tcp, 0, &buf);
}

void memory_end_pump(struct memory_end *end)
{
    pump_writes(end);
    while (is_open(end) && end->_on_read != NULL) {
        if (!read_once(end))
            break;
    }
}

void memory_end_offer(struct memory_end *end, int status)
{
    offered = end;
    offered_status = status;
}

/* ---- common/net/stream.h ---- */

int stream_init(struct stream *stream, uv_loop_t *loop)
{
    int status = uv_tcp_init(loop, &stream->tcp); /* without a socket: for its life in the loop */

    stream->tcp.data = NULL;
    return status;
}

int stream_open(struct stream *stream, int fd)
{
    struct memory_end *end = offered;

    (void) fd;
    if (offered_status != 0)
        return offered_status;
    fuzz_check(end != NULL, "nobody waits");
    offered = NULL;
    end->_stream = stream;
    stream->tcp.data = end;
    return 0;
}

void stream_configure(struct stream *stream)
{
    fuzz_check(end_of(stream) != NULL, "not connected");
}

int stream_read_start(struct stream *stream, uv_alloc_cb on_alloc, uv_read_cb on_read)
{
    struct memory_end *end = end_of(stream);

    fuzz_check(is_open(end), "reading from a closed stream");
    end->_on_alloc = on_alloc;
    end->_on_read = on_read;
    return 0;
}

void stream_read_stop(struct stream *stream)
{
    if (end_of(stream) != NULL)
        end_of(stream)->_on_read = NULL;
}

ssize_t stream_try_write(struct stream *stream, const uv_buf_t *bufs, unsigned count)
{
    struct memory_end *end = end_of(stream);
    size_t written = 0;

    fuzz_check(end != NULL && is_open(end), "writing to a closed stream");
    fuzz_check(end->_writes == NULL, "writing past what is queued");
    fuzz_check(!end->finished, "writing behind the end");
    fuzz_check(count > 0, "writing nothing");
    if (end->broken != 0)
        return end->broken;
    for (unsigned i = 0; i < count; i++) {
        size_t len;

        fuzz_check(bufs[i].len > 0, "an empty buffer");
        len = take(end, &bufs[i]);
        written += len;
        if (len < bufs[i].len)
            break;
    }
    return (ssize_t) written;
}

int stream_write(struct stream *stream, uv_write_t *request, const uv_buf_t *bufs, unsigned count,
                 uv_write_cb on_written)
{
    struct memory_end *end = end_of(stream);
    struct memory_write **last = &end->_writes;
    struct memory_write *write = malloc(sizeof *write + count * sizeof *bufs);

    fuzz_check(write != NULL, "out of memory");
    fuzz_check(is_open(end) && !end->finished, "writing to a closed stream");
    write->next = NULL;
    write->request = request;
    write->on_written = on_written;
    write->count = count;
    memcpy(write->bufs, bufs, count * sizeof *bufs);
    request->handle = (uv_stream_t *) &stream->tcp;
    while (*last != NULL)
        last = &(*last)->next;
    *last = write;
    return 0;
}

size_t stream_waiting(const struct stream *stream)
{
    const struct memory_end *end = end_of(stream);
    size_t waiting = 0;

    for (struct memory_write *write = end->_writes; write != NULL; write = write->next) {
        for (unsigned i = 0; i < write->count; i++)
            waiting += write->bufs[i].len;
    }
    return waiting;
}

uint32_t stream_acknowledged(const struct stream *stream)
{
    return (uint32_t) end_of(stream)->written.len;
}

int stream_finish(struct stream *stream)
{
    struct memory_end *end = end_of(stream);

    fuzz_check(is_open(end) && end->_writes == NULL && !end->finished, "finishing too early");
    if (end->broken != 0)
        return end->broken;
    end->finished = true;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct memory_end *end = handle->data;

    while (end->_writes != NULL)
        end_write(end, UV_ECANCELED);
    end->_stream = NULL;
    end->closed = true;
    end->_on_closed(handle);
}

void stream_close(struct stream *stream, bool reset, uv_close_cb on_closed)
{
    struct memory_end *end = end_of(stream);

    if (uv_is_closing(handle_of(stream)) != 0)
        return;
    if (end == NULL) {
        uv_close(handle_of(stream), on_closed);
        return;
    }
    end->reset = reset;
    end->_on_read = NULL;
    end->_on_closed = on_closed;
    uv_close(handle_of(stream), on_handle_closed);
}

void stream_peer_address(const struct stream *stream, struct sockaddr_storage *address)
{
    const struct memory_end *end = end_of(stream);

    *address = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (end != NULL)
        (void) uv_ip4_addr(end->address != NULL ? end->address : "192.0.2.1", 1,
                           (struct sockaddr_in *) (void *) address);
}

const char *stream_peer_name(const struct stream *stream, char *out, size_t size)
{
    (void) snprintf(out, size, "%s", end_of(stream) != NULL ? "memory port 1" : "unknown");
    return out;
}

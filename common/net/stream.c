#include "common/net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/address.h"
#include "common/net/socket_io.h"
#include "common/net/stream_tls.h"
#include "common/net/tcp_acked.h"

static uv_stream_t *uv_of(struct stream *stream)
{
    return (uv_stream_t *) &stream->tcp;
}

static int descriptor(const struct stream *stream)
{
    return socket_io_descriptor(&stream->tcp);
}

/* What a stream without TLS has beside its handle, once its peer's address was set. `tcp.data` is
 * NULL for most streams; else the TLS layer, or, with its lowest bit set, one of these. */
struct proxied {
    struct sockaddr_storage peer;
    uv_close_cb on_closed;
};

static struct proxied *proxied_of(const struct stream *stream)
{
    uintptr_t data = (uintptr_t) stream->tcp.data;

    return (data & 1) != 0 ? (struct proxied *) (data - 1) : NULL;
}

bool stream_is_tls(const struct stream *stream)
{
    return stream->tcp.data != NULL && proxied_of(stream) == NULL;
}

int stream_init(struct stream *stream, uv_loop_t *loop)
{
    stream->tcp.data = NULL;
    return uv_tcp_init(loop, &stream->tcp);
}

int stream_open(struct stream *stream, int fd)
{
    return uv_tcp_open(&stream->tcp, fd);
}

void stream_configure(struct stream *stream)
{
    /* Fails on a socket that is already broken, and reading from that will tell. */
    (void) uv_tcp_nodelay(&stream->tcp, 1);
}

int stream_start_tls(struct stream *stream, struct tls_context *context, const char *host)
{
    struct stream_tls *layer;
    int status = stream_tls_new(&layer, stream, context, host);

    if (status == 0)
        stream->tcp.data = layer;
    return status;
}

int stream_accept_tls(struct stream *stream, struct tls_loop *loop)
{
    struct stream_tls *layer;
    int status = stream_tls_new_accepted(&layer, stream, loop);

    if (status == 0)
        stream->tcp.data = layer;
    return status;
}

bool stream_has_waited(const struct stream *stream)
{
    return stream_is_tls(stream) && stream_tls_has_waited(stream->tcp.data);
}

bool stream_met_http(const struct stream *stream)
{
    return stream_is_tls(stream) && stream_tls_met_http(stream->tcp.data);
}

bool stream_is_ready(const struct stream *stream)
{
    return !stream_is_tls(stream) || stream_tls_is_ready(stream->tcp.data);
}

const char *stream_error(const struct stream *stream)
{
    return stream_is_tls(stream) ? stream_tls_error(stream->tcp.data) : NULL;
}

bool stream_was_cut(const struct stream *stream)
{
    return stream_is_tls(stream) && stream_tls_was_cut(stream->tcp.data);
}

int stream_read_start(struct stream *stream, uv_alloc_cb on_alloc, uv_read_cb on_read)
{
    if (stream_is_tls(stream))
        return stream_tls_read_start(stream->tcp.data, on_alloc, on_read);
    return uv_read_start(uv_of(stream), on_alloc, on_read);
}

void stream_read_stop(struct stream *stream)
{
    if (stream_is_tls(stream))
        stream_tls_read_stop(stream->tcp.data);
    else
        (void) uv_read_stop(uv_of(stream));
}

bool stream_has_input(const struct stream *stream)
{
    struct pollfd wanted = {.fd = descriptor(stream), .events = POLLIN};

    return wanted.fd >= 0 && poll(&wanted, 1, 0) > 0;
}

ssize_t stream_try_write(struct stream *stream, const uv_buf_t *bufs, unsigned count)
{
    if (stream_is_tls(stream))
        return stream_tls_try_write(stream->tcp.data, bufs, count);
    return socket_io_send(descriptor(stream), bufs, count);
}

int stream_write(struct stream *stream, uv_write_t *request, const uv_buf_t *bufs, unsigned count,
                 uv_write_cb on_written)
{
    if (stream_is_tls(stream))
        return stream_tls_write(stream->tcp.data, request, bufs, count, on_written);
    return uv_write(request, uv_of(stream), bufs, count, on_written);
}

size_t stream_waiting(const struct stream *stream)
{
    size_t waiting = uv_stream_get_write_queue_size((const uv_stream_t *) &stream->tcp);
    int unacknowledged = 0;

    if (ioctl(descriptor(stream), SIOCOUTQ, &unacknowledged) == 0)
        waiting += (size_t) unacknowledged;
    if (stream_is_tls(stream))
        waiting += stream_tls_waiting(stream->tcp.data);
    return waiting;
}

size_t stream_held(const struct stream *stream)
{
    return stream_is_tls(stream) ? stream_tls_held(stream->tcp.data) : 0;
}

void stream_limit_silence(struct stream *stream, unsigned milliseconds)
{
    (void) setsockopt(descriptor(stream), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds,
                      sizeof milliseconds);
}

uint32_t stream_acknowledged(const struct stream *stream)
{
    uint64_t acked;

    if (tcp_acked(descriptor(stream), &acked))
        return (uint32_t) acked;
    return (uint32_t) stream_waiting(stream); /* a Unix socket, where what is read is gone */
}

int stream_finish(struct stream *stream)
{
    return stream_is_tls(stream) ? stream_tls_finish(stream->tcp.data)
                                 : socket_io_shut(descriptor(stream));
}

static void on_proxied_closed(uv_handle_t *handle)
{
    struct stream *stream = (struct stream *) (void *) handle;
    struct proxied *proxied = proxied_of(stream);
    uv_close_cb on_closed = proxied->on_closed;

    stream->tcp.data = NULL;
    free(proxied);
    on_closed(handle);
}

void stream_close(struct stream *stream, bool reset, uv_close_cb on_closed)
{
    struct proxied *proxied = proxied_of(stream);

    if (uv_is_closing((uv_handle_t *) &stream->tcp))
        return;
    if (stream_is_tls(stream)) {
        stream_tls_close(stream->tcp.data, reset, on_closed);
        return;
    }
    if (proxied != NULL) {
        proxied->on_closed = on_closed;
        on_closed = on_proxied_closed;
    }
    if (reset && uv_tcp_close_reset(&stream->tcp, on_closed) == 0)
        return;
    uv_close((uv_handle_t *) &stream->tcp, on_closed);
}

/* An address that was set; NULL: none. */
static const struct sockaddr_storage *set_address(const struct stream *stream)
{
    const struct proxied *proxied = proxied_of(stream);

    if (proxied != NULL)
        return &proxied->peer;
    return stream_is_tls(stream) ? stream_tls_peer_address(stream->tcp.data) : NULL;
}

int stream_set_peer_address(struct stream *stream, const struct sockaddr *address)
{
    struct proxied *proxied = proxied_of(stream);
    struct sockaddr_storage copy = {.ss_family = AF_UNSPEC};

    memcpy(&copy, address,
           address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in));
    if (stream_is_tls(stream))
        return stream_tls_set_peer_address(stream->tcp.data, &copy);
    if (proxied == NULL) {
        proxied = calloc(1, sizeof *proxied);
        if (proxied == NULL)
            return UV_ENOMEM;
        stream->tcp.data = (void *) ((uintptr_t) proxied | 1);
    }
    proxied->peer = copy;
    return 0;
}

void stream_peer_address(const struct stream *stream, struct sockaddr_storage *address)
{
    const struct sockaddr_storage *known = set_address(stream);
    int len = (int) sizeof *address;

    if (known != NULL)
        *address = *known;
    else if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *) address, &len) != 0)
        *address = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
}

const char *stream_peer_name(const struct stream *stream, char *out, size_t size)
{
    const char *known = stream_is_tls(stream) ? stream_tls_client(stream->tcp.data) : NULL;
    struct sockaddr_storage address;

    if (known != NULL) {
        (void) snprintf(out, size, "%s", known);
        return out;
    }
    stream_peer_address(stream, &address);
    return address_client_name((const struct sockaddr *) &address, out, size);
}

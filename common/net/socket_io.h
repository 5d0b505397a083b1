/* The socket beneath a stream: what stream does where there is no TLS, and stream_tls where there
 * is. */
#ifndef WS_COMMON_NET_SOCKET_IO_H
#define WS_COMMON_NET_SOCKET_IO_H

#include <sys/types.h>
#include <uv.h>

/* As uv_fileno gives it, which looks at more of the handle: a cache line for each peer of each
 * flush. */
static inline int socket_io_descriptor(const uv_tcp_t *tcp)
{
    return tcp->io_watcher.fd;
}

/* Writes what the socket takes at once. Returns the number of bytes, 0 when it is full, or a
 * negative UV_E* code. */
ssize_t socket_io_send(int fd, const uv_buf_t *bufs, unsigned count);

/* Sends the FIN of TCP. Returns 0 or a negative UV_E* code. */
int socket_io_shut(int fd);

#endif

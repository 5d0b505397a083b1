#include "server/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"

enum { BACKLOG = 4096 }; /* connections that may wait for accept; the kernel caps it (somaxconn) */

static const char *address_name(const struct sockaddr *address, char *out, size_t size)
{
    bool v6 = address->sa_family == AF_INET6;
    char text[INET6_ADDRSTRLEN] = "?";
    in_port_t port = 0;

    (void) uv_ip_name(address, text, sizeof text);
    if (v6)
        port = ((const struct sockaddr_in6 *) (const void *) address)->sin6_port;
    else if (address->sa_family == AF_INET)
        port = ((const struct sockaddr_in *) (const void *) address)->sin_port;
    (void) snprintf(out, size, v6 ? "[%s]:%u" : "%s:%u", text, ntohs(port));
    return out;
}

static int open_socket(const struct sockaddr *address, int *fd)
{
    socklen_t len =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int on = 1;

    *fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return uv_translate_sys_error(errno);
    /* A server that restarts need not wait for the last one's connections to be forgotten. */
    if (setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        /* [::] and 0.0.0.0 are two addresses: who wants both says so. */
        (address->sa_family == AF_INET6 &&
         setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(*fd, address, len) != 0 || listen(*fd, BACKLOG) != 0) {
        int status = uv_translate_sys_error(errno);

        (void) close(*fd);
        return status;
    }
    return 0;
}

static const char *advice(int status)
{
    switch (status) {
    case UV_EADDRINUSE:
        return "; stop the program that uses it, or listen elsewhere with --listen";
    case UV_EACCES:
        return "; ports below 1024 want privileges";
    case UV_EADDRNOTAVAIL:
        return "; this machine does not have that address";
    default:
        return "";
    }
}

int listener_bind(const struct sockaddr *address, int *fd, struct error *error)
{
    char name[64];
    int status = open_socket(address, fd);

    if (status == 0)
        return 0;
    return error_set(error, status, "cannot listen on %s: %s%s",
                     address_name(address, name, sizeof name), uv_strerror(status), advice(status));
}

const char *listener_name(int fd, char *out, size_t size)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    (void) getsockname(fd, (struct sockaddr *) &address, &len);
    return address_name((const struct sockaddr *) &address, out, size);
}

static bool is_loopback(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    (void) getsockname(fd, (struct sockaddr *) &address, &len);
    if (address.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *) (const void *) &address)->sin6_addr);
    return address.ss_family == AF_INET &&
           ntohl(((const struct sockaddr_in *) (const void *) &address)->sin_addr.s_addr) >> 24 ==
               IN_LOOPBACKNET;
}

static void on_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct listener, _tcp));
}

static void on_refused(uv_handle_t *handle)
{
    struct listener *listener = container_of(handle, struct listener, _refused);

    listener->_refusing = false;
    if (listener->_closing)
        uv_close((uv_handle_t *) &listener->_tcp, on_closed);
}

/* libuv listens no further until the connection that waits is accepted: it is, and closed. */
static void refuse(struct listener *listener)
{
    if (listener->_refusing || uv_tcp_init(listener->_tcp.loop, &listener->_refused) != 0)
        return;
    listener->_refusing = true;
    (void) uv_accept((uv_stream_t *) &listener->_tcp, (uv_stream_t *) &listener->_refused);
    uv_close((uv_handle_t *) &listener->_refused, on_refused);
}

static void on_incoming(uv_stream_t *stream, int status)
{
    struct listener *listener = container_of(stream, struct listener, _tcp);

    if (status == 0)
        status = listener->_on_connection(listener, stream);
    if (status == 0)
        return;
    log_warn("cannot take a connection: %s", uv_strerror(status));
    if (status == UV_ENOMEM)
        refuse(listener);
}

int listener_open(struct listener **listener, uv_loop_t *loop, int fd,
                  int (*on_connection)(struct listener *listener, uv_stream_t *stream))
{
    struct listener *fresh = calloc(1, sizeof *fresh);
    int status;

    if (fresh == NULL) {
        (void) close(fd);
        return UV_ENOMEM;
    }
    list_init(&fresh->node);
    fresh->loopback = is_loopback(fd);
    fresh->_on_connection = on_connection;
    status = uv_tcp_init(loop, &fresh->_tcp);
    if (status != 0) {
        (void) close(fd);
        free(fresh);
        return status;
    }
    status = uv_tcp_open(&fresh->_tcp, fd);
    if (status != 0)
        (void) close(fd);
    else
        status = uv_listen((uv_stream_t *) &fresh->_tcp, BACKLOG, on_incoming);
    if (status != 0)
        listener_close(fresh);
    else
        *listener = fresh;
    return status;
}

void listener_close(struct listener *listener)
{
    list_remove(&listener->node);
    listener->_closing = true;
    if (!listener->_refusing)
        uv_close((uv_handle_t *) &listener->_tcp, on_closed);
}

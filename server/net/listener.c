#include "server/net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/address.h"

enum {
    BATCH = 64, /* connections accepted in one turn of the loop */
    HOLD = 250, /* milliseconds before what was short is asked for again */
};

/* A Unix socket, and an address of this machine. */
static bool is_loopback(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    (void) getsockname(fd, (struct sockaddr *) &address, &len);
    return address_is_loopback((const struct sockaddr *) &address);
}

/* ---- accepting ---- */

/* The queue is empty: whatever was short is no more. */
static void relieve(struct listener *listener)
{
    if (!listener->_short)
        return;
    listener->_short = false;
    fd_shortage_end(listener->_shortage);
}

/* What accept(2) says of a connection that failed while it waited: the next may be well. */
static bool is_passing(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPERM: /* a firewall's verdict */
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

/* Returns 0, UV_EAGAIN when no connection waits, or why it cannot go on. */
static int accept_one(struct listener *listener)
{
    int fd = accept4(listener->_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && listener->make_room != NULL &&
        listener->make_room(listener))
        fd = accept4(listener->_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        return listener->_on_connection(listener, fd);
    return is_passing(errno) ? 0 : uv_translate_sys_error(errno);
}

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_retry(uv_timer_t *timer);

static void go_on(struct listener *listener)
{
    if (!listener->_holding)
        return;
    listener->_holding = false;
    (void) uv_timer_stop(&listener->_retry);
    (void) uv_poll_start(&listener->_poll, UV_READABLE, on_poll); /* cannot fail: it ran before */
}

/* Polling on would spin: the socket stays readable. */
static void hold(struct listener *listener, int status)
{
    listener->_holding = true;
    (void) uv_poll_stop(&listener->_poll);
    (void) uv_timer_start(&listener->_retry, on_retry, HOLD, 0);
    if (listener->_short)
        return;
    listener->_short = true;
    fd_shortage_begin(listener->_shortage, status, uv_now(listener->_poll.loop));
}

static void accept_batch(struct listener *listener)
{
    int status = 0;

    for (int i = 0; i < BATCH && status == 0; i++)
        status = accept_one(listener);
    if (status == UV_EAGAIN)
        relieve(listener);
    if (status == 0 || status == UV_EAGAIN)
        go_on(listener);
    else
        hold(listener, status);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void) status; /* accepting will tell */
    (void) events;
    accept_batch(container_of(poll, struct listener, _poll));
}

static void on_retry(uv_timer_t *timer)
{
    accept_batch(container_of(timer, struct listener, _retry));
}

void listener_retry(struct listener *listener)
{
    if (listener->_short)
        accept_batch(listener);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;

    listener->_handles--;
    if (listener->_handles == 0)
        free(listener);
}

int listener_open(struct listener **listener, uv_loop_t *loop, int fd, struct fd_shortage *shortage,
                  int (*on_connection)(struct listener *listener, int fd))
{
    struct listener *fresh = calloc(1, sizeof *fresh);
    int status = fresh != NULL ? uv_poll_init(loop, &fresh->_poll, fd) : UV_ENOMEM;

    if (status != 0) {
        (void) close(fd);
        free(fresh);
        return status;
    }
    (void) uv_timer_init(loop, &fresh->_retry);
    fresh->_poll.data = fresh;
    fresh->_retry.data = fresh;
    fresh->_handles = 2;
    fresh->_fd = fd;
    fresh->loopback = is_loopback(fd);
    fresh->_shortage = shortage;
    fresh->_on_connection = on_connection;
    list_init(&fresh->node);
    status = uv_poll_start(&fresh->_poll, UV_READABLE, on_poll);
    if (status != 0)
        listener_close(fresh);
    else
        *listener = fresh;
    return status;
}

void listener_close(struct listener *listener)
{
    list_remove(&listener->node);
    uv_close((uv_handle_t *) &listener->_poll, on_closed);
    uv_close((uv_handle_t *) &listener->_retry, on_closed);
    (void) close(listener->_fd); /* libuv, which has let go of it, leaves that to us */
}

#include "common/base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A description of our own for the same pipe or terminal. Fails where it belongs to another
 * user. */
static int open_anew(int fd, bool writing)
{
    char path[32];

    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void descriptor_open(struct descriptor *descriptor, int fd, bool writing)
{
    struct stat status;
    int own;

    *descriptor = (struct descriptor){.fd = fd, .kind = DESCRIPTOR_FILE};
    if (fstat(fd, &status) != 0)
        return;
    if (S_ISSOCK(status.st_mode)) {
        descriptor->kind = DESCRIPTOR_SOCKET;
    } else if (S_ISFIFO(status.st_mode) || isatty(fd)) {
        own = open_anew(fd, writing);
        descriptor->kind = own >= 0 ? DESCRIPTOR_OWN : DESCRIPTOR_SHARED;
        descriptor->fd = own >= 0 ? own : fd;
    }
}

void descriptor_close(struct descriptor *descriptor)
{
    if (descriptor->kind == DESCRIPTOR_OWN)
        (void) close(descriptor->fd);
    *descriptor = (struct descriptor){.fd = -1, .kind = DESCRIPTOR_FILE};
}

bool descriptor_is_pollable(const struct descriptor *descriptor)
{
    return descriptor->kind != DESCRIPTOR_FILE;
}

int descriptor_poll_init(const struct descriptor *descriptor, uv_loop_t *loop, uv_poll_t *poll)
{
    int flags = fcntl(descriptor->fd, F_GETFL);
    int status = uv_poll_init(loop, poll, descriptor->fd);

    /* libuv has set O_NONBLOCK, which is ours to set on our own description only. */
    if (descriptor->kind != DESCRIPTOR_OWN && flags >= 0)
        (void) fcntl(descriptor->fd, F_SETFL, flags);
    return status;
}

int descriptor_hangup_event(const struct descriptor *descriptor)
{
    return descriptor->kind == DESCRIPTOR_SOCKET ? 0 : UV_DISCONNECT;
}

static bool is_ready(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};

    return poll(&wanted, 1, 0) > 0;
}

static ssize_t converted(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EWOULDBLOCK ? UV_EAGAIN : uv_translate_sys_error(errno);
}

ssize_t descriptor_read(const struct descriptor *descriptor, void *data, size_t size)
{
    ssize_t n;

    if (descriptor->kind == DESCRIPTOR_SHARED && !is_ready(descriptor->fd, POLLIN))
        return UV_EAGAIN;
    do {
        n = descriptor->kind == DESCRIPTOR_SOCKET ? recv(descriptor->fd, data, size, MSG_DONTWAIT)
                                                  : read(descriptor->fd, data, size);
    } while (n < 0 && errno == EINTR);
    return converted(n);
}

ssize_t descriptor_write(const struct descriptor *descriptor, const void *data, size_t len)
{
    ssize_t n;

    if (descriptor->kind == DESCRIPTOR_SHARED) {
        if (!is_ready(descriptor->fd, POLLOUT))
            return UV_EAGAIN;
        if (len > PIPE_BUF)
            len = PIPE_BUF; /* a pipe that is ready takes this much without blocking */
    }
    do {
        n = descriptor->kind == DESCRIPTOR_SOCKET
                ? send(descriptor->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                : write(descriptor->fd, data, len);
    } while (n < 0 && errno == EINTR);
    return converted(n);
}

void descriptor_take_back(const struct descriptor *descriptor, size_t len)
{
    struct stat stat;
    off_t end = lseek(descriptor->fd, 0, SEEK_CUR);
    off_t begin = end - (off_t) len;

    if (len == 0 || begin < 0 || fstat(descriptor->fd, &stat) != 0 || !S_ISREG(stat.st_mode) ||
        stat.st_size != end || ftruncate(descriptor->fd, begin) != 0)
        return;
    (void) lseek(descriptor->fd, begin, SEEK_SET);
}

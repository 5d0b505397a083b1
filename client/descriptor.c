#include "client/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

void descriptor_open(struct descriptor *descriptor, int fd, bool writing)
{
    char path[32];
    struct stat status;
    int own;

    *descriptor = (struct descriptor){.fd = fd};
    if (fstat(fd, &status) != 0)
        return;
    if (S_ISSOCK(status.st_mode)) {
        descriptor->_socket = true; /* its calls have a flag for not blocking */
        descriptor->pollable = true;
        return;
    }
    if (!S_ISFIFO(status.st_mode) && !isatty(fd))
        return;
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0) {
        descriptor->fd = own;
        descriptor->_owned = true;
        descriptor->pollable = true;
    }
}

void descriptor_close(struct descriptor *descriptor)
{
    if (descriptor->_owned)
        (void) close(descriptor->fd);
    *descriptor = (struct descriptor){.fd = -1};
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

    do {
        n = descriptor->_socket ? recv(descriptor->fd, data, size, MSG_DONTWAIT)
                                : read(descriptor->fd, data, size);
    } while (n < 0 && errno == EINTR);
    return converted(n);
}

ssize_t descriptor_write(const struct descriptor *descriptor, const void *data, size_t len)
{
    ssize_t n;

    do {
        n = descriptor->_socket
                ? send(descriptor->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                : write(descriptor->fd, data, len);
    } while (n < 0 && errno == EINTR);
    return converted(n);
}

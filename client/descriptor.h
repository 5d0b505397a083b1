/* Standard input and output, used without blocking and without changing them for anybody else: the
 * O_NONBLOCK flag would belong to the shell and to every program of the pipeline, too. */
#ifndef WS_DESCRIPTOR_H
#define WS_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct descriptor {
    int fd;        /* ours, if `_owned`; else the one that was given */
    bool pollable; /* readiness can be waited for: a pipe, terminal or socket */
    bool _owned;
    bool _socket;
};

/* Opens a descriptor of our own for what `fd` refers to, for reading or for writing. */
void descriptor_open(struct descriptor *descriptor, int fd, bool writing);
void descriptor_close(struct descriptor *descriptor);

/* As read(2) and write(2), once; UV_EAGAIN when it would block, other negative UV_E* codes on
 * errors. What is not pollable may block. */
ssize_t descriptor_read(const struct descriptor *descriptor, void *data, size_t size);
ssize_t descriptor_write(const struct descriptor *descriptor, const void *data, size_t len);

#endif

/* Standard input and output, used without blocking and without changing them for other processes:
 * the O_NONBLOCK flag would belong to the shell and to every program of the pipeline, too. */
#ifndef WS_COMMON_BASE_DESCRIPTOR_H
#define WS_COMMON_BASE_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

enum descriptor_kind {
    DESCRIPTOR_FILE,   /* cannot be waited for, and needs no waiting */
    DESCRIPTOR_OWN,    /* a pipe or terminal, opened anew: non-blocking for us alone */
    DESCRIPTOR_SHARED, /* one that may not be opened anew: asked before each small step */
    DESCRIPTOR_SOCKET, /* its calls have a flag for not blocking */
};

struct descriptor {
    int fd;
    enum descriptor_kind kind;
};

/* Finds the best way to use what `fd` refers to, for reading or for writing. */
void descriptor_open(struct descriptor *descriptor, int fd, bool writing);
void descriptor_close(struct descriptor *descriptor);

/* True when readiness can be waited for; then `poll` may be initialized with descriptor_poll_init,
 * which returns 0 or a negative UV_E* code. */
bool descriptor_is_pollable(const struct descriptor *descriptor);
int descriptor_poll_init(const struct descriptor *descriptor, uv_loop_t *loop, uv_poll_t *poll);

/* The event that tells a writer that its reader has gone. A socket has none: that its other end
 * says nothing more does not mean that it does not listen. */
int descriptor_hangup_event(const struct descriptor *descriptor);

/* As read(2) and write(2), once; UV_EAGAIN when it would block, other negative UV_E* codes on
 * errors. A file may block. */
ssize_t descriptor_read(const struct descriptor *descriptor, void *data, size_t size);
ssize_t descriptor_write(const struct descriptor *descriptor, const void *data, size_t len);

/* Takes back the last `len` bytes that were written to a regular file, if its offset is at its end,
 * so that they are the last. Of anything else nothing can be taken back. */
void descriptor_take_back(const struct descriptor *descriptor, size_t len);

#endif

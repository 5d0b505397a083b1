/* A listening socket. It is bound in the main thread, where failing can still be told to the one
 * who started the program, and then served by a worker's loop. */
#ifndef WS_LISTENER_H
#define WS_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/error.h"
#include "common/list.h"

/* Binds and listens, and sets `*fd`. Returns 0, or a negative UV_E* code with a text that names the
 * address and the reason. */
int listener_bind(const struct sockaddr *address, int *fd, struct error *error);

/* Writes the address that a listening socket is bound to, as it stands in a URL: "127.0.0.1:8000"
 * or "[::1]:8000". Returns `out`. */
const char *listener_name(int fd, char *out, size_t size);

struct listener {
    uv_tcp_t _tcp;
    uv_tcp_t _refused; /* takes a connection that nobody has memory for */
    bool _refusing;    /* `_refused` is closing */
    bool _closing;
    bool loopback;    /* only this machine reaches it */
    struct list node; /* for the owner's list */
    int (*_on_connection)(struct listener *listener, uv_stream_t *stream);
};

/* Serves `fd`, which it takes, on a loop: `on_connection` is called for each connection and accepts
 * it from `stream`, or fails with a negative UV_E* code before it has: then the connection is
 * dropped. Returns the listener in `*listener`, or a negative UV_E* code. */
int listener_open(struct listener **listener, uv_loop_t *loop, int fd,
                  int (*on_connection)(struct listener *listener, uv_stream_t *stream));

/* Stops listening; the listener is freed when the loop has let go of it. */
void listener_close(struct listener *listener);

#endif

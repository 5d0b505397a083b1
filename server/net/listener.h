/* A listening socket, bound by `sockets`, and served by a worker's loop. Connections are accepted a
 * bounded batch a turn, so that a storm of them does not keep the connected waiting. When there is
 * no descriptor or no memory for another one, the listener stops looking for a while instead of
 * spinning: new connections wait in the kernel's queue then. */
#ifndef WS_SERVER_NET_LISTENER_H
#define WS_SERVER_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/net/fd_shortage.h"

struct listener {
    uv_poll_t _poll;
    uv_timer_t _retry; /* runs while nothing is accepted */
    int _fd;
    unsigned _handles; /* of the two above, those that are not closed */
    bool _holding;     /* not polled: waits for what was short */
    bool _short;       /* something was, and the queue has not been empty since */
    bool loopback;     /* only this machine reaches it */
    /* For the owner: */
    void *owner;
    struct list node;
    unsigned id;                                  /* of the address, as of sockets.h */
    bool (*make_room)(struct listener *listener); /* true when it has freed a descriptor; or NULL */
    bool tls;                                     /* is spoken on its connections, */
    bool proxy;                                   /* behind a header of the PROXY protocol */
    bool admin;                                   /* they are the operator's */
    bool spread;                                  /* its connections are for all workers, */
    size_t turn;                                  /* and this one is next */
    struct fd_shortage *_shortage;
    int (*_on_connection)(struct listener *listener, int fd);
};

/* Serves `fd`, which it takes, on a loop: `on_connection` is called for each connection, whose
 * socket it takes; it returns a negative UV_E* code if it could not serve it. Returns the listener
 * in `*listener`, or a negative UV_E* code. */
int listener_open(struct listener **listener, uv_loop_t *loop, int fd, struct fd_shortage *shortage,
                  int (*on_connection)(struct listener *listener, int fd));

/* Something that was short may be there again, such as a descriptor. */
void listener_retry(struct listener *listener);

/* Stops listening; the listener is freed when the loop has let go of it. */
void listener_close(struct listener *listener);

#endif

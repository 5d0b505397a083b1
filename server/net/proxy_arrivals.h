/* Connections accepted on an address with proxy=on, until the header of the PROXY protocol has come
 * that says whose they are (see proxy_protocol.h). Exactly the header is read: what is behind it,
 * TLS or HTTP, is left in the socket. A connection whose header is malformed, or has not come in
 * time, is closed, and so is the one that has waited longest where too many wait. On the loop's
 * thread. */
#ifndef WS_SERVER_NET_PROXY_ARRIVALS_H
#define WS_SERVER_NET_PROXY_ARRIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/base/list.h"

enum { PROXY_ARRIVALS_MAX = 4096 }; /* that may wait at one time */

/* What came with the connection, and is handed on with it. */
struct proxy_arrival {
    bool loopback;
    bool tls;
    bool admin;
};

struct proxy_arrivals {
    uv_loop_t *_loop;
    struct list _waiting; /* oldest first */
    size_t _count;
    uint64_t _timeout; /* milliseconds; 0: none */
    uv_timer_t _timer; /* until the oldest has waited too long */
    bool _closed;
    void *_owner;
    void (*_on_ready)(void *owner, int fd, const struct proxy_arrival *arrival,
                      const struct sockaddr *client);
};

/* `on_ready` takes the socket; `client` is the address that the header says, or NULL if it says
 * none: then the connection's own address stands. Cannot fail. */
void proxy_arrivals_init(struct proxy_arrivals *arrivals, uv_loop_t *loop, uint64_t timeout,
                         void (*on_ready)(void *owner, int fd, const struct proxy_arrival *arrival,
                                          const struct sockaddr *client),
                         void *owner);

/* From now on a header has so many milliseconds; 0: any time. */
void proxy_arrivals_set_timeout(struct proxy_arrivals *arrivals, uint64_t timeout);

/* Takes an accepted socket, which does not block. Returns 0, or a negative UV_E* code with the
 * socket closed. */
int proxy_arrivals_add(struct proxy_arrivals *arrivals, int fd,
                       const struct proxy_arrival *arrival);

/* Closes all that wait, and the timer; nothing is taken any more. */
void proxy_arrivals_close(struct proxy_arrivals *arrivals);

#endif

/* A name becomes addresses, by the system's resolver in one of libuv's threads. */
#ifndef WS_CLIENT_CONNECT_RESOLUTION_H
#define WS_CLIENT_CONNECT_RESOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct resolution;

struct resolution_query {
    const char *host;
    uint16_t port;
    int family; /* AF_UNSPEC, AF_INET or AF_INET6 */
};

/* `status` is 0 and there is at least one address (lent for the call, to be
 * put in another order), or a negative UV_E*
 * code. */
typedef void (*resolution_cb)(void *owner, int status, struct sockaddr_storage *addresses,
                              size_t count);

/* `on_end` runs once, later; the resolution frees
 * itself. Returns 0 or a negative UV_E* code. */
int resolution_start(struct resolution **resolution, uv_loop_t *loop,
                     const struct resolution_query *query, void *owner, resolution_cb on_end);

/* Before on_end, which does not run then. False when the resolver is at work: it cannot be told to
 * stop, and the loop runs until it has come to an end. */
bool resolution_cancel(struct resolution *resolution);

#endif

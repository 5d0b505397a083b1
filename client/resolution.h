/* A name becomes addresses, by the system's resolver in one of libuv's threads. */
#ifndef WS_RESOLUTION_H
#define WS_RESOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct resolution;

/* `status` is 0 and there is at least one address (borrowed for the call), or a negative UV_E*
 * code. */
typedef void (*resolution_cb)(void *owner, int status, const struct sockaddr_storage *addresses,
                              size_t count);

/* `family` is AF_UNSPEC, AF_INET or AF_INET6. `on_end` runs once, later; the resolution frees
 * itself. Returns 0 or a negative UV_E* code. */
int resolution_start(struct resolution **resolution, uv_loop_t *loop, const char *host,
                     uint16_t port, int family, void *owner, resolution_cb on_end);

/* Before on_end, which does not run then. False when the resolver is at work: it cannot be told to
 * stop, and the loop runs until it has come to an end. */
bool resolution_cancel(struct resolution *resolution);

#endif

/* What is told when connections cannot be accepted for want of something: once for all workers,
 * naming the limit and what to raise, and once when all that waited have been accepted. Shared by
 * all workers. */
#ifndef WS_SERVER_NET_FD_SHORTAGE_H
#define WS_SERVER_NET_FD_SHORTAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct fd_shortage {
    uv_mutex_t _lock;
    unsigned _waiting; /* listeners that cannot accept */
    bool _told;        /* and it has been logged */
    uint64_t _quiet_until;
};

/* Returns 0 or a negative UV_E* code. */
int fd_shortage_init(struct fd_shortage *shortage);
void fd_shortage_deinit(struct fd_shortage *shortage);

/* From any thread: a listener cannot accept, for the reason `status`, at the time `now`
 * (milliseconds). Logged at most once in 10 seconds. */
void fd_shortage_begin(struct fd_shortage *shortage, int status, uint64_t now);

/* From any thread: its counterpart. When it is the last one, that is logged if the beginning
 * was. */
void fd_shortage_end(struct fd_shortage *shortage);

#endif

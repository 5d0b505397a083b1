/* What a service manager is told (sd_notify(3), systemd.service(5), Type=notify): that the server
 * is ready, reloads or stops, how many connections there are, and, where WatchdogSec= asks for it,
 * that every worker still turns. Without NOTIFY_SOCKET in the environment nothing is told; the
 * environment stays as it is, for programs that may take this one's place. All of it is for the
 * main thread, which is the only one that waits if the manager does not read. */
#ifndef WS_SERVER_NOTIFY_H
#define WS_SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "server/net/limits.h"
#include "server/thread/watchdog.h"

struct notify {
    bool _started;
    bool _watched; /* there is a watchdog */
    struct limits *_limits;
    uint64_t _told; /* connections */
    uv_timer_t _timer;
    struct watchdog _watchdog;
};

/* All workers serve: tells so (READY=1), and the number of connections from now on, while it
 * changes. `*notify` is zeros; `limits` is borrowed until notify_close. Returns 0 or a negative
 * UV_E* code; then there is nothing to close. */
int notify_start(struct notify *notify, uv_loop_t *loop, const struct watchdog_workers *workers,
                 struct limits *limits);

/* RELOADING=1; then notify_reloaded, whether it could reload or not: READY=1. */
void notify_reloading(const struct notify *notify);
void notify_reloaded(const struct notify *notify);

/* STOPPING=1. The watchdog is fed on, while those workers turn that have not ended. */
void notify_stopping(const struct notify *notify);

/* No worker runs any more. Harmless if it was not started. Run the loop once more then. */
void notify_close(struct notify *notify);

#endif

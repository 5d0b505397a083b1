#include "server/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#ifdef WS_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/plural.h"

enum {
    STATUS_INTERVAL = 5000, /* milliseconds between two looks at the number of connections */
    STATE_LEN = 128,
};

#ifdef WS_SYSTEMD

static void tell(const char *state)
{
    int status = sd_notify(0, state);

    if (status < 0)
        log_warn("cannot notify the service manager (NOTIFY_SOCKET): %s", strerror(-status));
}

/* Microseconds, or 0: nobody asks for it, or not of this process. */
static uint64_t watchdog_time(void)
{
    uint64_t time;
    int status = sd_watchdog_enabled(0, &time);

    if (status < 0)
        log_warn("cannot feed the service manager's watchdog (WATCHDOG_USEC, WATCHDOG_PID): %s",
                 strerror(-status));
    return status > 0 ? time : 0;
}

#else

static void tell(const char *state)
{
    (void) state;
}

static uint64_t watchdog_time(void)
{
    return 0;
}

#endif

static void tell_connections(struct notify *notify, const char *state)
{
    char text[STATE_LEN];

    notify->_told = limits_connections(notify->_limits);
    (void) snprintf(text, sizeof text, "%sSTATUS=%" PRIu64 " connection%s", state, notify->_told,
                    plural(notify->_told));
    tell(text);
}

static void on_timer(uv_timer_t *timer)
{
    struct notify *notify = container_of(timer, struct notify, _timer);

    if (limits_connections(notify->_limits) != notify->_told)
        tell_connections(notify, "");
}

static void feed(void *context)
{
    (void) context;
    tell("WATCHDOG=1");
}

int notify_start(struct notify *notify, uv_loop_t *loop, const struct watchdog_workers *workers,
                 struct limits *limits)
{
    uint64_t time = watchdog_time();
    int status = 0;

    notify->_limits = limits;
    if (time > 0) {
        uint64_t half = time / 2 / 1000;

        status = watchdog_start(&notify->_watchdog, loop, workers, half > 0 ? half : 1, feed, NULL);
        if (status != 0)
            return status;
        notify->_watched = true;
    }
    (void) uv_timer_init(loop, &notify->_timer);
    (void) uv_timer_start(&notify->_timer, on_timer, STATUS_INTERVAL, STATUS_INTERVAL);
    notify->_started = true;
    tell_connections(notify, "READY=1\n");
    return 0;
}

void notify_reloading(const struct notify *notify)
{
    struct timespec now;
    char text[STATE_LEN];

    if (!notify->_started || clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return;
    (void) snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                    (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000);
    tell(text);
}

void notify_reloaded(const struct notify *notify)
{
    if (notify->_started)
        tell("READY=1");
}

void notify_stopping(const struct notify *notify)
{
    if (notify->_started)
        tell("STOPPING=1");
}

void notify_close(struct notify *notify)
{
    if (!notify->_started)
        return;
    uv_close((uv_handle_t *) &notify->_timer, NULL);
    if (notify->_watched)
        watchdog_close(&notify->_watchdog);
    notify->_started = false;
}

#include "client/connect/race.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/list.h"

/* RFC 8305, 5: the Connection Attempt Delay, in milliseconds. */
enum { DELAY = 250 };

/* Seconds: a connection of which nothing is heard is looked after by TCP, too. */
enum {
    KEEPALIVE_IDLE = 60,
    KEEPALIVE_INTERVAL = 15,
    KEEPALIVE_PROBES = 4,
};

struct attempt {
    struct race *race;
    struct sockaddr_storage address;
    int fd; /* -1: not begun, or over */
    uv_poll_t poll;
};

struct race {
    uv_timer_t timer; /* until the next attempt begins */
    void *owner;
    race_cb on_end;
    int status;       /* why the last attempt failed */
    size_t next;      /* the attempt that is the next to begin */
    size_t active;    /* attempts that are under way */
    unsigned handles; /* of libuv, that are not closed yet */
    size_t count;
    struct attempt attempts[];
};

/* ---- the order ---- */

void race_interleave(struct sockaddr_storage *addresses, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        size_t next = i;

        while (next < count && addresses[next].ss_family == addresses[i - 1].ss_family)
            next++;
        if (next == count)
            return; /* one family is left */
        for (struct sockaddr_storage moved = addresses[next]; next >= i; next--)
            addresses[next] = next > i ? addresses[next - 1] : moved;
    }
}

/* ---- the end ---- */

static void on_handle_closed(struct race *race)
{
    if (--race->handles == 0)
        free(race);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of(handle, struct race, timer));
}

static void on_poll_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of(handle, struct attempt, poll)->race);
}

/* Gives the attempt up; returns its socket. */
static int leave(struct attempt *attempt)
{
    int fd = attempt->fd;

    attempt->fd = -1;
    attempt->race->active--;
    (void) uv_poll_stop(&attempt->poll);
    uv_close((uv_handle_t *) &attempt->poll, on_poll_closed);
    return fd;
}

void race_cancel(struct race *race)
{
    for (size_t i = 0; i < race->next; i++) {
        if (race->attempts[i].fd >= 0)
            (void) close(leave(&race->attempts[i]));
    }
    uv_close((uv_handle_t *) &race->timer, on_timer_closed);
}

static void conclude(struct race *race, int result)
{
    race_cancel(race);
    race->on_end(race->owner, result);
}

/* ---- attempts ---- */

static void begin_next(struct race *race);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct attempt *attempt = container_of(poll, struct attempt, poll);
    struct race *race = attempt->race;
    int error = 0;
    socklen_t len = sizeof error;

    (void) events;
    /* libuv's status is UV_EBADF for whatever error the socket has. */
    if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0)
        status = uv_translate_sys_error(error);
    if (status == 0) {
        conclude(race, leave(attempt));
        return;
    }
    (void) close(leave(attempt));
    race->status = status;
    begin_next(race);
}

static socklen_t address_len(const struct sockaddr_storage *address)
{
    switch (address->ss_family) {
    case AF_INET:
        return sizeof(struct sockaddr_in);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        return sizeof(struct sockaddr_un);
    }
}

/* What fails here is no reason not to connect. */
static void keep_alive(int fd)
{
    static const int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL,
                     probes = KEEPALIVE_PROBES;

    (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* Returns 0, or why it has failed already. */
static int begin(struct attempt *attempt)
{
    const struct sockaddr *address = (const struct sockaddr *) &attempt->address;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int status;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    if (address->sa_family != AF_UNIX)
        keep_alive(fd);
    if (connect(fd, address, address_len(&attempt->address)) != 0 && errno != EINPROGRESS) {
        status = uv_translate_sys_error(errno);
        goto fail;
    }
    status = uv_poll_init(attempt->race->timer.loop, &attempt->poll, fd);
    if (status != 0)
        goto fail;
    attempt->fd = fd;
    attempt->race->handles++;
    attempt->race->active++;
    (void) uv_poll_start(&attempt->poll, UV_WRITABLE, on_poll);
    return 0;

fail:
    (void) close(fd);
    return status;
}

static void on_timer(uv_timer_t *timer)
{
    begin_next(container_of(timer, struct race, timer));
}

/* The next attempt begins: when the time has come, or when one has failed. */
static void begin_next(struct race *race)
{
    while (race->next < race->count) {
        int status = begin(&race->attempts[race->next++]);

        if (status == 0) {
            if (race->next < race->count)
                (void) uv_timer_start(&race->timer, on_timer, DELAY, 0);
            return;
        }
        race->status = status;
    }
    if (race->active == 0)
        conclude(race, race->status);
}

struct race *race_start(uv_loop_t *loop, const struct sockaddr_storage *addresses, size_t count,
                        void *owner, race_cb on_end)
{
    struct race *race = calloc(1, sizeof *race + count * sizeof *race->attempts);

    if (race == NULL)
        return NULL;
    race->owner = owner;
    race->on_end = on_end;
    race->count = count;
    for (size_t i = 0; i < count; i++) {
        race->attempts[i].race = race;
        race->attempts[i].address = addresses[i];
        race->attempts[i].fd = -1;
    }
    (void) uv_timer_init(loop, &race->timer);
    race->handles = 1;
    (void) uv_timer_start(&race->timer, on_timer, 0, 0);
    return race;
}

#include "server/net/proxy_arrivals.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/address.h"
#include "server/net/proxy_protocol.h"

enum { PEEK = 256 }; /* bytes that are looked at at a time */

/* One that waits. Freed when its handle is closed. */
struct waiting {
    uv_poll_t poll;
    struct proxy_arrivals *arrivals;
    struct list node;
    int fd;
    uint64_t since; /* milliseconds */
    struct proxy_arrival arrival;
    struct proxy_protocol header;
};

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *) handle, struct waiting, poll));
}

/* It waits no longer. Returns its socket. */
static int remove_waiting(struct waiting *waiting)
{
    list_remove(&waiting->node);
    waiting->arrivals->_count--;
    uv_close((uv_handle_t *) &waiting->poll, on_closed);
    return waiting->fd;
}

static void drop(struct waiting *waiting, const char *why)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof address;
    char name[ADDRESS_NAME_SIZE];

    (void) getpeername(waiting->fd, (struct sockaddr *) &address, &len);
    (void) address_client_name((const struct sockaddr *) &address, name, sizeof name);
    log_repeated(LOG_INFO, "proxy", name, "%s: closed: %s", name, why);
    (void) close(remove_waiting(waiting));
}

static struct waiting *oldest(struct proxy_arrivals *arrivals)
{
    return list_empty(&arrivals->_waiting)
               ? NULL
               : container_of(arrivals->_waiting.next, struct waiting, node);
}

static void on_timer(uv_timer_t *timer)
{
    struct proxy_arrivals *arrivals = container_of(timer, struct proxy_arrivals, _timer);
    uint64_t now = uv_now(arrivals->_loop);
    struct waiting *first;

    while ((first = oldest(arrivals)) != NULL && now - first->since >= arrivals->_timeout)
        drop(first, "no header of the PROXY protocol came in time");
    if (first != NULL)
        (void) uv_timer_start(timer, on_timer, first->since + arrivals->_timeout - now, 0);
}

/* Looks at what has come, and takes it off the socket as far as it is the header's. Returns as
 * proxy_protocol_feed; PROXY_PROTOCOL_BAD also where the connection has ended. */
static enum proxy_protocol_step read_header(struct waiting *waiting,
                                            struct proxy_protocol_client *client)
{
    enum proxy_protocol_step step = PROXY_PROTOCOL_MORE;

    while (step == PROXY_PROTOCOL_MORE) {
        uint8_t bytes[PEEK];
        ssize_t len = recv(waiting->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
        size_t used;

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return PROXY_PROTOCOL_MORE;
        if (len <= 0)
            return PROXY_PROTOCOL_BAD;
        step = proxy_protocol_feed(&waiting->header, bytes, (size_t) len, &used, client);
        if (recv(waiting->fd, bytes, used, MSG_DONTWAIT) != (ssize_t) used)
            return PROXY_PROTOCOL_BAD;
    }
    return step;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct waiting *waiting = container_of(poll, struct waiting, poll);
    struct proxy_arrivals *arrivals = waiting->arrivals;
    struct proxy_arrival arrival = waiting->arrival;
    struct proxy_protocol_client client;
    int fd;

    (void) events;
    switch (status == 0 ? read_header(waiting, &client) : PROXY_PROTOCOL_BAD) {
    case PROXY_PROTOCOL_MORE:
        return;
    case PROXY_PROTOCOL_BAD:
        drop(waiting, "it does not begin with a header of the PROXY protocol, which this address "
                      "asks for (proxy=on)");
        return;
    case PROXY_PROTOCOL_DONE:
        break;
    }
    (void) uv_poll_stop(poll);
    fd = remove_waiting(waiting);
    arrivals->_on_ready(arrivals->_owner, fd, &arrival,
                        client.known ? (const struct sockaddr *) &client.address : NULL);
}

void proxy_arrivals_init(struct proxy_arrivals *arrivals, uv_loop_t *loop, uint64_t timeout,
                         void (*on_ready)(void *owner, int fd, const struct proxy_arrival *arrival,
                                          const struct sockaddr *client),
                         void *owner)
{
    *arrivals = (struct proxy_arrivals){
        ._loop = loop,
        ._timeout = timeout,
        ._on_ready = on_ready,
        ._owner = owner,
    };
    list_init(&arrivals->_waiting);
    (void) uv_timer_init(loop, &arrivals->_timer);
}

void proxy_arrivals_set_timeout(struct proxy_arrivals *arrivals, uint64_t timeout)
{
    arrivals->_timeout = timeout;
}

int proxy_arrivals_add(struct proxy_arrivals *arrivals, int fd, const struct proxy_arrival *arrival)
{
    struct waiting *waiting = arrivals->_closed ? NULL : calloc(1, sizeof *waiting);
    int status = arrivals->_closed ? UV_ECANCELED : UV_ENOMEM;

    if (waiting == NULL)
        goto fail;
    status = uv_poll_init(arrivals->_loop, &waiting->poll, fd);
    if (status != 0) {
        free(waiting);
        goto fail;
    }
    if (arrivals->_count >= PROXY_ARRIVALS_MAX)
        drop(oldest(arrivals), "too many connections wait for a header of the PROXY protocol");
    waiting->arrivals = arrivals;
    waiting->fd = fd;
    waiting->since = uv_now(arrivals->_loop);
    waiting->arrival = *arrival;
    proxy_protocol_init(&waiting->header);
    list_append(&arrivals->_waiting, &waiting->node);
    arrivals->_count++;
    (void) uv_poll_start(&waiting->poll, UV_READABLE, on_readable);
    if (arrivals->_timeout > 0 && !uv_is_active((uv_handle_t *) &arrivals->_timer))
        (void) uv_timer_start(&arrivals->_timer, on_timer, arrivals->_timeout, 0);
    return 0;

fail:
    (void) close(fd);
    return status;
}

void proxy_arrivals_close(struct proxy_arrivals *arrivals)
{
    struct waiting *first;

    arrivals->_closed = true;
    while ((first = oldest(arrivals)) != NULL)
        (void) close(remove_waiting(first));
    uv_close((uv_handle_t *) &arrivals->_timer, NULL);
}

#include "tests/bench/crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "tests/bench/check.h"
#include "tests/bench/client.h"

enum {
    EVENTS = 1024,            /* of one turn */
    CONNECTING_AT_ONCE = 100, /* less than any server's backlog */
    HEAD_MAX = 16 * 1024,     /* bytes of a prefix, or of a response head */
};

static const uint64_t second = 1000 * 1000 * 1000;

uint64_t crowd_clock(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * second + (uint64_t) now.tv_nsec;
}

void crowd_fault(struct crowd *crowd, const char *format, ...)
{
    va_list arguments;

    crowd->faults++;
    if (crowd->fault.text[0] != '\0')
        return;
    va_start(arguments, format);
    (void) vsnprintf(crowd->fault.text, sizeof crowd->fault.text, format, arguments);
    va_end(arguments);
}

/* ---- set up ---- */

static int init_request(struct crowd *crowd)
{
    const struct load_options *options = crowd->options;

    return buffer_printf(
        &crowd->_request,
        "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
        options->path, options->host, (unsigned) options->port,
        options->deflate ? "Sec-WebSocket-Extensions: permessage-deflate; "
                           "server_no_context_takeover; client_no_context_takeover\r\n"
                         : "");
}

static int init_tls(struct crowd *crowd)
{
    if (!crowd->options->tls)
        return 0;
    crowd->_tls = SSL_CTX_new(TLS_client_method());
    if (crowd->_tls == NULL)
        return UV_ENOMEM;
    SSL_CTX_set_verify(crowd->_tls, SSL_VERIFY_NONE, NULL);
    (void) SSL_CTX_set_mode(crowd->_tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                             SSL_MODE_RELEASE_BUFFERS);
    return 0;
}

static int init_clients(struct crowd *crowd, size_t count, uint32_t readers)
{
    crowd->count = count;
    crowd->clients = calloc(count + 1, sizeof *crowd->clients);
    crowd->_dirty = calloc(count + 1, sizeof(struct client *));
    crowd->_input = malloc(2 * (size_t) CLIENT_READ + crowd->options->size + HEAD_MAX);
    if (crowd->clients == NULL || crowd->_dirty == NULL || crowd->_input == NULL)
        return UV_ENOMEM;
    for (size_t i = 0; i < count; i++)
        crowd->clients[i].fd = -1;
    for (size_t i = 0; i < crowd->options->verify && i < readers; i++) {
        if (check_new(&crowd->clients[i].check, crowd->options->publishers) != 0)
            return UV_ENOMEM;
        crowd->clients[i].odd = true;
    }
    return 0;
}

int crowd_init(struct crowd *crowd, const struct load_options *options, size_t count,
               uint32_t readers, struct error *error)
{
    *crowd = (struct crowd){.options = options, ._epoll = -1};
    crowd->_address.sin_family = AF_INET;
    crowd->_address.sin_port = htons((uint16_t) options->port);
    if (inet_pton(AF_INET, options->host, &crowd->_address.sin_addr) != 1)
        return error_set(error, UV_EINVAL, "'%s' is not an IPv4 address", options->host);
    crowd->_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (crowd->_epoll < 0 || init_request(crowd) != 0 || init_tls(crowd) != 0 ||
        init_clients(crowd, count, readers) != 0 || flight_init(&crowd->flight, readers) != 0 ||
        payload_init(&crowd->payload, options->size, options->deflate) != 0 ||
        inflated_new(&crowd->_cache, options->size + HEAD_MAX) != 0) {
        crowd_deinit(crowd);
        return error_set(error, UV_ENOMEM, "out of memory");
    }
    crowd->now = crowd_clock();
    return 0;
}

void crowd_deinit(struct crowd *crowd)
{
    if (crowd->clients != NULL) {
        for (size_t i = 0; i < crowd->count; i++) {
            client_close(crowd, &crowd->clients[i]);
            check_free(crowd->clients[i].check);
        }
    }
    free(crowd->clients);
    free((void *) crowd->_dirty);
    free(crowd->_input);
    buffer_deinit(&crowd->_request);
    SSL_CTX_free(crowd->_tls);
    flight_deinit(&crowd->flight);
    payload_deinit(&crowd->payload);
    inflated_free(crowd->_cache);
    if (crowd->_epoll >= 0)
        (void) close(crowd->_epoll);
}

/* ---- connections ---- */

int crowd_connect(struct crowd *crowd, struct client *client, struct error *error)
{
    return client_connect(crowd, client, error);
}

void crowd_drop(struct crowd *crowd, struct client *client)
{
    client_close(crowd, client);
    if (crowd->closed_cb != NULL)
        crowd->closed_cb(crowd, client);
}

int crowd_open(struct crowd *crowd, size_t first, size_t end, struct error *error)
{
    size_t before = crowd->open, next = first;
    uint64_t deadline = crowd_clock() + 30 * second;

    while (crowd->open - before < end - first) {
        size_t opened = crowd->open - before;

        while (next < end && next - first - opened < CONNECTING_AT_ONCE) {
            int status = crowd_connect(crowd, &crowd->clients[next], error);

            if (status != 0)
                return status;
            next++;
        }
        crowd_turn(crowd, second);
        if (crowd->open - before > opened)
            deadline = crowd->now + 30 * second;
        if (crowd->refused + crowd->lost + crowd->faults > 0)
            return error_set(error, UV_ECONNREFUSED, "connection %zu of %zu failed: %s", next, end,
                             crowd->fault.text[0] != '\0' ? crowd->fault.text
                                                          : "the server ended it");
        if (crowd_clock() > deadline)
            return error_set(error, UV_ETIMEDOUT,
                             "%zu of %zu connections are open, and no more opened in 30 seconds",
                             crowd->open, end);
    }
    return 0;
}

/* ---- turns ---- */

static void wake_dirty(struct crowd *crowd, struct client *client)
{
    if (client->dirty)
        return;
    client->dirty = true;
    crowd->_dirty[crowd->_dirty_count++] = client;
}

bool crowd_publish(struct crowd *crowd, uint32_t publisher, uint64_t due)
{
    struct client *client = &crowd->clients[publisher];
    uint32_t sequence = flight_launch(&crowd->flight, publisher, due, &client->previous);

    if (sequence == 0 || payload_append_frame(&crowd->payload, sequence, &client->out) != 0)
        return false;
    wake_dirty(crowd, client);
    return true;
}

void crowd_send_control(struct crowd *crowd, struct client *client, uint8_t opcode,
                        const void *data, size_t len)
{
    if (payload_append_control(opcode, data, len, &client->out) == 0)
        wake_dirty(crowd, client);
}

static void flush_dirty(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->_dirty_count; i++) {
        struct client *client = crowd->_dirty[i];

        client->dirty = false;
        if (client->state >= CLIENT_OPEN)
            client_flush(crowd, client);
    }
    crowd->_dirty_count = 0;
}

/* Waits, and keeps account of how long nothing came, where waiting is polling. */
static int wait_for(struct crowd *crowd, struct epoll_event *events, uint64_t timeout)
{
    struct timespec at_most = {.tv_sec = (time_t) (timeout / second),
                               .tv_nsec = (long) (timeout % second)};
    int count;

    if (!crowd->options->poll)
        return epoll_pwait2(crowd->_epoll, events, EVENTS, &at_most, NULL);
    count = epoll_wait(crowd->_epoll, events, EVENTS, 0);
    if (count <= 0 && crowd->_idle_since == 0)
        crowd->_idle_since = crowd->now;
    if (count > 0 && crowd->_idle_since != 0) {
        crowd->idle += crowd_clock() - crowd->_idle_since;
        crowd->_idle_since = 0;
    }
    return count;
}

static void tick(struct crowd *crowd)
{
    if (crowd->tick_cb != NULL)
        crowd->tick_cb(crowd);
    if (crowd->_dirty_count > 0)
        flush_dirty(crowd);
}

void crowd_turn(struct crowd *crowd, uint64_t timeout)
{
    struct epoll_event events[EVENTS];
    int count = wait_for(crowd, events, timeout);

    crowd->now = crowd_clock();
    for (int i = 0; i < count; i++) {
        client_on_events(crowd, events[i].data.ptr, events[i].events);
        tick(crowd);
    }
    tick(crowd);
}

void crowd_resume(struct crowd *crowd, struct client *client)
{
    struct epoll_event interest = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = client};

    if (client->state == CLIENT_OPEN)
        (void) epoll_ctl(crowd->_epoll, EPOLL_CTL_MOD, client->fd, &interest);
}

#include "tests/bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "tests/bench/inbound.h"

/* ---- plain or TLS: both return bytes, 0 at the end, or a negative errno ---- */

static ssize_t result_of(SSL *ssl, int status)
{
    int why = SSL_get_error(ssl, status);

    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -ECONNRESET;
}

static ssize_t receive(struct client *client, uint8_t *data, size_t size)
{
    ssize_t len;

    if (client->ssl != NULL) {
        int status = SSL_read(client->ssl, data, (int) size);

        return status > 0 ? status : result_of(client->ssl, status);
    }
    len = recv(client->fd, data, size, 0);
    return len >= 0 ? len : -errno;
}

static ssize_t transmit(struct client *client, const uint8_t *data, size_t size)
{
    ssize_t len;

    if (client->ssl != NULL) {
        int status = SSL_write(client->ssl, data, (int) size);

        return status > 0 ? status : result_of(client->ssl, status);
    }
    len = send(client->fd, data, size, MSG_NOSIGNAL);
    return len >= 0 ? len : -errno;
}

/* ---- connecting ---- */

/* Takes the next source address. The kernel chooses the port only when it connects, so that each
 * destination has all ports to itself. */
static int bind_source(struct crowd *crowd, int fd)
{
    int on = 1;
    uint32_t turn = crowd->_connects++ % (uint32_t) crowd->options->source_addresses;
    struct sockaddr_in source = {.sin_family = AF_INET};

    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn);
    (void) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, (struct sockaddr *) &source, sizeof source);
}

static int start_connecting(struct crowd *crowd, struct client *client, struct error *error)
{
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                   .data.ptr = client};
    int on = 1, slow_buffer = 64 * 1024;

    if (crowd->options->source_addresses > 0 && bind_source(crowd, client->fd) != 0)
        return error_set(error, UV_EADDRNOTAVAIL, "cannot bind to a source address: %s",
                         strerror(errno));
    (void) setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (client->slow) /* so that it is the server who notices, and not a deep kernel buffer */
        (void) setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &slow_buffer, sizeof slow_buffer);
    if (connect(client->fd, (struct sockaddr *) &crowd->_address, sizeof crowd->_address) != 0 &&
        errno != EINPROGRESS)
        return error_set(error, UV_ECONNREFUSED, "cannot connect to %s:%u: %s",
                         crowd->options->host, ntohs(crowd->_address.sin_port), strerror(errno));
    if (epoll_ctl(crowd->_epoll, EPOLL_CTL_ADD, client->fd, &interest) != 0)
        return error_set(error, UV_ENOMEM, "cannot watch a socket: %s", strerror(errno));
    if (crowd->_tls != NULL) {
        client->ssl = SSL_new(crowd->_tls);
        if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1)
            return error_set(error, UV_ENOMEM, "cannot set up TLS: out of memory");
        SSL_set_connect_state(client->ssl);
    }
    return 0;
}

int client_connect(struct crowd *crowd, struct client *client, struct error *error)
{
    int status;

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return error_set(error, UV_EMFILE,
                         "cannot open a socket: %s (a process may open as many files as 'ulimit "
                         "-Hn' says)",
                         strerror(errno));
    status = start_connecting(crowd, client, error);
    if (status != 0) {
        client_close(crowd, client);
        return status;
    }
    client->state = CLIENT_CONNECTING;
    client->close_code = 0;
    client->deflate = false;
    return 0;
}

void client_close(struct crowd *crowd, struct client *client)
{
    if (client->state == CLIENT_OPEN)
        crowd->open--;
    if (client->ssl != NULL) {
        SSL_free(client->ssl);
        client->ssl = NULL;
    }
    if (client->fd >= 0)
        (void) close(client->fd);
    client->fd = -1;
    client->state = CLIENT_CLOSED;
    buffer_deinit(&client->rest);
    buffer_deinit(&client->out);
}

static void fail(struct crowd *crowd, struct client *client)
{
    if (client->state < CLIENT_OPEN)
        crowd->refused++;
    else if (client->state == CLIENT_OPEN)
        crowd->lost++;
    crowd_drop(crowd, client);
}

static void on_connected(struct crowd *crowd, struct client *client, uint32_t events)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (events & (EPOLLERR | EPOLLHUP)) {
        (void) getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (crowd->fault.text[0] == '\0')
            error_set(&crowd->fault, 0, "cannot connect: %s", strerror(error));
        fail(crowd, client);
        return;
    }
    client->state = client->ssl != NULL ? CLIENT_SECURING : CLIENT_REQUESTED;
}

/* Writes the request once the connection can take it: it is short, and fits into any socket. */
static void send_request(struct crowd *crowd, struct client *client)
{
    const struct buffer *request = &crowd->_request;

    if (transmit(client, request->data, request->len) != (ssize_t) request->len)
        fail(crowd, client);
}

static void on_securing(struct crowd *crowd, struct client *client)
{
    int status = SSL_do_handshake(client->ssl);

    if (status == 1) {
        client->state = CLIENT_REQUESTED;
        send_request(crowd, client);
    } else if (result_of(client->ssl, status) != -EAGAIN) {
        if (crowd->fault.text[0] == '\0')
            error_set(&crowd->fault, 0, "the TLS handshake failed");
        fail(crowd, client);
    }
}

/* ---- reading ---- */

static void on_opened(struct crowd *crowd, struct client *client)
{
    client->state = CLIENT_OPEN;
    client->expected = crowd->flight.last + 1;
    crowd->open++;
    if (client->slow) {
        struct epoll_event none = {.events = 0, .data.ptr = client};

        (void) epoll_ctl(crowd->_epoll, EPOLL_CTL_MOD, client->fd, &none);
    }
    if (crowd->opened_cb != NULL)
        crowd->opened_cb(crowd, client);
}

/* Consumes what is whole. Returns the bytes consumed, or -1 to end the connection. */
static ssize_t consume(struct crowd *crowd, struct client *client, const uint8_t *data, size_t len)
{
    ssize_t head = 0, frames;

    if (client->state == CLIENT_REQUESTED) {
        head = inbound_head(crowd, client, data, len);
        if (head <= 0)
            return head;
        on_opened(crowd, client);
        if (client->state == CLIENT_CLOSED)
            return head;
    }
    frames = inbound_frames(crowd, client, data + head, len - (size_t) head);
    return frames < 0 ? frames : head + frames;
}

/* Reads once, behind what was left of the read before. Returns bytes read, or as receive() does. */
static ssize_t read_once(struct crowd *crowd, struct client *client)
{
    uint8_t *input = crowd->_input;
    struct buffer *rest = &client->rest;
    size_t kept = rest->len;
    ssize_t len, used;

    if (kept > 0)
        memcpy(input, rest->data, kept);
    len = receive(client, input + kept, CLIENT_READ);
    if (len <= 0)
        return len;
    crowd->now = crowd_clock();
    used = consume(crowd, client, input, kept + (size_t) len);
    if (used < 0)
        return 0;
    rest->len = 0;
    kept = kept + (size_t) len - (size_t) used;
    /* A frame is no longer than CLIENT_READ behind `_input`'s room for one: see crowd_init. */
    if (kept > 0 && buffer_append(rest, input + used, kept) != 0)
        return -ENOMEM;
    return len;
}

static void read_all(struct crowd *crowd, struct client *client, uint32_t events)
{
    ssize_t len;

    do {
        len = read_once(crowd, client);
        if (client->state == CLIENT_CLOSED)
            return;
        /* An edge tells of the end of the stream once: then it is read up to there. */
    } while (len == CLIENT_READ || (len > 0 && (client->ssl != NULL || events & EPOLLRDHUP)));
    if (len <= 0 && len != -EAGAIN)
        fail(crowd, client);
}

void client_on_events(struct crowd *crowd, struct client *client, uint32_t events)
{
    if (client->state == CLIENT_CONNECTING) {
        on_connected(crowd, client, events);
        if (client->state == CLIENT_REQUESTED)
            send_request(crowd, client);
    }
    if (client->state == CLIENT_SECURING)
        on_securing(crowd, client);
    if (client->state >= CLIENT_REQUESTED && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        read_all(crowd, client, events);
    if (client->state >= CLIENT_OPEN && events & EPOLLOUT && client->out.len > 0)
        client_flush(crowd, client);
}

void client_flush(struct crowd *crowd, struct client *client)
{
    size_t sent = 0;
    ssize_t len = 0;

    while (sent < client->out.len) {
        len = transmit(client, client->out.data + sent, client->out.len - sent);
        if (len <= 0)
            break;
        sent += (size_t) len;
    }
    if (len < 0 && len != -EAGAIN) {
        fail(crowd, client);
        return;
    }
    buffer_drop(&client->out, sent);
}

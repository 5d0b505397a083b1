#include "client/connect/tunnel.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/connect/request.h"
#include "client/connect/socks.h"
#include "common/base/escape.h"
#include "common/base/list.h"
#include "common/http/http_head.h"
#include "common/net/stream.h"
#include "common/tls/tls.h"

/* One of the two sides of a relay. A chunk that was read here is written there before the next is
 * read: so far goes the back-pressure. */
struct side {
    struct tunnel *tunnel;
    struct side *other;
    struct stream stream;
    bool live; /* it has a stream that is not closed */
    uv_write_t write;
    char input[16 * 1024]; /* what is read; with TLS, not all of it may be decrypted yet */
    char chunk[TLS_MAX_RECORD];
};

struct tunnel {
    struct side proxy_side;
    struct side own_side; /* only of a relay */
    const struct proxy *proxy;
    char *host;
    uint16_t port;
    bool relaying;
    bool closing;
    int fd; /* to be handed over when the stream to the proxy is closed, or -1 */
    struct outcome outcome;
    struct buffer out; /* what the proxy is asked */
    uv_write_t write;
    struct http_head head;
    struct socks socks;
    void *owner;
    const struct tunnel_ops *ops; /* NULL: cancelled */
};

static struct side *side_of(uv_handle_t *handle)
{
    return container_of((uv_tcp_t *) (void *) handle, struct side, stream.tcp);
}

/* ---- the end ---- */

static void tell(struct tunnel *tunnel)
{
    const struct tunnel_ops *ops = tunnel->ops;

    if (ops == NULL && tunnel->fd >= 0)
        (void) close(tunnel->fd);
    if (ops == NULL || tunnel->relaying)
        return;
    if (tunnel->fd >= 0)
        ops->on_ready(tunnel->owner, tunnel->fd);
    else
        ops->on_failed(tunnel->owner, &tunnel->outcome);
}

static void on_side_closed(uv_handle_t *handle)
{
    struct side *side = side_of(handle);
    struct tunnel *tunnel = side->tunnel;

    side->live = false;
    if (tunnel->proxy_side.live || tunnel->own_side.live)
        return;
    tell(tunnel);
    if (tunnel->ops != NULL)
        tunnel->ops->on_gone(tunnel->owner);
    http_head_deinit(&tunnel->head);
    buffer_deinit(&tunnel->out);
    free(tunnel->host);
    free(tunnel);
}

static void end(struct tunnel *tunnel)
{
    if (tunnel->closing)
        return;
    tunnel->closing = true;
    if (tunnel->own_side.live)
        stream_close(&tunnel->own_side.stream, false, on_side_closed);
    stream_close(&tunnel->proxy_side.stream, false, on_side_closed);
}

void tunnel_cancel(struct tunnel *tunnel)
{
    tunnel->ops = NULL;
    end(tunnel);
}

/* ---- failures ---- */

/* `what` is what the proxy did, or did not. */
static void fail(struct tunnel *tunnel, enum client_exit exit, bool lasting, const char *what)
{
    tunnel->outcome = (struct outcome){.exit = exit, .lasting = lasting};
    (void) error_set(&tunnel->outcome.error, 0, "the proxy %s does not connect to %s port %u: %s",
                     tunnel->proxy->text, tunnel->host, tunnel->port, what);
    end(tunnel);
}

static void fail_to_read(struct tunnel *tunnel, int status)
{
    const struct stream *stream = &tunnel->proxy_side.stream;
    const char *why = stream_error(stream);

    if (status == UV_EPROTO && why != NULL)
        fail(tunnel, CLIENT_TLS, !stream_was_cut(stream), why);
    else if (status == UV_EOF)
        fail(tunnel, CLIENT_CONNECT, false, "it ended the connection");
    else
        fail(tunnel, CLIENT_CONNECT, false, uv_strerror(status));
}

/* Some say 401 to credentials that they do not accept. */
static const char *advice(const struct tunnel *tunnel)
{
    int status = tunnel->head.status;

    if (status != 407 && (status != 401 || tunnel->proxy->user == NULL))
        return "";
    return tunnel->proxy->user != NULL ? "; it does not accept the USER:PASSWORD that was given"
                                       : "; write USER:PASSWORD@ before its host";
}

/* Another status than 2xx. */
static void fail_with_status(struct tunnel *tunnel)
{
    int status = tunnel->head.status;
    const char *phrase = http_head_reason(&tunnel->head);
    char reason[128], what[256];

    (void) snprintf(what, sizeof what, "it answers with HTTP status %d%s%s%s", status,
                    *phrase != '\0' ? " " : "",
                    escape_text(reason, sizeof reason, phrase, strlen(phrase)), advice(tunnel));
    fail(tunnel, CLIENT_CONNECT, status < 500, what);
}

/* ---- the relay ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct side *side = side_of(handle);

    (void) suggested;
    *buf = uv_buf_init(side->input, sizeof side->input);
}

static void on_relay_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_relayed(uv_write_t *request, int status)
{
    struct side *side = container_of(request, struct side, write);

    if (side->tunnel->closing)
        return;
    if (status == 0)
        status = stream_read_start(&side->stream, on_alloc, on_relay_read);
    if (status != 0)
        end(side->tunnel);
}

static void on_relay_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct side *side = side_of((uv_handle_t *) stream);
    struct tunnel *tunnel = side->tunnel;
    uv_buf_t chunk;

    if (n == 0)
        return;
    if (n == UV_EOF && side == &tunnel->proxy_side &&
        stream_finish(&tunnel->own_side.stream) == 0) {
        stream_read_stop(&side->stream);
        return; /* the connection reads to the end, and closes */
    }
    if (n < 0) {
        end(tunnel);
        return;
    }
    stream_read_stop(&side->stream);
    memcpy(side->chunk, buf->base, (size_t) n);
    chunk = uv_buf_init(side->chunk, (unsigned) n);
    if (stream_write(&side->other->stream, &side->write, &chunk, 1, on_relayed) != 0)
        end(tunnel);
}

/* The proxy's TLS stays between: the owner gets one end of a pair. */
static int begin_relay(struct tunnel *tunnel)
{
    struct side *own = &tunnel->own_side;
    int pair[2];
    int status = uv_socketpair(SOCK_STREAM, 0, pair, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE);

    if (status != 0)
        return status;
    status = stream_init(&own->stream, tunnel->proxy_side.stream.tcp.loop);
    own->live = status == 0;
    if (status == 0)
        status = stream_open(&own->stream, pair[0]);
    if (status != 0) {
        (void) close(pair[0]);
        (void) close(pair[1]);
        return status;
    }
    tunnel->relaying = true;
    status = stream_read_start(&own->stream, on_alloc, on_relay_read);
    if (status == 0)
        status = stream_read_start(&tunnel->proxy_side.stream, on_alloc, on_relay_read);
    if (status != 0) {
        (void) close(pair[1]);
        tunnel->relaying = false;
        return status;
    }
    tunnel->ops->on_ready(tunnel->owner, pair[1]);
    return 0;
}

/* ---- the proxy's answer ---- */

static void succeed(struct tunnel *tunnel, size_t surplus)
{
    uv_os_fd_t fd;
    int status;

    if (surplus > 0) {
        fail(tunnel, CLIENT_CONNECT, true, "it says more than an answer");
        return;
    }
    stream_read_stop(&tunnel->proxy_side.stream);
    if (tunnel->proxy->kind == PROXY_HTTPS) {
        status = begin_relay(tunnel);
        if (status != 0)
            fail(tunnel, CLIENT_CONNECT, false, uv_strerror(status));
        return;
    }
    (void) uv_fileno((uv_handle_t *) &tunnel->proxy_side.stream.tcp, &fd);
    tunnel->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (tunnel->fd < 0)
        fail(tunnel, CLIENT_CONNECT, false, "no descriptor is left");
    else
        end(tunnel);
}

/* Where the proxy has closed, reading tells why: its answer, or its alert, may have come first. */
static void fail_to_write(struct tunnel *tunnel, int status)
{
    if (status != UV_EPIPE && status != UV_ECONNRESET)
        fail_to_read(tunnel, status);
}

static void on_asked(uv_write_t *request, int status)
{
    struct tunnel *tunnel = container_of(request, struct tunnel, write);

    if (!tunnel->closing && status != 0)
        fail_to_write(tunnel, status);
}

/* Sends what waits in `out`: little enough for any socket, but TLS may not be ready for it. */
static void ask(struct tunnel *tunnel)
{
    struct stream *stream = &tunnel->proxy_side.stream;
    uv_buf_t buf = uv_buf_init((char *) tunnel->out.data, (unsigned) tunnel->out.len);
    ssize_t n;

    if (buf.len == 0)
        return;
    if (!stream_is_ready(stream)) {
        n = stream_write(stream, &tunnel->write, &buf, 1, on_asked);
    } else {
        n = stream_try_write(stream, &buf, 1);
        if (n >= 0 && (size_t) n < buf.len)
            n = UV_ENOBUFS;
        buffer_drop(&tunnel->out, tunnel->out.len);
    }
    if (n < 0)
        fail_to_write(tunnel, (int) n);
}

static void take_http(struct tunnel *tunnel, const uint8_t *data, size_t len)
{
    char what[128];
    size_t used;

    switch (http_head_feed(&tunnel->head, data, len, &used)) {
    case HTTP_HEAD_MORE:
        break;
    case HTTP_HEAD_DONE:
        if (tunnel->head.status >= 200 && tunnel->head.status <= 299)
            succeed(tunnel, len - used);
        else
            fail_with_status(tunnel);
        break;
    case HTTP_HEAD_BAD:
        (void) snprintf(what, sizeof what, "it does not answer in HTTP: %s", tunnel->head.why);
        fail(tunnel, CLIENT_CONNECT, true, what);
        break;
    }
}

static void take_socks(struct tunnel *tunnel, const uint8_t *data, size_t len)
{
    size_t used;

    switch (socks_feed(&tunnel->socks, data, len, &used, &tunnel->out)) {
    case SOCKS_MORE:
        ask(tunnel);
        break;
    case SOCKS_DONE:
        succeed(tunnel, len - used);
        break;
    case SOCKS_FAILED:
        fail(tunnel, CLIENT_CONNECT, tunnel->socks.lasting, tunnel->socks.why);
        break;
    }
}

static void on_answer(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tunnel *tunnel = side_of((uv_handle_t *) stream)->tunnel;

    if (n < 0)
        fail_to_read(tunnel, (int) n);
    else if (proxy_is_socks(tunnel->proxy))
        take_socks(tunnel, (const uint8_t *) buf->base, (size_t) n);
    else
        take_http(tunnel, (const uint8_t *) buf->base, (size_t) n);
}

/* ---- life ---- */

/* RFC 9110, 9.3.6 */
static int write_connect(struct tunnel *tunnel)
{
    bool v6 = strchr(tunnel->host, ':') != NULL;
    const char *open = v6 ? "[" : "", *shut = v6 ? "]" : "";
    char *basic = NULL;
    int status;

    if (tunnel->proxy->user != NULL && (basic = request_basic(tunnel->proxy->user)) == NULL)
        return UV_ENOMEM;
    status = buffer_printf(&tunnel->out,
                           "CONNECT %s%s%s:%u HTTP/1.1\r\n"
                           "Host: %s%s%s:%u\r\n"
                           "User-Agent: wsrecv/" WS_VERSION "\r\n"
                           "%s%s%s\r\n",
                           open, tunnel->host, shut, tunnel->port, open, tunnel->host, shut,
                           tunnel->port, basic != NULL ? "Proxy-Authorization: " : "",
                           basic != NULL ? basic : "", basic != NULL ? "\r\n" : "");
    free(basic);
    return status;
}

static int begin(struct tunnel *tunnel, struct tls_context *tls)
{
    const struct proxy *proxy = tunnel->proxy;
    struct stream *stream = &tunnel->proxy_side.stream;
    int status = 0;

    stream_configure(stream);
    if (proxy->kind == PROXY_HTTPS)
        status = stream_start_tls(stream, tls, proxy->host);
    if (status != 0)
        return status;
    if (proxy_is_socks(proxy))
        status = socks_init(&tunnel->socks, proxy->kind == PROXY_SOCKS4A ? 4 : 5, tunnel->host,
                            tunnel->port, proxy->user, &tunnel->out);
    else
        status = write_connect(tunnel);
    if (status == 0)
        status = stream_read_start(stream, on_alloc, on_answer);
    return status;
}

static struct tunnel *new_tunnel(const struct tunnel_way *way, void *owner,
                                 const struct tunnel_ops *ops)
{
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);

    if (tunnel == NULL)
        return NULL;
    tunnel->proxy_side = (struct side){.tunnel = tunnel, .other = &tunnel->own_side};
    tunnel->own_side = (struct side){.tunnel = tunnel, .other = &tunnel->proxy_side};
    tunnel->proxy = way->proxy;
    tunnel->host = strdup(way->host);
    tunnel->port = way->port;
    tunnel->owner = owner;
    tunnel->ops = ops;
    tunnel->fd = -1;
    http_head_init(&tunnel->head, HTTP_HEAD_RESPONSE);
    return tunnel;
}

int tunnel_start(struct tunnel **tunnel, uv_loop_t *loop, int fd, const struct tunnel_way *way,
                 void *owner, const struct tunnel_ops *ops)
{
    struct tunnel *fresh = new_tunnel(way, owner, ops);
    struct stream *stream;
    int status = UV_ENOMEM;

    if (fresh == NULL || fresh->host == NULL || stream_init(&fresh->proxy_side.stream, loop) != 0) {
        (void) close(fd);
        if (fresh != NULL)
            free(fresh->host);
        free(fresh);
        return status;
    }
    stream = &fresh->proxy_side.stream;
    fresh->proxy_side.live = true;
    status = stream_open(stream, fd);
    if (status != 0)
        (void) close(fd);
    if (status == 0)
        status = begin(fresh, way->tls);
    if (status == 0)
        ask(fresh);
    else
        tunnel_cancel(fresh);
    if (status == 0)
        *tunnel = fresh;
    return status;
}

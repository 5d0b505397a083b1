#include "server/server.h"

#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "common/list.h"
#include "common/log.h"
#include "server/channels.h"
#include "server/limits.h"
#include "server/listener.h"
#include "server/worker.h"

enum {
    MAX_SOCKETS = 64,
    EXPIRY_INTERVAL = 1000, /* milliseconds between two looks at what is too old */
};

struct server {
    const struct server_options *options;
    uv_loop_t loop; /* the main thread's: signals only */
    uv_async_t worker_done;
    uv_signal_t sigint;
    uv_signal_t sigterm;
    uv_signal_t sighup;      /* started only with TLS */
    struct tls_context *tls; /* NULL: ws:// */
    struct channels channels;
    uv_timer_t expiry; /* of history, if its age matters */
    struct limits limits;
    struct worker_shared shared;
    struct worker *worker;
    int sockets[MAX_SOCKETS]; /* bound, not yet given to the worker: else -1 */
    size_t socket_count;
};

/* ---- sockets ---- */

/* Binds every address that one --listen stands for ("localhost" may be two). */
static int bind_one(struct server *server, const char *listen, struct error *error)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    uv_getaddrinfo_t request;
    char host[256], port[6];
    int status = server_options_split_listen(listen, host, port, error);

    if (status != 0)
        return status;
    status = uv_getaddrinfo(&server->loop, &request, NULL, host, port, &hints);
    if (status != 0)
        return error_set(error, status, "cannot listen on %s: %s", listen, uv_strerror(status));
    status = UV_EADDRNOTAVAIL;
    for (const struct addrinfo *address = request.addrinfo; address != NULL;
         address = address->ai_next) {
        int result =
            server->socket_count < MAX_SOCKETS
                ? listener_bind(address->ai_addr, &server->sockets[server->socket_count], error)
                : error_set(error, UV_EMFILE, "too many addresses to listen on");

        if (result == 0)
            server->socket_count++;
        /* A name may stand for an address that this machine has no use for: one will do. */
        if (result == 0 || (result != UV_EADDRNOTAVAIL && result != UV_EAFNOSUPPORT))
            status = result;
        if (status != 0 && status != UV_EADDRNOTAVAIL)
            break;
    }
    uv_freeaddrinfo(request.addrinfo);
    return status;
}

static int bind_all(struct server *server, struct error *error)
{
    int status = 0;

    for (size_t i = 0; i < server->options->listen_count && status == 0; i++)
        status = bind_one(server, server->options->listens[i], error);
    return status;
}

/* Hands the sockets to the worker, and says where clients find it. */
static int serve(struct server *server, struct error *error)
{
    char names[MAX_SOCKETS][64];
    int status = 0;

    for (size_t i = 0; i < server->socket_count && status == 0; i++) {
        int fd = server->sockets[i];

        listener_name(fd, names[i], sizeof names[i]);
        server->sockets[i] = -1;
        status = worker_listen(server->worker, fd);
    }
    if (status == 0)
        status = worker_start(server->worker);
    if (status != 0)
        return error_set(error, status, "cannot start a worker: %s", uv_strerror(status));
    for (size_t i = 0; i < server->socket_count; i++)
        log_info("listening on %s://%s%s", server->tls != NULL ? "wss" : "ws", names[i],
                 server->options->path);
    return 0;
}

/* ---- the end ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;

    log_info("stopping on %s", number == SIGINT ? "SIGINT" : "SIGTERM");
    worker_stop(server->worker);
}

/* Renewed certificates are taken over without a pause; what cannot be used changes nothing. */
static void on_hangup(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    struct error error;

    (void) number;
    if (tls_context_reload(server->tls, &error) == 0)
        log_info("reloaded the TLS certificate in %s", server->options->tls_cert);
    else
        log_error("the TLS certificate stays as it was: %s", error.text);
}

static void on_expiry(uv_timer_t *timer)
{
    channels_expire(&container_of(timer, struct server, expiry)->channels);
}

static void close_handles(struct server *server)
{
    uv_close((uv_handle_t *) &server->worker_done, NULL);
    uv_close((uv_handle_t *) &server->sigint, NULL);
    uv_close((uv_handle_t *) &server->sigterm, NULL);
    uv_close((uv_handle_t *) &server->sighup, NULL);
    uv_close((uv_handle_t *) &server->expiry, NULL);
}

static void on_worker_done(uv_async_t *async)
{
    close_handles(container_of(async, struct server, worker_done));
}

/* ---- life ---- */

/* The main loop's handles; on failure the loop has none. */
static int init_handles(struct server *server)
{
    int status = uv_async_init(&server->loop, &server->worker_done, on_worker_done);

    if (status != 0)
        return status;
    (void) uv_signal_init(&server->loop, &server->sigint);  /* neither can fail: the loop has its */
    (void) uv_signal_init(&server->loop, &server->sigterm); /* signal pipe already */
    (void) uv_signal_init(&server->loop, &server->sighup);
    (void) uv_timer_init(&server->loop, &server->expiry);
    if (server->options->history.age > 0)
        (void) uv_timer_start(&server->expiry, on_expiry, EXPIRY_INTERVAL, EXPIRY_INTERVAL);
    server->sigint.data = server;
    server->sigterm.data = server;
    server->sighup.data = server;
    status = uv_signal_start(&server->sigint, on_signal, SIGINT);
    if (status == 0)
        status = uv_signal_start(&server->sigterm, on_signal, SIGTERM);
    if (status == 0 && server->tls != NULL)
        status = uv_signal_start(&server->sighup, on_hangup, SIGHUP);
    if (status != 0) {
        close_handles(server);
        (void) uv_run(&server->loop, UV_RUN_DEFAULT);
    }
    return status;
}

static int start(struct server *server, struct error *error)
{
    int status = init_handles(server);

    if (status == 0) {
        server->shared = (struct worker_shared){
            .options = server->options,
            .limits = &server->limits,
            .channels = &server->channels,
            .tls = server->tls,
            .done = &server->worker_done,
        };
        status = worker_new(&server->worker, &server->shared);
        if (status == 0)
            status = serve(server, error);
        else
            (void) error_set(error, status, "cannot make a worker: %s", uv_strerror(status));
        if (status != 0)
            close_handles(server);
        (void) uv_run(&server->loop, UV_RUN_DEFAULT); /* until on_worker_done, or just to close */
        worker_free(server->worker);
        limits_report(&server->limits);
    } else {
        (void) error_set(error, status, "cannot handle signals: %s", uv_strerror(status));
    }
    return status;
}

static int prepare_tls(struct server *server, struct error *error)
{
    struct tls_files files = {
        .cert = server->options->tls_cert,
        .key = server->options->tls_key,
        .ca = server->options->tls_client_ca,
    };

    return files.cert != NULL ? tls_context_new_server(&server->tls, &files, error) : 0;
}

int server_run(const struct server_options *options)
{
    struct server server = {.options = options};
    struct error error = {"out of memory"};
    int status;

    status = uv_loop_init(&server.loop);
    if (status != 0)
        goto fail_loop;
    status = limits_init(&server.limits, options);
    if (status != 0)
        goto fail_limits;
    status = channels_init(&server.channels, &options->history, options->max_channels);
    if (status != 0)
        goto fail_channel;
    status = prepare_tls(&server, &error);
    if (status == 0)
        status = bind_all(&server, &error);
    if (status == 0)
        status = start(&server, &error);
    for (size_t i = 0; i < server.socket_count; i++) {
        if (server.sockets[i] >= 0)
            (void) close(server.sockets[i]);
    }
    tls_context_free(server.tls);
    channels_deinit(&server.channels);
fail_channel:
    limits_deinit(&server.limits);
fail_limits:
    (void) uv_loop_close(&server.loop);
fail_loop:
    if (status != 0)
        log_error("%s", error.text);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

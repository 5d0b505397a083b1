#include "server/server.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "server/http/routes.h"
#include "server/server_private.h"

enum {
    EXPIRY_INTERVAL = 1000, /* milliseconds between two looks at what is too old, */
    TRIM_INTERVAL = 5000,   /* and at whether much memory has become free */
    TRIM_BYTES = 4 * 1024 * 1024,
    MEMORY_SETTLES = 25, /* milliseconds: more than two steps of relief */
    LAST_LINES = 1000,   /* milliseconds that stderr has for the last lines */
};

/* A worker cannot be made, or started. */
static int complain(struct error *error, int status, size_t worker, size_t count)
{
    const char *advice = "";

    if (status == UV_EMFILE)
        advice = "; raise 'ulimit -n' (LimitNOFILE= in a systemd unit), or ask for fewer --workers";
    else if (status == UV_EAGAIN || status == UV_ENOMEM)
        advice = "; raise the limit on memory or threads (ulimit -v, ulimit -u, TasksMax= in a "
                 "systemd unit), or ask for fewer --workers";
    return error_set(error, status, "cannot start worker %zu of %zu: %s%s", worker + 1, count,
                     uv_strerror(status), advice);
}

/* ---- the beginning ---- */

static int make_workers(struct server *server, struct error *error)
{
    for (size_t i = 0; i < server->shared.worker_count; i++) {
        int status = worker_new(&server->workers[i], i, &server->shared);

        if (status != 0)
            return complain(error, status, i, server->shared.worker_count);
    }
    return 0;
}

/* Hands the sockets to the workers, starts them, and says where clients find them. */
static int serve(struct server *server, struct error *error)
{
    int status;

    for (size_t i = 0; i < server->sockets.count; i++) {
        struct sockets_socket *one = &server->sockets.list[i];

        status = worker_listen(server->workers[one->worker], sockets_take(one), one);
        if (status != 0)
            return complain(error, status, one->worker, server->shared.worker_count);
    }
    while (server->started < server->shared.worker_count) {
        status = worker_start(server->workers[server->started]);
        if (status != 0)
            return complain(error, status, server->started, server->shared.worker_count);
        server->started++;
    }
    atomic_store(&server->control.phase, CONTROL_READY); /* before anybody is told where it is */
    sockets_announce(&server->sockets, &server->config->options, 0);
    return 0;
}

/* Connects standard output to its channel, if that is asked for: before any client can say
 * something that it would miss. */
static int start_output(struct server *server, struct error *error)
{
    int status = 0;

    if (server->config->options.stdout_channel != NULL)
        status =
            sink_start(&server->sink, &server->loop, &server->config->options, &server->channels);
    return status == 0 ? 0
                       : error_set(error, status, "cannot write to standard output: %s",
                                   uv_strerror(status));
}

/* For standard input, which asks them how far their subscribers are. */
static struct source_worker reading_worker(void *context, size_t i)
{
    struct worker *worker = ((struct server *) context)->workers[i];

    return (struct source_worker){worker_inbox(worker), worker_fanouts(worker)};
}

/* The same for standard input, when the clients that were waited for can hear it. */
static int start_input(struct server *server, struct error *error)
{
    const struct server_options *options = &server->config->options;
    int status = 0;

    if (options->stdin_channel != NULL)
        status = source_start(&server->source, &server->loop, options, &server->channels,
                              &(struct source_readers){
                                  .worker_at = reading_worker,
                                  .context = server,
                                  .worker_count = server->shared.worker_count,
                                  .sink = &server->sink,
                                  .journal = server->journal,
                              });
    return status == 0
               ? 0
               : error_set(error, status, "cannot read standard input: %s", uv_strerror(status));
}

static struct inbox *inbox_at(void *context, size_t i)
{
    return worker_inbox(((struct server *) context)->workers[i]);
}

static int tell_ready(struct server *server, struct error *error)
{
    struct watchdog_workers workers = {inbox_at, server, server->shared.worker_count};
    int status = notify_start(&server->notify, &server->loop, &workers, &server->limits);

    return status == 0
               ? 0
               : error_set(error, status, "cannot watch the workers: %s", uv_strerror(status));
}

/* ---- the end ---- */

/* What clients will not accept is served all the same. */
void server_warn_of_certificates(const struct server *server)
{
    struct error warning;

    for (size_t i = 0; i < server->config->options.tls_cert_count; i++) {
        if (tls_context_warning(server->tls, i, &warning))
            log_warn("%s", warning.text);
    }
}

/* What there is no use for yet must not end the server all the same. */
static void on_signal(void *context, int number)
{
    struct server *server = context;

    if (number == SIGINT || number == SIGTERM)
        server_terminate(server, number == SIGINT ? "SIGINT" : "SIGTERM");
    else if (number == SIGHUP)
        server_reload(server);
    else if (number == SIGUSR1 && server->config->options.log_file != NULL)
        server_log_reopen(server);
    else if (number == SIGUSR1)
        log_info("SIGUSR1: there is no log file to reopen: the log goes to standard error");
    else
        log_info("SIGUSR2: this server cannot be replaced while it runs; nothing is done");
}

static void on_ask(struct control *control, struct control_ask *ask)
{
    struct server *server = container_of(control, struct server, control);

    if (ask->wish == CONTROL_RELOAD) {
        server_reload_for(server, ask);
        return;
    }
    control_answer(ask, 0, "draining");
    if (!server->stopping)
        server_terminate(server, "a request to drain");
}

static int start_signals(struct server *server)
{
    sigset_t set;

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGINT);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGHUP);
    (void) sigaddset(&set, SIGUSR1);
    (void) sigaddset(&set, SIGUSR2);
    return signals_start(&server->signals, &server->loop, &set, on_signal, server);
}

static void on_expiry(uv_timer_t *timer)
{
    channels_expire(&container_of(timer, struct server, expiry)->channels);
}

/* What was held at the peak and is free now goes back to the system: malloc keeps it otherwise,
 * between blocks that live on. */
static void on_trim(uv_timer_t *timer)
{
    struct server *server = container_of(timer, struct server, trim);
    uint64_t peak = memory_take_peak(&server->channels.memory);
    uint64_t used = memory_used(&server->channels.memory);

    if (peak > server->peak) /* since it was trimmed last: it may fall in many small steps */
        server->peak = peak;
    if (server->peak <= used + TRIM_BYTES)
        return;
    server->peak = used;
    (void) malloc_trim(0);
}

void server_configure(struct server *server)
{
    const struct server_options *options = &server->config->options;

    log_set_level(options->log_level);
    server->channels.memory.max = options->max_memory;
    histories_limit(&server->channels.histories,
                    options->store != NULL ? options->history_memory : options->history_total);
    channels_list(&server->channels, options->listed_channels ? server->listed : NULL,
                  server->listed_count);
    if (!channel_rules_have_age(&server->config->rules))
        (void) uv_timer_stop(&server->expiry);
    else
        (void) uv_timer_start(&server->expiry, on_expiry, EXPIRY_INTERVAL, EXPIRY_INTERVAL);
}

static void close_handles(struct server *server)
{
    uv_close((uv_handle_t *) &server->workers_done, NULL);
    uv_close((uv_handle_t *) &server->changed, NULL);
    uv_close((uv_handle_t *) &server->drain, NULL);
    control_close(&server->control);
    signals_close(&server->signals);
    uv_close((uv_handle_t *) &server->expiry, NULL);
    uv_close((uv_handle_t *) &server->trim, NULL);
    notify_close(&server->notify);
    source_close(&server->source);
    sink_finish(&server->sink);
}

static void on_workers_done(uv_async_t *async)
{
    close_handles(container_of(async, struct server, workers_done));
}

static void free_workers(struct server *server)
{
    for (size_t i = 0; i < server->started; i++)
        worker_join(server->workers[i]);
    server_store_close(server);
    for (size_t i = 0; i < server->shared.worker_count; i++)
        worker_free(server->workers[i]);
    free(server->workers);
}

/* ---- life ---- */

/* The main loop's handles; on failure the loop has none. */
static int init_handles(struct server *server)
{
    int status = uv_async_init(&server->loop, &server->workers_done, on_workers_done);

    if (status != 0)
        return status;
    status = server_reload_init(server);
    if (status == 0) {
        status = control_init(&server->control, &server->loop, on_ask);
        if (status != 0)
            uv_close((uv_handle_t *) &server->changed, NULL);
    }
    if (status != 0) {
        uv_close((uv_handle_t *) &server->workers_done, NULL);
        (void) uv_run(&server->loop, UV_RUN_DEFAULT);
        return status;
    }
    (void) uv_timer_init(&server->loop, &server->drain);
    (void) uv_timer_init(&server->loop, &server->expiry);
    (void) uv_timer_init(&server->loop, &server->trim);
    (void) uv_timer_start(&server->trim, on_trim, TRIM_INTERVAL, TRIM_INTERVAL);
    server_configure(server);
    status = start_signals(server);
    if (status != 0) {
        close_handles(server);
        (void) uv_run(&server->loop, UV_RUN_DEFAULT);
        control_deinit(&server->control);
    }
    return status;
}

/* Runs the workers until they have ended: because of a signal, or because not all could start. */
static int run_workers(struct server *server, struct error *error)
{
    int status = make_workers(server, error);

    if (status == 0)
        status = start_output(server, error);
    if (status == 0)
        status = serve(server, error);
    if (status == 0)
        status = start_input(server, error);
    if (status == 0)
        status = tell_ready(server, error);
    if (status != 0)
        server_stop_workers(server);
    if (server->started == 0)
        close_handles(server); /* as the last worker's end would */
    (void) uv_run(&server->loop, UV_RUN_DEFAULT);
    return status;
}

static int start(struct server *server, struct error *error)
{
    bool ready;
    int status;

    server->shared = (struct worker_shared){
        .config = server->config,
        .limits = &server->limits,
        .channels = &server->channels,
        .journal = server->journal,
        .control = &server->control,
        .stdin_counters = &server->source.counters,
        .tls = server->tls,
        .shortage = &server->shortage,
        .workers = calloc(server->config->options.workers, sizeof *server->workers),
        .worker_count = server->config->options.workers,
        .running = &server->running,
        .done = &server->workers_done,
    };
    server->workers = server->shared.workers;
    if (server->workers == NULL)
        return UV_ENOMEM;
    status = init_handles(server);
    ready = status == 0;
    if (ready)
        status = run_workers(server, error);
    else
        (void) error_set(error, status, "cannot handle signals: %s", uv_strerror(status));
    free_workers(server);
    if (ready)
        control_deinit(&server->control);
    source_deinit(&server->source);
    limits_report(&server->limits);
    return status;
}

/* With --create-channels listed, those of the pipes are; the pipes do not change. */
static void list_channels(struct server *server)
{
    const struct server_options *options = &server->first->options;

    if (options->stdin_channel != NULL)
        server->listed[server->listed_count++] = options->stdin_channel;
    if (options->stdout_channel != NULL)
        server->listed[server->listed_count++] = options->stdout_channel;
}

struct tls_files server_tls_files(const struct server_options *options)
{
    struct tls_files files = {.ca = options->tls_client_ca};

    for (size_t i = 0; i < options->tls_cert_count; i++)
        files.pairs[i] =
            (struct tls_pair){.cert = options->tls_certs[i], .key = options->tls_keys[i]};
    return files;
}

static int prepare_tls(struct server *server, struct error *error)
{
    const struct server_options *options = &server->config->options;
    struct tls_files files = server_tls_files(options);
    int status;

    if (options->tls_cert_count == 0)
        return 0;
    status = tls_context_new_server(&server->tls, &files, error);
    if (status == 0)
        server_warn_of_certificates(server);
    return status;
}

static void complain_of_config(void *context, const char *text)
{
    (void) context;
    log_error("%s", text);
}

struct config *server_load(const struct server_arguments *arguments)
{
    struct config *config;
    struct error error;

    if (config_load(&config, arguments->argc, arguments->argv, complain_of_config, NULL) != 0)
        return NULL;
    if (routes_check(&config->options, &error) == 0)
        return config;
    log_error("%s; 'wsbroadcastd --help' lists the options", error.text);
    config_unref(config);
    return NULL;
}

/* Clients are known by their addresses, and connections noted, where a limit or the operator asks
 * for that, or may do so after a reload. */
static bool counts_addresses(const struct config *config)
{
    const struct server_options *options = &config->options;

    return options->config_file != NULL || options->admin != NULL || options->log_connections ||
           options->max_connections_per_address > 0 || channel_rules_have_rates(&config->rules);
}

/* What is made before the loop's handles are. */
static int prepare(struct server *server, struct error *error)
{
    const struct server_options *options = &server->config->options;
    int status;

    server->channels.memory.settles = options->workers > 1 ? MEMORY_SETTLES : 0;
    list_channels(server);
    status = server_log_start(server, error);
    if (status == 0)
        status = prepare_tls(server, error);
    if (status == 0)
        status = server_store_open(server, error);
    if (status == 0)
        status = sockets_init(&server->sockets, options, options->workers, &server->loop, error);
    return status;
}

int server_run(struct config *config, const struct server_arguments *arguments)
{
    struct server server = {.arguments = *arguments, .first = config, .config = config};
    const struct server_options *options = &config->options;
    struct error error = {"out of memory"};
    int status;

    (void) config_ref(config); /* the first, beside that of now */
    process_raise_files();
    status = uv_loop_init(&server.loop);
    if (status != 0)
        goto fail_loop;
    status = limits_init(&server.limits, options, counts_addresses(config));
    if (status != 0)
        goto fail_limits;
    status = fd_shortage_init(&server.shortage);
    if (status != 0)
        goto fail_shortage;
    status = channels_init(&server.channels, &config->rules, options->max_channels);
    if (status != 0)
        goto fail_channel;
    status = prepare(&server, &error);
    if (status == 0)
        status = start(&server, &error);
    server_store_close(&server);
    sockets_deinit(&server.sockets);
    tls_context_free(server.tls);
    channels_deinit(&server.channels);
fail_channel:
    fd_shortage_deinit(&server.shortage);
fail_shortage:
    limits_deinit(&server.limits);
fail_limits:
    (void) uv_loop_close(&server.loop);
fail_loop:
    server_log_stop(&server, LAST_LINES, status != 0 ? error.text : NULL);
    if (server.old != NULL)
        config_unref(server.old);
    config_unref(server.config);
    config_unref(server.first);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

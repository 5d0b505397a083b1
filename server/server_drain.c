/* The end of the server, in steps (SIGTERM, SIGINT, POST /drain):
 *
 *     --drain-delay   it says that it is not ready, and serves as before
 *     --drain         it accepts nothing, and closes connections evenly
 *     the rest        what is left is closed, and the workers end (worker_stop)
 *
 * A signal that comes meanwhile ends it at once. */
#include "common/base/log.h"
#include "server/http/control.h"
#include "server/server_private.h"

void server_stop_workers(struct server *server)
{
    for (size_t i = 0; i < server->started; i++)
        worker_stop(server->workers[i]);
    server->stopped = true;
}

static void on_drained(uv_timer_t *timer)
{
    server_stop_workers(container_of(timer, struct server, drain));
}

static void on_delay_over(uv_timer_t *timer)
{
    struct server *server = container_of(timer, struct server, drain);
    uint64_t drain = server->config->options.drain;

    source_stop(&server->source);
    if (drain == 0) {
        server_stop_workers(server);
        return;
    }
    for (size_t i = 0; i < server->started; i++)
        worker_drain(server->workers[i], drain);
    (void) uv_timer_start(timer, on_drained, drain, 0);
}

void server_terminate(struct server *server, const char *why)
{
    const struct server_options *options = &server->config->options;

    if (server->stopping) {
        log_info("%s again: ending at once", why);
        source_stop(&server->source);
        if (!server->stopped)
            server_stop_workers(server);
        server_stop_workers(server);
        return;
    }
    server->stopping = true;
    notify_stopping(&server->notify);
    atomic_store(&server->control.phase, CONTROL_DRAINING);
    if (options->drain_delay + options->drain > 0)
        log_info("stopping on %s: connections are closed within %.1f seconds", why,
                 (double) (options->drain_delay + options->drain) / 1000);
    else
        log_info("stopping on %s", why);
    if (options->drain_delay == 0)
        on_delay_over(&server->drain);
    else
        (void) uv_timer_start(&server->drain, on_delay_over, options->drain_delay, 0);
}

/* A new configuration while the server runs (SIGHUP). All of it is read and checked first: what
 * cannot be used changes nothing. Then the main thread takes it over, and each worker does between
 * two turns of its loop. When the last one has, the configuration of before is freed. */
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/server_private.h"

/* ---- what cannot change ---- */

static bool differs(const char *one, const char *other)
{
    if (one == NULL || other == NULL)
        return one != other;
    return strcmp(one, other) != 0;
}

static void warn_if(bool changed, const char *option)
{
    if (changed)
        log_warn("%s has changed: it stays as it was until the server is restarted", option);
}

static void warn_of_restart(const struct server_options *now, const struct server_options *next)
{
    warn_if(now->workers != next->workers, "workers");
    warn_if(differs(now->stdin_channel, next->stdin_channel), "stdin");
    warn_if(differs(now->stdout_channel, next->stdout_channel), "stdout");
    warn_if(differs(now->store, next->store), "store");
    warn_if(now->store_fast != next->store_fast, "store-sync");
    warn_if(now->compression_level != next->compression_level, "compression-level");
    warn_if((now->tls_cert_count > 0) != (next->tls_cert_count > 0), "whether there is a tls-cert");
}

/* ---- what can ---- */

/* Returns 0, or a negative UV_E* code with a text, and nothing has changed. */
static int reload_tls(struct server *server, const struct server_options *options,
                      struct error *error)
{
    struct tls_files files = server_tls_files(options);

    if (server->tls == NULL || options->tls_cert_count == 0)
        return 0;
    return tls_context_reload(server->tls, &files, error);
}

static void tell_of_tls(const struct server *server)
{
    const struct server_options *options = &server->config->options;

    for (size_t i = 0; i < options->tls_cert_count && server->tls != NULL; i++)
        log_info("reloaded the TLS certificate in %s", options->tls_certs[i]);
    if (server->tls != NULL)
        server_warn_of_certificates(server);
}

static void pass_on(struct server *server)
{
    const struct sockets_change *listeners = &server->listeners;

    server->change = (struct worker_change){
        .config = server->config,
        .closed = listeners->closed,
        .closed_count = listeners->closed_count,
        .opened = listeners->opened,
        .opened_count = listeners->opened_count,
        .tls_reloaded = server->tls != NULL,
        .done = &server->changed,
    };
    atomic_store(&server->change.pending, server->started);
    for (size_t i = 0; i < server->started; i++)
        worker_change(server->workers[i], &server->change);
}

/* Takes a configuration over, of which nothing can fail any more. */
static void take_over(struct server *server, struct config *next)
{
    warn_of_restart(&server->first->options, &next->options);
    server->old = server->config;
    server->config = next;
    server_configure(server);
    limits_set_options(&server->limits, &next->options);
    channels_set_rules(&server->channels, &next->rules, next->options.max_channels);
    server_store_configure(server);
    tell_of_tls(server);
    sockets_announce(&server->sockets, &next->options, server->listeners.first_address);
    pass_on(server);
}

/* ---- all of it ---- */

/* Tells who asked for the reload that is under way, if somebody did. */
static void answer(struct server *server, int status, const char *text)
{
    struct control_ask *ask = server->reload_ask;

    server->reload_ask = NULL;
    if (ask != NULL)
        control_answer(ask, status, text);
}

/* Opens what the new configuration needs, and takes it over; or leaves all as it was. */
static int try_next(struct server *server, struct config *next, struct error *error)
{
    const struct server_options *options = &next->options;
    const char *kept = "configuration";
    int log_fd, status = server_log_prepare(server, options, &log_fd, error);

    if (status != 0)
        goto fail_log;
    status = reload_tls(server, options, error);
    if (status != 0) {
        kept = "TLS certificate";
        goto fail_tls;
    }
    status = sockets_change(&server->sockets, options, &server->loop, &server->listeners, error);
    if (status != 0)
        goto fail_tls;
    server_log_change(server, options, log_fd);
    take_over(server, next);
    return 0;

fail_tls:
    if (log_fd != -1)
        (void) close(log_fd);
fail_log:
    log_error("the %s stays as it was: %s", kept, error->text);
    return status;
}

static void reload_all(struct server *server)
{
    struct error error = {"the configuration stays as it was: the log has each error"};
    struct config *next;

    notify_reloading(&server->notify);
    next = server_load(&server->arguments);
    if (next == NULL)
        log_error("the configuration stays as it was");
    else if (try_next(server, next, &error) == 0)
        return;
    else
        config_unref(next);
    answer(server, UV_EINVAL, error.text);
    notify_reloaded(&server->notify);
}

/* The last worker has taken the new one over. */
static void on_changed(uv_async_t *async)
{
    struct server *server = container_of(async, struct server, changed);

    if (server->old == NULL || atomic_load(&server->change.pending) > 0)
        return;
    config_unref(server->old);
    server->old = NULL;
    answer(server, 0, "the configuration is in force");
    if (server->config->options.config_file != NULL)
        log_info("reloaded the configuration in %s", server->config->options.config_file);
    else if (server->config->auth != NULL)
        log_info("reloaded the users of --token-file and --jwt-key");
    if (!server->reload_again) {
        notify_reloaded(&server->notify);
        return;
    }
    server->reload_again = false;
    server_reload(server);
}

int server_reload_init(struct server *server)
{
    return uv_async_init(&server->loop, &server->changed, on_changed);
}

/* Why there can be no reload now, or NULL. */
static const char *why_not(const struct server *server)
{
    if (server->stopping)
        return "the server is about to end";
    if (server->tls == NULL && server->config->options.config_file == NULL &&
        server->config->auth == NULL)
        return "there is nothing to reload: neither a configuration file (--config), nor a "
               "certificate (--tls-cert), nor users (--token-file, --jwt-key)";
    return NULL;
}

void server_reload(struct server *server)
{
    const char *why = why_not(server);

    server_log_reopen(server);
    if (why != NULL && server->config->options.log_file == NULL)
        log_info("SIGHUP: %s", why);
    else if (why != NULL)
        return;
    else if (server->old != NULL) /* this one is made first; many that come meanwhile are one */
        server->reload_again = true;
    else
        reload_all(server);
}

void server_reload_for(struct server *server, struct control_ask *ask)
{
    const char *why = why_not(server);

    if (why == NULL && server->old != NULL)
        why = "a reload is under way: try again";
    if (why != NULL) {
        control_answer(ask, UV_EBUSY, why);
        return;
    }
    server->reload_ask = ask;
    server_log_reopen(server);
    reload_all(server);
}

#include "server/worker.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/plural.h"
#include "server/admin/admin_routes.h"
#include "server/http/routes.h"
#include "server/net/listener.h"
#include "server/peer/peer.h"
#include "server/worker_private.h"

/* ---- TLS ---- */

static void on_unadmitted(struct tls_loop *loop, struct stream *stream)
{
    (void) loop;
    peer_expel(container_of(stream, struct peer, transport.stream));
}

static void run(void *argument)
{
    struct worker *worker = argument;

    (void) uv_run(&worker->loop, UV_RUN_DEFAULT);
    log_debug("worker %zu: %llu connection%s in all", worker->number,
              (unsigned long long) worker->context.peers_ever, plural(worker->context.peers_ever));
    if (atomic_fetch_sub(worker->shared->running, 1) == 1)
        (void) uv_async_send(worker->shared->done);
}

/* ---- what its parts know ---- */

static struct transport_config transport_config_of(const struct server_options *options)
{
    return (struct transport_config){
        .server = true,
        .max_message = options->max_message,
        .max_fragments = options->max_fragments,
        .max_empty_fragments = options->max_empty_fragments,
        .compression_level = (int) options->compression_level,
        .opening_timeout = (uint32_t) options->handshake_timeout,
        .keepalive_timeout = (uint32_t) options->keepalive_timeout,
        .closing_timeout = (uint32_t) options->close_timeout,
        .message_timeout = (uint32_t) options->message_timeout,
        .ping_interval = (uint32_t) options->ping_interval,
        .ping_timeout = (uint32_t) options->ping_timeout,
    };
}

static struct connection_policy connection_policy_of(const struct worker *worker,
                                                     const struct server_options *options)
{
    return (struct connection_policy){
        .proxies = &options->trusted_proxies,
        .on_forwarded = peer_on_forwarded,
        .router = &worker->router,
        .services = &worker->services,
        .names = {options->server_names, options->server_name_count},
        .max_header_bytes = options->max_header_bytes,
        .max_header_count = options->max_header_count,
    };
}

static struct question_desk *desk_at(void *context, size_t i)
{
    const struct worker *worker = container_of(context, struct worker, services);

    return &worker->shared->workers[i]->desk;
}

/* What the worker's parts know of each other. None of it can fail. */
static void connect_parts(struct worker *worker)
{
    struct channels *channels = worker->shared->channels;

    worker->publisher = (struct channel_publisher){
        .encoder = worker->context.transports.encoder,
        .deflater = worker->context.transports.deflater,
    };
    worker->publish = (struct submit_context){
        .journal = worker->shared->journal,
        .publisher = &worker->publisher,
        .throttle = &worker->throttle,
        .inbox = &worker->inbox,
    };
    fanouts_init(&worker->fanouts, channels, &peer_subscriber_ops, &worker->inbox, &worker->due);
    throttle_init(&worker->throttle, &worker->loop, channels);
    tls_loop_init(&worker->tls, &worker->loop, worker->shared->tls, on_unadmitted);
    relief_init(&worker->relief, &worker->loop, &worker->inbox, &channels->memory, &worker->fanouts,
                false);
    question_desk_init(&worker->desk, &worker->inbox, &worker->services, desk_at,
                       worker->shared->worker_count);
    worker->services = (struct services){
        .channels = channels,
        .fanouts = &worker->fanouts,
        .publish = &worker->publish,
        .limits = worker->shared->limits,
        .memory = &channels->memory,
        .desk = &worker->desk,
        .counters = &worker->context.counters,
        .stdin_counters = worker->shared->stdin_counters,
        .control = worker->shared->control,
        .peers = &worker->context,
    };
    worker->admin_router = admin_routes();
    worker->publisher.counters = &worker->context.counters;
    worker->fanouts.latency = &worker->context.counters.latency;
    worker->context.admin_policy = &worker->admin_policy;
    worker->context.first_id = worker->number + 1;
    worker->context.id_step = worker->shared->worker_count;
    list_init(&worker->context.records);
    peer_users_init(&worker->context.users, &worker->loop, &worker->context);
    worker->context.policy = &worker->policy;
    worker->context.publish = &worker->publish;
    worker->context.limits = worker->shared->limits;
    worker->context.memory = &channels->memory;
    worker->context.fanouts = &worker->fanouts;
    worker->context.tls = &worker->tls;
    worker->context.charged = &worker->relief.charged;
    worker->context.idle = &worker->swept;
    worker->context.make_room = worker_turn_make_room_for_peer;
    worker->context.on_left = worker_stop_peer_left;
}

/* What follows from the configuration, at the start and when it has changed. */
static void configure(struct worker *worker, const struct config *config)
{
    const struct server_options *options = &config->options;
    bool ending = worker->policy.ending;

    worker->config = config;
    worker->publisher.compression_min = (size_t) options->compression_min;
    worker->services.options = options;
    worker->services.origins = (struct origin_policy){
        .allowed = options->origins,
        .allowed_count = options->origin_count,
        .host_is_known = options->server_name_count > 0,
    };
    worker->router = routes_of(options);
    worker->policy = connection_policy_of(worker, options);
    worker->policy.ending = ending;
    worker->context.options = options;
    worker->services.config = config;
    worker->services.auth = config->auth;
    worker->publish.auth = config->auth;
    worker->context.auth = config->auth;
    worker->services.admin_token = config->admin_token;
    worker->admin_services = worker->services;
    worker->admin_services.for_operator = true;
    worker->admin_services.origins = (struct origin_policy){.host_is_known = true};
    worker->admin_policy = worker->policy;
    worker->admin_policy.router = &worker->admin_router;
    worker->admin_policy.services = &worker->admin_services;
    worker->admin_policy.names = (struct server_names){0};
    relief_watch(&worker->relief, options->read_mildly);
    worker_turn_configure(worker);
}

/* ---- changes ---- */

static void close_listeners(struct worker *worker, const struct worker_change *change)
{
    LIST_FOR_EACH_SAFE (node, next, &worker->listeners) {
        struct listener *listener = container_of(node, struct listener, node);

        for (size_t i = 0; i < change->closed_count; i++) {
            if (change->closed[i] != listener->id)
                continue;
            list_remove(&listener->node);
            listener_close(listener);
            break;
        }
    }
}

static void open_listeners(struct worker *worker, const struct worker_change *change)
{
    for (size_t i = 0; i < change->opened_count; i++) {
        struct sockets_socket *socket = &change->opened[i];
        int status;

        if (socket->worker != worker->number)
            continue;
        status = worker_listen(worker, sockets_take(socket), socket);
        if (status != 0)
            log_error("worker %zu cannot listen on one more address: %s", worker->number,
                      uv_strerror(status));
    }
}

static void on_change(struct inbox_item *item)
{
    struct worker *worker = container_of(item, struct worker, change_item);
    struct worker_change *change = worker->change;
    struct transport_config transports = transport_config_of(&change->config->options);

    configure(worker, change->config);
    peer_users_judge_all(&worker->context.users);
    if (!worker->stopping) {
        transport_context_configure(&worker->context.transports, &transports);
        close_listeners(worker, change);
        open_listeners(worker, change);
    }
    if (change->tls_reloaded)
        tls_loop_verify_all(&worker->tls);
    if (atomic_fetch_sub(&change->pending, 1) == 1)
        (void) uv_async_send(change->done);
}

void worker_change(struct worker *worker, struct worker_change *change)
{
    worker->change = change;
    inbox_post(&worker->inbox, &worker->change_item);
}

/* ---- life ---- */

int worker_new(struct worker **worker, size_t number, const struct worker_shared *shared)
{
    struct transport_config config = transport_config_of(&shared->config->options);
    struct worker *fresh = calloc(1, sizeof *fresh);
    int status;

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->number = number;
    fresh->shared = shared;
    list_init(&fresh->listeners);
    list_init(&fresh->due);
    status = uv_loop_init(&fresh->loop);
    if (status != 0)
        goto fail_loop;
    status = inbox_init(&fresh->inbox, &fresh->loop);
    if (status != 0)
        goto fail_inbox;
    status = handoff_init(&fresh->handoff, &fresh->inbox, worker_turn_handed_off);
    if (status != 0)
        goto fail_arrivals;
    status = transport_context_init(&fresh->context.transports, &fresh->loop, &peer_transport_ops,
                                    &config);
    if (status != 0)
        goto fail_transports;
    worker_turn_init(fresh);
    worker_stop_init(fresh);
    inbox_item_init(&fresh->change_item, on_change);
    connect_parts(fresh);
    configure(fresh, shared->config);
    *worker = fresh;
    return 0;

fail_transports:
    handoff_deinit(&fresh->handoff);
fail_arrivals:
    inbox_close(&fresh->inbox);
    (void) uv_run(&fresh->loop, UV_RUN_DEFAULT);
    inbox_deinit(&fresh->inbox);
fail_inbox:
    (void) uv_loop_close(&fresh->loop);
fail_loop:
    free(fresh);
    return status;
}

int worker_listen(struct worker *worker, int fd, const struct sockets_socket *socket)
{
    struct listener *listener;
    int status = listener_open(&listener, &worker->loop, fd, worker->shared->shortage,
                               worker_turn_connection);

    if (status != 0)
        return status;
    listener->owner = worker;
    listener->id = socket->id;
    listener->spread = socket->shared;
    listener->tls = socket->tls;
    listener->proxy = socket->proxy;
    listener->admin = socket->admin;
    listener->make_room = worker_turn_make_room;
    list_append(&worker->listeners, &listener->node);
    return 0;
}

int worker_start(struct worker *worker)
{
    int status;

    (void) atomic_fetch_add(worker->shared->running, 1);
    atomic_store(&worker->serving, true);
    status = uv_thread_create(&worker->thread, run, worker);
    if (status != 0) {
        (void) atomic_fetch_sub(worker->shared->running, 1);
        atomic_store(&worker->serving, false);
    }
    worker->started = status == 0;
    return status;
}

void worker_join(struct worker *worker)
{
    (void) uv_thread_join(&worker->thread);
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    if (!worker->started) { /* its loop has handles, and was never run */
        worker_stop_close_listeners(worker);
        handoff_close(&worker->handoff);
        proxy_arrivals_close(&worker->proxied);
        worker_stop_end_loop(worker);
        (void) uv_run(&worker->loop, UV_RUN_DEFAULT);
    }
    peer_users_deinit(&worker->context.users);
    question_desk_deinit(&worker->desk);
    handoff_deinit(&worker->handoff);
    inbox_deinit(&worker->inbox);
    transport_context_deinit(&worker->context.transports);
    (void) uv_loop_close(&worker->loop);
    free(worker);
}

struct inbox *worker_inbox(struct worker *worker)
{
    return &worker->inbox;
}

const struct fanouts *worker_fanouts(const struct worker *worker)
{
    return &worker->fanouts;
}

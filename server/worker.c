#include "server/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/plural.h"
#include "server/http/routes.h"
#include "server/net/handoff.h"
#include "server/net/listener.h"
#include "server/peer/peer.h"
#include "server/peer/relief.h"

enum {
    FLUSH_BUDGET = 128,    /* visits to peers that get messages, and peers that get own frames,
                              before the loop looks at its input, */
    FLUSH_MOST = 1024,     /* and before it turns, whatever is published */
    MAX_LAG_MESSAGES = 2,  /* of the longest messages are never too much to lag behind */
    SWEEP_INTERVAL = 1000, /* milliseconds between two looks at who is idle or reads too slowly */
    QUESTION_BUDGET = 256, /* peers that are looked at in a turn, for those who ask for figures */
    LAG_LOOKS = 16,        /* at the stalled, in the time that a message may wait for them */
};

struct worker {
    uv_loop_t loop;
    uv_thread_t thread;
    bool started;
    _Atomic unsigned stops; /* how often worker_stop was called */
    bool stopping;
    bool served;  /* and has finished the last request */
    bool leaving; /* it has said goodbye */
    bool ended;
    _Atomic bool serving; /* it runs, and may have requests to finish: others wait for that */
    size_t number;
    const struct worker_shared *shared;
    struct connection_policy policy;
    struct channel_publisher publisher;
    struct publish_means publish;
    struct list listeners;
    struct inbox inbox;
    struct inbox_item stop_item;
    struct inbox_item leave_item; /* another worker has nothing more to finish */
    struct inbox_item room_item;  /* another one is short of connections, */
    struct inbox_item retry_item; /* or has made room */
    struct inbox_item tls_item;   /* the TLS context has been reloaded */
    struct tls_loop tls;
    struct handoff handoff; /* what other workers have accepted for this one */
    uv_prepare_t turn_end;
    uv_idle_t go_on;  /* active while a flush is not done: the loop does not wait for events */
    uv_timer_t sweep; /* runs only if one of its limits is set, */
    uv_timer_t lag;   /* and this one only if --max-lag limits the time */
    struct awake swept, lagged; /* the clocks of these two */
    struct relief relief;
    struct list due; /* fanouts to be flushed at the end of this turn */
    struct fanouts fanouts;
    struct throttle throttle;
    struct router router;
    struct services services;
    struct question_desk desk;
    size_t peers;
    uint64_t peers_ever;
    struct transport_context transports;
};

/* ---- the loop's turn ---- */

static void on_go_on(uv_idle_t *idle)
{
    (void) idle; /* what there is to do is done at the end of the turn */
}

/* Flushes the channels that have something new, in turn, until the budget is spent. */
static void flush_due(struct worker *worker)
{
    struct fanout_budget budget = {.visits = FLUSH_BUDGET, .most = FLUSH_MOST};

    while (budget.visits > 0 && !list_empty(&worker->due))
        fanout_flush(container_of(worker->due.next, struct fanout, _due), &budget);
    if (budget.behind)
        transport_context_hold_input(&worker->transports);
}

static void wake_reliefs(const struct worker_shared *shared)
{
    for (size_t i = 0; i < shared->worker_count; i++)
        relief_wake(&shared->workers[i]->relief);
}

/* When a worker that is to stop has finished its last request, all of them are told. */
static void check_served(struct worker *worker)
{
    const struct worker_shared *shared = worker->shared;

    if (!worker->stopping || worker->served || transport_context_is_opening(&worker->transports))
        return;
    worker->served = true;
    atomic_store(&worker->serving, false);
    for (size_t i = 0; i < shared->worker_count; i++)
        inbox_post(&shared->workers[i]->inbox, &shared->workers[i]->leave_item);
}

/* Runs before the loop waits for events: what the last ones brought goes out now. */
static void on_turn_end(uv_prepare_t *prepare)
{
    struct worker *worker = container_of(prepare, struct worker, turn_end);
    bool done = transport_context_go_on(&worker->transports);
    bool asked = !question_desk_is_idle(&worker->desk);

    flush_due(worker);
    (void) question_desk_work(&worker->desk, QUESTION_BUDGET); /* its answers go out at once */
    done = transport_context_flush_some(&worker->transports, FLUSH_BUDGET) && done;
    fanouts_clean(&worker->fanouts);
    if (relief_check(&worker->relief))
        wake_reliefs(worker->shared);
    check_served(worker);
    /* A request that an answer resumes may have more to read in the next turn. */
    if (done && !asked && list_empty(&worker->due) && question_desk_is_idle(&worker->desk))
        (void) uv_idle_stop(&worker->go_on);
    else
        (void) uv_idle_start(&worker->go_on, on_go_on);
}

/* A connection has come. Of a listener that all workers share, each gets every n-th. */
static int on_connection(struct listener *listener, int fd)
{
    struct worker *worker = listener->owner;
    const struct worker_shared *shared = worker->shared;
    struct worker *taker = worker;

    if (listener->spread)
        taker = shared->workers[listener->turn++ % shared->worker_count];
    if (taker != worker)
        return handoff_give(&taker->handoff,
                            &(struct handoff_connection){fd, listener->loopback, listener->tls});
    return peer_accept(&worker->transports, fd, listener->loopback, listener->tls);
}

static void on_arrival(struct handoff *handoff, const struct handoff_connection *arrival)
{
    struct worker *worker = container_of(handoff, struct worker, handoff);
    int status = peer_accept(&worker->transports, arrival->fd, arrival->loopback, arrival->tls);

    if (status != 0)
        log_warn("dropped a connection: %s", uv_strerror(status));
}

/* Who could not be accepted for want of a descriptor may be now. */
static void retry_listeners(struct worker *worker)
{
    struct list *node;

    for (node = worker->listeners.next; node != &worker->listeners; node = node->next)
        listener_retry(container_of(node, struct listener, node));
}

static struct inbox_item *room_of(struct worker *worker)
{
    return &worker->room_item;
}

static struct inbox_item *retry_of(struct worker *worker)
{
    return &worker->retry_item;
}

/* Posts the item of each other worker. */
static void post_others(const struct worker *worker,
                        struct inbox_item *(*item_of)(struct worker *) )
{
    const struct worker_shared *shared = worker->shared;

    for (size_t i = 0; i < shared->worker_count; i++) {
        struct worker *other = shared->workers[i];

        if (other != worker)
            inbox_post(&other->inbox, item_of(other));
    }
}

bool worker_make_room(struct worker *worker)
{
    if (peer_drop_kept(&worker->transports))
        return true;
    post_others(worker, room_of);
    return false;
}

/* Another worker is short of connections: if there is room now, it may try again. */
static void on_room(struct inbox_item *item)
{
    struct worker *worker = container_of(item, struct worker, room_item);

    if (peer_drop_kept(&worker->transports))
        post_others(worker, retry_of);
}

static void on_retry(struct inbox_item *item)
{
    retry_listeners(container_of(item, struct worker, retry_item));
}

static bool make_room(struct listener *listener)
{
    return worker_make_room(listener->owner);
}

static void on_sweep(uv_timer_t *timer)
{
    struct worker *worker = container_of(timer, struct worker, sweep);
    const struct server_options *options = worker->shared->options;
    uint64_t now = uv_now(&worker->loop);
    bool slept = awake_look(&worker->swept, now);
    struct list *node;

    awake_expect(&worker->swept, now, SWEEP_INTERVAL);
    for (node = worker->fanouts.all.next; node != &worker->fanouts.all && !slept; node = node->next)
        fanout_sweep(container_of(node, struct fanout, _node), worker_clock(worker),
                     options->idle_timeout, options->min_read_rate * SWEEP_INTERVAL / 1000);
}

/* Looks for how long messages wait for the stalled. */
static void on_lag(uv_timer_t *timer)
{
    struct worker *worker = container_of(timer, struct worker, lag);
    uint64_t now = uv_now(&worker->loop);
    bool slept = awake_look(&worker->lagged, now);
    struct list *node;

    awake_expect(&worker->lagged, now, uv_timer_get_repeat(timer));
    for (node = worker->fanouts.all.next; node != &worker->fanouts.all && !slept; node = node->next)
        fanout_judge_time(container_of(node, struct fanout, _node),
                          awake_clock(&worker->lagged, now));
}

/* ---- the end ---- */

/* Nothing is left to serve: without its handles the loop ends. */
static void end_loop(struct worker *worker)
{
    worker->ended = true;
    fanouts_clean(&worker->fanouts);
    inbox_close(&worker->inbox);
    uv_close((uv_handle_t *) &worker->turn_end, NULL);
    uv_close((uv_handle_t *) &worker->go_on, NULL);
    uv_close((uv_handle_t *) &worker->sweep, NULL);
    throttle_close(&worker->throttle);
    uv_close((uv_handle_t *) &worker->lag, NULL);
    tls_loop_close(&worker->tls);
    relief_close(&worker->relief);
    transport_context_close(&worker->transports);
}

static void close_listeners(struct worker *worker)
{
    struct list *node;

    while ((node = list_take_first(&worker->listeners)) != NULL)
        listener_close(container_of(node, struct listener, node));
}

static void close_fanouts(struct worker *worker)
{
    struct list *node;

    for (node = worker->fanouts.all.next; node != &worker->fanouts.all; node = node->next)
        fanout_close(container_of(node, struct fanout, _node), CLOSE_GOING_AWAY,
                     "the server is going away");
}

static void abort_fanouts(struct worker *worker)
{
    struct list *node;

    for (node = worker->fanouts.all.next; node != &worker->fanouts.all; node = node->next)
        fanout_abort(container_of(node, struct fanout, _node));
}

static void end_if_alone(struct worker *worker)
{
    if (worker->leaving && !worker->ended && worker->peers == 0)
        end_loop(worker);
}

/* What a request that is being finished says is to be heard by all, whose worker ever they have: so
 * goodbye is said when all workers have finished theirs. */
static void on_leave(struct inbox_item *item)
{
    struct worker *worker = container_of(item, struct worker, leave_item);
    const struct worker_shared *shared = worker->shared;

    for (size_t i = 0; i < shared->worker_count; i++) {
        if (atomic_load(&shared->workers[i]->serving))
            return;
    }
    if (worker->leaving)
        return;
    worker->leaving = true;
    close_fanouts(worker);
    end_if_alone(worker);
}

static void stop_serving(struct worker *worker)
{
    worker->stopping = true;
    worker->policy.ending = true;
    transport_context_limit_closing(
        &worker->transports, (uint32_t) server_options_stop_timeout(worker->shared->options));
    close_listeners(worker);
    handoff_close(&worker->handoff);
    transport_context_end_opening(&worker->transports);
    check_served(worker);
}

static void drop_all(struct worker *worker)
{
    worker->leaving = true;
    transport_context_abort_opening(&worker->transports);
    abort_fanouts(worker); /* some may not have been told yet */
    transport_context_abort_closing(&worker->transports);
    end_if_alone(worker);
}

/* Two stops that come at once are one item. */
static void on_stop(struct inbox_item *item)
{
    struct worker *worker = container_of(item, struct worker, stop_item);

    if (!worker->stopping)
        stop_serving(worker);
    if (atomic_load(&worker->stops) > 1)
        drop_all(worker);
}

/* ---- TLS ---- */

static void on_tls_reloaded(struct inbox_item *item)
{
    tls_loop_verify_all(&container_of(item, struct worker, tls_item)->tls);
}

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
              (unsigned long long) worker->peers_ever, plural(worker->peers_ever));
    if (atomic_fetch_sub(worker->shared->running, 1) == 1)
        (void) uv_async_send(worker->shared->done);
}

/* ---- life ---- */

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
        .router = &worker->router,
        .services = &worker->services,
        .names = {options->server_names, options->server_name_count},
        .max_header_bytes = options->max_header_bytes,
        .max_header_count = options->max_header_count,
    };
}

uint64_t worker_max_lag(const struct server_options *options)
{
    uint64_t messages = MAX_LAG_MESSAGES * options->max_message;

    if (options->max_lag == 0 || options->max_lag > messages)
        return options->max_lag;
    return messages;
}

/* What the loop runs by itself: none of it can fail. */
static void init_handles(struct worker *worker)
{
    const struct server_options *options = worker->shared->options;

    (void) uv_prepare_init(&worker->loop, &worker->turn_end);
    (void) uv_prepare_start(&worker->turn_end, on_turn_end);
    (void) uv_idle_init(&worker->loop, &worker->go_on);
    (void) uv_timer_init(&worker->loop, &worker->sweep);
    if (options->idle_timeout > 0 || options->min_read_rate > 0) {
        awake_expect(&worker->swept, uv_now(&worker->loop), SWEEP_INTERVAL);
        (void) uv_timer_start(&worker->sweep, on_sweep, SWEEP_INTERVAL, SWEEP_INTERVAL);
    }
    throttle_init(&worker->throttle, &worker->loop, worker->shared->channels);
    (void) uv_timer_init(&worker->loop, &worker->lag);
    if (options->max_lag_time > 0) {
        awake_expect(&worker->lagged, uv_now(&worker->loop), 0);
        (void) uv_timer_start(&worker->lag, on_lag, 0, options->max_lag_time / LAG_LOOKS + 1);
    }
    inbox_item_init(&worker->stop_item, on_stop);
    inbox_item_init(&worker->leave_item, on_leave);
    inbox_item_init(&worker->room_item, on_room);
    inbox_item_init(&worker->retry_item, on_retry);
    inbox_item_init(&worker->tls_item, on_tls_reloaded);
    tls_loop_init(&worker->tls, &worker->loop, worker->shared->tls, on_unadmitted);
}

static struct question_desk *desk_at(void *context, size_t i)
{
    const struct worker *worker = container_of(context, struct worker, services);

    return &worker->shared->workers[i]->desk;
}

/* What the worker's parts know of each other. None of it can fail. */
static void connect_parts(struct worker *worker)
{
    const struct server_options *options = worker->shared->options;
    struct channels *channels = worker->shared->channels;

    worker->publisher = (struct channel_publisher){
        .encoder = worker->transports.encoder,
        .deflater = worker->transports.deflater,
        .compression_min = (size_t) options->compression_min,
    };
    worker->publish = (struct publish_means){
        .options = options,
        .publisher = &worker->publisher,
        .limits = worker->shared->limits,
        .throttle = &worker->throttle,
    };
    fanouts_init(&worker->fanouts, channels, &worker->inbox, &worker->due,
                 &(struct fanout_limits){
                     .bytes = worker_max_lag(options),
                     .messages = options->max_lag_messages,
                     .time = options->max_lag_time,
                 });
    relief_init(&worker->relief, &worker->loop, &worker->inbox, &channels->memory, &worker->fanouts,
                options->read_mildly);
    question_desk_init(&worker->desk, &worker->inbox, &worker->services, desk_at,
                       worker->shared->worker_count);
    worker->services = (struct services){
        .options = options,
        .origins =
            {
                .allowed = options->origins,
                .allowed_count = options->origin_count,
                .host_is_known = options->server_name_count > 0,
            },
        .channels = channels,
        .fanouts = &worker->fanouts,
        .publish = &worker->publish,
        .limits = worker->shared->limits,
        .memory = &channels->memory,
        .desk = &worker->desk,
    };
}

int worker_new(struct worker **worker, size_t number, const struct worker_shared *shared)
{
    const struct server_options *options = shared->options;
    struct transport_config config = transport_config_of(options);
    struct worker *fresh = calloc(1, sizeof *fresh);
    int status;

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->number = number;
    fresh->shared = shared;
    fresh->router = routes_of(options);
    fresh->policy = connection_policy_of(fresh, options);
    list_init(&fresh->listeners);
    list_init(&fresh->due);
    status = uv_loop_init(&fresh->loop);
    if (status != 0)
        goto fail_loop;
    status = inbox_init(&fresh->inbox, &fresh->loop);
    if (status != 0)
        goto fail_inbox;
    status = handoff_init(&fresh->handoff, &fresh->inbox, on_arrival);
    if (status != 0)
        goto fail_arrivals;
    status = transport_context_init(&fresh->transports, &fresh->loop, &peer_transport_ops, &config);
    if (status != 0)
        goto fail_transports;
    init_handles(fresh);
    connect_parts(fresh);
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

int worker_listen(struct worker *worker, int fd, bool spread, bool tls)
{
    struct listener *listener;
    int status =
        listener_open(&listener, &worker->loop, fd, worker->shared->shortage, on_connection);

    if (status != 0)
        return status;
    listener->owner = worker;
    listener->spread = spread;
    listener->tls = tls;
    listener->make_room = make_room;
    list_append(&worker->listeners, &listener->node);
    return 0;
}

int worker_start(struct worker *worker)
{
    sigset_t all, before;
    int status;

    /* Signals are the main thread's: a worker, which inherits the mask, gets none. */
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    (void) atomic_fetch_add(worker->shared->running, 1);
    atomic_store(&worker->serving, true);
    status = uv_thread_create(&worker->thread, run, worker);
    if (status != 0) {
        (void) atomic_fetch_sub(worker->shared->running, 1);
        atomic_store(&worker->serving, false);
    }
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->started = status == 0;
    return status;
}

void worker_stop(struct worker *worker)
{
    (void) atomic_fetch_add(&worker->stops, 1);
    inbox_post(&worker->inbox, &worker->stop_item);
}

void worker_tls_reloaded(struct worker *worker)
{
    inbox_post(&worker->inbox, &worker->tls_item);
}

void worker_join(struct worker *worker)
{
    (void) uv_thread_join(&worker->thread);
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    if (!worker->started) { /* its loop has handles that nobody ran */
        close_listeners(worker);
        handoff_close(&worker->handoff);
        end_loop(worker);
        (void) uv_run(&worker->loop, UV_RUN_DEFAULT);
    }
    question_desk_deinit(&worker->desk);
    handoff_deinit(&worker->handoff);
    inbox_deinit(&worker->inbox);
    transport_context_deinit(&worker->transports);
    (void) uv_loop_close(&worker->loop);
    free(worker);
}

struct inbox *worker_inbox(struct worker *worker)
{
    return &worker->inbox;
}

/* ---- for its peers ---- */

struct worker *worker_of_transports(struct transport_context *transports)
{
    return container_of(transports, struct worker, transports);
}

void worker_peer_arrived(struct worker *worker)
{
    worker->peers++;
    worker->peers_ever++;
}

void worker_peer_left(struct worker *worker)
{
    worker->peers--;
    retry_listeners(worker);
    end_if_alone(worker);
}

bool worker_is_leaving(const struct worker *worker)
{
    return worker->leaving;
}

const struct server_options *worker_options(const struct worker *worker)
{
    return worker->shared->options;
}

const struct connection_policy *worker_policy(const struct worker *worker)
{
    return &worker->policy;
}

const struct publish_means *worker_publish(const struct worker *worker)
{
    return &worker->publish;
}

struct limits *worker_limits(const struct worker *worker)
{
    return worker->shared->limits;
}

struct tls_loop *worker_tls(struct worker *worker)
{
    return &worker->tls;
}

struct fanouts *worker_fanouts(struct worker *worker)
{
    return &worker->fanouts;
}

uint64_t worker_clock(const struct worker *worker)
{
    return awake_clock(&worker->swept, uv_now(&worker->loop));
}

struct memory *worker_memory(const struct worker *worker)
{
    return &worker->shared->channels->memory;
}

struct list *worker_charged(struct worker *worker)
{
    return &worker->relief.charged;
}

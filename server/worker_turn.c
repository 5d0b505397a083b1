#include "common/base/log.h"
#include "common/net/address.h"
#include "server/net/listener.h"
#include "server/peer/peer.h"
#include "server/worker_private.h"

enum {
    SWEEP_INTERVAL = 1000, /* milliseconds between two checks for idle peers and slow readers */
    QUESTION_BUDGET = 256, /* peers that are looked at in a turn, for questions to all workers */
    LAG_LOOKS = 16,        /* at the stalled, in the time that a message may wait for them */
};

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
        transport_context_hold_input(&worker->context.transports);
}

static void wake_reliefs(const struct worker_shared *shared)
{
    for (size_t i = 0; i < shared->worker_count; i++)
        relief_wake(&shared->workers[i]->relief);
}

void worker_turn_check_served(struct worker *worker)
{
    const struct worker_shared *shared = worker->shared;

    if (!worker->stopping || worker->served ||
        transport_context_is_opening(&worker->context.transports))
        return;
    worker->served = true;
    atomic_store(&worker->serving, false);
    for (size_t i = 0; i < shared->worker_count; i++)
        inbox_post(&shared->workers[i]->inbox, &shared->workers[i]->leave_item);
}

/* The loop has waited, and something may have come. */
static void on_turn_begin(uv_check_t *check)
{
    container_of(check, struct worker, turn_begin)->turn_began = uv_hrtime();
}

/* Runs before the loop waits for events: what the last ones brought goes out now. */
static void on_turn_end(uv_prepare_t *prepare)
{
    struct worker *worker = container_of(prepare, struct worker, turn_end);
    bool done = transport_context_go_on(&worker->context.transports);
    bool asked = !question_desk_is_idle(&worker->desk);

    flush_due(worker);
    (void) question_desk_work(&worker->desk, QUESTION_BUDGET); /* its answers go out at once */
    done = transport_context_flush_some(&worker->context.transports, FLUSH_BUDGET) && done;
    fanouts_clean(&worker->fanouts);
    if (relief_check(&worker->relief))
        wake_reliefs(worker->shared);
    worker_turn_check_served(worker);
    if (worker->turn_began != 0)
        duration_observe(&worker->context.counters.turns, uv_hrtime() - worker->turn_began, 1);
    /* A request that an answer resumes may have more to read in the next turn. */
    if (done && !asked && list_empty(&worker->due) && question_desk_is_idle(&worker->desk))
        (void) uv_idle_stop(&worker->go_on);
    else
        (void) uv_idle_start(&worker->go_on, on_go_on);
}

/* Serves a connection of this worker's; one from a proxy when its header has come. */
static int serve(struct worker *worker, const struct handoff_connection *arrival)
{
    if (arrival->proxy)
        return proxy_arrivals_add(
            &worker->proxied, arrival->fd,
            &(struct proxy_arrival){arrival->loopback, arrival->tls, arrival->admin});
    return peer_accept(&worker->context.transports, arrival->fd,
                       &(struct peer_arrival){.loopback = arrival->loopback,
                                              .tls = arrival->tls,
                                              .admin = arrival->admin});
}

/* The client at the other end of the proxy may be this machine, too. */
static void on_header(void *owner, int fd, const struct proxy_arrival *arrival,
                      const struct sockaddr *client)
{
    struct worker *worker = owner;
    bool loopback = arrival->loopback && (client == NULL || address_is_loopback(client));
    int status =
        peer_accept(&worker->context.transports, fd,
                    &(struct peer_arrival){client, loopback, arrival->tls, arrival->admin});

    if (status != 0)
        log_warn("dropped a connection: %s", uv_strerror(status));
}

/* A connection has come. Of a listener that all workers share, each gets every n-th. */
int worker_turn_connection(struct listener *listener, int fd)
{
    struct worker *worker = listener->owner;
    const struct worker_shared *shared = worker->shared;
    const struct handoff_connection arrival = {fd, listener->loopback, listener->tls,
                                               listener->proxy, listener->admin};
    struct worker *taker = worker;

    if (listener->spread)
        taker = shared->workers[listener->turn++ % shared->worker_count];
    return taker != worker ? handoff_give(&taker->handoff, &arrival) : serve(worker, &arrival);
}

void worker_turn_handed_off(struct handoff *handoff, const struct handoff_connection *arrival)
{
    struct worker *worker = container_of(handoff, struct worker, handoff);
    int status = serve(worker, arrival);

    if (status != 0)
        log_warn("dropped a connection: %s", uv_strerror(status));
}

/* Connections that could not be accepted for want of a descriptor may be now. */
void worker_turn_retry_listeners(struct worker *worker)
{
    LIST_FOR_EACH (node, &worker->listeners)
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

static bool free_place(struct worker *worker)
{
    if (peer_drop_kept(&worker->context.transports))
        return true;
    post_others(worker, room_of);
    return false;
}

/* Another worker is short of connections: if there is room now, it may try again. */
static void on_room(struct inbox_item *item)
{
    struct worker *worker = container_of(item, struct worker, room_item);

    if (peer_drop_kept(&worker->context.transports))
        post_others(worker, retry_of);
}

static void on_retry(struct inbox_item *item)
{
    worker_turn_retry_listeners(container_of(item, struct worker, retry_item));
}

bool worker_turn_make_room(struct listener *listener)
{
    return free_place(listener->owner);
}

bool worker_turn_make_room_for_peer(struct peer_context *context)
{
    return free_place(container_of(context, struct worker, context));
}

static void on_sweep(uv_timer_t *timer)
{
    struct worker *worker = container_of(timer, struct worker, sweep);
    const struct server_options *options = &worker->config->options;
    uint64_t now = uv_now(&worker->loop);
    bool slept = awake_look(&worker->swept, now);
    const struct subscriber_sweep sweep = {
        .now = peer_context_clock(&worker->context),
        .idle_timeout = options->idle_timeout,
        .min_read = options->min_read_rate * SWEEP_INTERVAL / 1000,
    };
    struct list *node;

    awake_expect(&worker->swept, now, SWEEP_INTERVAL);
    for (node = worker->fanouts.all.next; node != &worker->fanouts.all && !slept; node = node->next)
        fanout_sweep(container_of(node, struct fanout, _node), &sweep);
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
        fanout_check_time(container_of(node, struct fanout, _node),
                          awake_clock(&worker->lagged, now));
}

void worker_turn_init(struct worker *worker)
{
    (void) uv_prepare_init(&worker->loop, &worker->turn_end);
    (void) uv_prepare_start(&worker->turn_end, on_turn_end);
    (void) uv_check_init(&worker->loop, &worker->turn_begin);
    (void) uv_check_start(&worker->turn_begin, on_turn_begin);
    (void) uv_idle_init(&worker->loop, &worker->go_on);
    (void) uv_timer_init(&worker->loop, &worker->sweep);
    (void) uv_timer_init(&worker->loop, &worker->lag);
    proxy_arrivals_init(&worker->proxied, &worker->loop, 0, on_header, worker);
    inbox_item_init(&worker->room_item, on_room);
    inbox_item_init(&worker->retry_item, on_retry);
}

void worker_turn_configure(struct worker *worker)
{
    const struct server_options *options = &worker->config->options;
    uint64_t lag = channel_rules_least_lag_time(&worker->config->rules);

    proxy_arrivals_set_timeout(&worker->proxied, options->handshake_timeout);
    if (worker->ended)
        return;
    (void) uv_timer_stop(&worker->sweep);
    (void) uv_timer_stop(&worker->lag);
    awake_rest(&worker->swept);
    awake_rest(&worker->lagged);
    if (options->idle_timeout > 0 || options->min_read_rate > 0) {
        awake_expect(&worker->swept, uv_now(&worker->loop), SWEEP_INTERVAL);
        (void) uv_timer_start(&worker->sweep, on_sweep, SWEEP_INTERVAL, SWEEP_INTERVAL);
    }
    if (lag > 0) {
        awake_expect(&worker->lagged, uv_now(&worker->loop), 0);
        (void) uv_timer_start(&worker->lag, on_lag, 0, lag / LAG_LOOKS + 1);
    }
}

void worker_turn_close(struct worker *worker)
{
    uv_close((uv_handle_t *) &worker->turn_begin, NULL);
    uv_close((uv_handle_t *) &worker->turn_end, NULL);
    uv_close((uv_handle_t *) &worker->go_on, NULL);
    uv_close((uv_handle_t *) &worker->sweep, NULL);
    uv_close((uv_handle_t *) &worker->lag, NULL);
}

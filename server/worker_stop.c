#include "common/base/log.h"
#include "server/net/listener.h"
#include "server/peer/peer.h"
#include "server/worker_private.h"

enum { DRAIN_TICK = 50 }; /* milliseconds */

void worker_stop_end_loop(struct worker *worker)
{
    worker->ended = true;
    fanouts_clean(&worker->fanouts);
    inbox_close(&worker->inbox);
    worker_turn_close(worker);
    uv_close((uv_handle_t *) &worker->drain, NULL);
    throttle_close(&worker->throttle);
    peer_users_close(&worker->context.users);
    tls_loop_close(&worker->tls);
    relief_close(&worker->relief);
    transport_context_close(&worker->context.transports);
}

void worker_stop_close_listeners(struct worker *worker)
{
    struct list *node;

    while ((node = list_take_first(&worker->listeners)) != NULL)
        listener_close(container_of(node, struct listener, node));
}

static void close_fanouts(struct worker *worker)
{
    LIST_FOR_EACH (node, &worker->fanouts.all)
        fanout_close(container_of(node, struct fanout, _node), CLOSE_GOING_AWAY,
                     "the server is going away");
}

static void abort_fanouts(struct worker *worker)
{
    LIST_FOR_EACH (node, &worker->fanouts.all)
        fanout_abort(container_of(node, struct fanout, _node));
}

static void end_if_alone(struct worker *worker)
{
    if (worker->context.leaving && !worker->ended && worker->context.peers == 0)
        worker_stop_end_loop(worker);
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
    if (worker->context.leaving)
        return;
    worker->context.leaving = true;
    close_fanouts(worker);
    end_if_alone(worker);
}

/* ---- draining ---- */

/* So many that are left as the time that is left says. */
static void on_drain_tick(uv_timer_t *timer)
{
    struct worker *worker = container_of(timer, struct worker, drain);
    uint64_t now = uv_now(&worker->loop);
    uint64_t ticks = now < worker->drain_end ? (worker->drain_end - now) / DRAIN_TICK : 0;
    size_t left = worker->context.peers;
    size_t most = left / (size_t) (ticks + 1) + (left % (size_t) (ticks + 1) != 0 ? 1 : 0);
    struct list *node;

    for (node = worker->fanouts.all.next; node != &worker->fanouts.all && most > 0;
         node = node->next)
        most -= fanout_close_some(container_of(node, struct fanout, _node), most, CLOSE_GOING_AWAY,
                                  "the server is going away");
}

static void on_drain(struct inbox_item *item)
{
    struct worker *worker = container_of(item, struct worker, drain_item);

    if (worker->stopping)
        return;
    LIST_FOR_EACH_SAFE (node, next, &worker->listeners) {
        struct listener *listener = container_of(node, struct listener, node);

        if (listener->admin)
            continue;
        list_remove(&listener->node);
        listener_close(listener);
    }
    worker->policy.ending = true; /* each response is the last of its connection */
    worker->drain_end = uv_now(&worker->loop) + worker->drain_time;
    (void) uv_timer_start(&worker->drain, on_drain_tick, DRAIN_TICK, DRAIN_TICK);
}

void worker_drain(struct worker *worker, uint64_t milliseconds)
{
    worker->drain_time = milliseconds;
    inbox_post(&worker->inbox, &worker->drain_item);
}

/* ---- the end ---- */

static void stop_serving(struct worker *worker)
{
    worker->stopping = true;
    worker->policy.ending = true;
    (void) uv_timer_stop(&worker->drain);
    transport_context_limit_closing(
        &worker->context.transports,
        (uint32_t) server_options_stop_timeout(&worker->config->options));
    worker_stop_close_listeners(worker);
    handoff_close(&worker->handoff);
    proxy_arrivals_close(&worker->proxied);
    transport_context_end_opening(&worker->context.transports);
    worker_turn_check_served(worker);
}

static void drop_all(struct worker *worker)
{
    worker->context.leaving = true;
    transport_context_abort_opening(&worker->context.transports);
    abort_fanouts(worker); /* some may not have been told yet */
    transport_context_abort_closing(&worker->context.transports);
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

void worker_stop_peer_left(struct peer_context *context)
{
    struct worker *worker = container_of(context, struct worker, context);

    worker_turn_retry_listeners(worker);
    end_if_alone(worker);
}

void worker_stop(struct worker *worker)
{
    (void) atomic_fetch_add(&worker->stops, 1);
    inbox_post(&worker->inbox, &worker->stop_item);
}

void worker_stop_init(struct worker *worker)
{
    inbox_item_init(&worker->stop_item, on_stop);
    inbox_item_init(&worker->drain_item, on_drain);
    (void) uv_timer_init(&worker->loop, &worker->drain);
    inbox_item_init(&worker->leave_item, on_leave);
}

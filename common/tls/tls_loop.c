#include "common/tls/tls_loop.h"

enum { HOUR = 60 * 60 * 1000 }; /* milliseconds */

static void on_turn(uv_idle_t *idle);

static void keep_turning(struct tls_loop *loop)
{
    (void) uv_idle_start(&loop->_turn, on_turn); /* cannot fail */
}

static struct tls_loop_node *take_first(struct list *list)
{
    return container_of(list_take_first(list), struct tls_loop_node, node);
}

/* The handshakes that have waited longest take the steps of this turn: their sockets are read. */
static void give_turns(struct tls_loop *loop)
{
    loop->_left = TLS_LOOP_STEPS;
    while (loop->_left > 0 && !list_empty(&loop->_waiting)) {
        struct tls_loop_node *entry = take_first(&loop->_waiting);

        loop->_left--;
        entry->ops->take_turn(entry);
    }
}

static void verify_some(struct tls_loop *loop)
{
    for (int i = 0; i < TLS_LOOP_CHECKS && !list_empty(&loop->_doubtful); i++) {
        struct tls_loop_node *entry = take_first(&loop->_doubtful);

        if (entry->ops->is_admitted(entry))
            list_append(&loop->_admitted, &entry->node);
        else
            loop->on_unadmitted(loop, entry->ops->stream_of(entry));
    }
}

/* A turn of the loop begins. */
static void on_turn(uv_idle_t *idle)
{
    struct tls_loop *loop = container_of(idle, struct tls_loop, _turn);

    give_turns(loop);
    verify_some(loop);
    if (loop->_left == TLS_LOOP_STEPS && list_empty(&loop->_doubtful))
        (void) uv_idle_stop(&loop->_turn);
}

void tls_loop_verify_all(struct tls_loop *loop)
{
    list_splice(&loop->_doubtful, &loop->_admitted);
    if (!list_empty(&loop->_doubtful))
        keep_turning(loop);
}

static void on_hourly(uv_timer_t *timer)
{
    tls_loop_verify_all(container_of(timer, struct tls_loop, _hourly));
}

/* ---- for stream_tls ---- */

bool tls_loop_has_room(const struct tls_loop *loop)
{
    return loop->_left > 0 && list_empty(&loop->_waiting);
}

void tls_loop_count_step(struct tls_loop *loop, bool granted)
{
    loop->steps++;
    if (!granted && loop->_left > 0)
        loop->_left--;
    keep_turning(loop); /* the next turn may take as many again */
}

void tls_loop_node_init(struct tls_loop_node *entry, const struct tls_loop_ops *ops)
{
    list_init(&entry->node);
    entry->ops = ops;
}

void tls_loop_wait(struct tls_loop *loop, struct tls_loop_node *entry)
{
    list_append(&loop->_waiting, &entry->node);
    keep_turning(loop);
}

void tls_loop_leave(struct tls_loop_node *entry)
{
    list_remove(&entry->node);
}

void tls_loop_list(struct tls_loop *loop, struct tls_loop_node *entry, bool current)
{
    list_append(current ? &loop->_admitted : &loop->_doubtful, &entry->node);
    if (!current)
        keep_turning(loop);
}

/* ---- life ---- */

void tls_loop_init(struct tls_loop *loop, uv_loop_t *uv, struct tls_context *context,
                   void (*on_unadmitted)(struct tls_loop *loop, struct stream *stream))
{
    loop->context = context;
    loop->on_unadmitted = on_unadmitted;
    loop->steps = 0;
    loop->_left = TLS_LOOP_STEPS;
    (void) uv_idle_init(uv, &loop->_turn); /* neither can fail */
    (void) uv_timer_init(uv, &loop->_hourly);
    list_init(&loop->_waiting);
    list_init(&loop->_admitted);
    list_init(&loop->_doubtful);
    if (context != NULL && tls_context_verifies(context))
        (void) uv_timer_start(&loop->_hourly, on_hourly, HOUR, HOUR);
}

void tls_loop_close(struct tls_loop *loop)
{
    uv_close((uv_handle_t *) &loop->_turn, NULL);
    uv_close((uv_handle_t *) &loop->_hourly, NULL);
}

#include "server/peer/relief.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "server/peer/peer_memory.h"
#include "server/peer/peer_private.h"

enum {
    STEP_INTERVAL = 10,    /* milliseconds between two steps while it is over the bound, */
    WATCH_INTERVAL = 1000, /* between two looks at how fast peers read, */
    FOLD_INTERVAL = 1000,  /* and between two times at which logs are folded */
};

/* A peer, and what it costs. */
struct cost {
    struct peer *peer;
    uint64_t bytes;
    uint64_t group; /* bytes of all peers of its address */
    uint8_t key[PEER_MEMORY_KEY];
};

/* ---- costs ---- */

static void add(struct buffer *costs, struct peer *peer)
{
    struct cost cost = {.peer = peer, .bytes = peer_memory_cost(peer)};

    if (cost.bytes == 0)
        return;
    peer_memory_key(peer, cost.key);
    (void) buffer_append(costs, &cost, sizeof cost); /* without memory: those that are known */
}

/* Those that are charged with something as well are in the other list. */
static void add_behind(struct subscriber *subscriber, void *costs)
{
    struct peer *peer = peer_of_subscriber(subscriber);

    if (peer_cold(peer) == NULL || peer_cold(peer)->charge == 0)
        add(costs, peer);
}

static void gather(struct buffer *costs, struct relief *relief)
{
    LIST_FOR_EACH (node, &relief->charged)
        add(costs, peer_of_charged(node));
    LIST_FOR_EACH (node, &relief->_fanouts->all)
        fanout_each_behind(container_of(node, struct fanout, _node), add_behind, costs);
}

static int compare_keys(const void *left, const void *right)
{
    return memcmp(((const struct cost *) left)->key, ((const struct cost *) right)->key,
                  PEER_MEMORY_KEY);
}

static int compare_numbers(uint64_t left, uint64_t right)
{
    return left < right ? 1 : -(left > right);
}

/* The costliest group first, and in it the costliest peer. */
static int compare_costs(const void *left, const void *right)
{
    const struct cost *one = left, *other = right;
    int order = compare_numbers(one->group, other->group);

    if (order == 0)
        order = compare_keys(one, other);
    return order != 0 ? order : compare_numbers(one->bytes, other->bytes);
}

/* Finds what the peers of each address cost together. */
static void sum_groups(struct cost *costs, size_t count)
{
    size_t end;

    qsort(costs, count, sizeof *costs, compare_keys);
    for (size_t begin = 0; begin < count; begin = end) {
        uint64_t sum = 0;

        for (end = begin; end < count && compare_keys(&costs[begin], &costs[end]) == 0; end++)
            sum += costs[end].bytes;
        for (size_t i = begin; i < end; i++)
            costs[i].group = sum;
    }
    qsort(costs, count, sizeof *costs, compare_costs);
}

/* ---- the step ---- */

/* A clock that all workers share, in milliseconds; never 0. */
static uint64_t shared_now(void)
{
    return uv_hrtime() / 1000000 + 1;
}

/* Returns how many. */
static size_t give_up(struct memory *memory, const struct cost *costs, size_t count, uint64_t bar)
{
    size_t given_up = 0;
    uint64_t group = 0;

    for (size_t i = 0; i < count && memory_is_over(memory); i++) {
        if (i == 0 || compare_keys(&costs[i - 1], &costs[i]) != 0)
            group = costs[i].group;
        if (group < bar)
            continue;
        group -= costs[i].bytes;
        peer_memory_give_up(costs[i].peer);
        given_up++;
    }
    return given_up;
}

/* Memory that no peer is charged for: the ends of logs whose readers have read all. */
static void fold(struct relief *relief)
{
    uint64_t now = uv_now(relief->_step.loop);

    if (now - relief->_folded < FOLD_INTERVAL)
        return;
    relief->_folded = now;
    LIST_FOR_EACH (node, &relief->_fanouts->all)
        fanout_fold(container_of(node, struct fanout, _node));
}

static void on_step(uv_timer_t *timer)
{
    struct relief *relief = container_of(timer, struct relief, _step);
    struct buffer costs = {0};
    struct cost *all;
    size_t count, given_up = 0;

    if (!memory_is_over(relief->_memory)) {
        (void) uv_timer_stop(timer);
        return;
    }
    gather(&costs, relief);
    all = (struct cost *) (void *) costs.data;
    count = costs.len / sizeof *all;
    if (count > 0) {
        sum_groups(all, count);
        given_up = give_up(relief->_memory, all, count,
                           memory_bar(relief->_memory, shared_now(), all[0].group));
    }
    if (given_up > 0)
        memory_given_up(relief->_memory, shared_now());
    else
        fold(relief);
    buffer_deinit(&costs);
}

/* ---- reading ---- */

static void watch(struct subscriber *subscriber, void *relief)
{
    const struct relief *known = relief;

    peer_memory_check_reading(peer_of_subscriber(subscriber),
                              awake_clock(&known->_awake, uv_now(known->_watch.loop)));
}

static void on_watch(uv_timer_t *timer)
{
    struct relief *relief = container_of(timer, struct relief, _watch);
    bool slept = awake_look(&relief->_awake, uv_now(timer->loop));
    struct list *node;

    awake_expect(&relief->_awake, uv_now(timer->loop), WATCH_INTERVAL);
    if (!memory_is_half_full(relief->_memory)) {
        awake_rest(&relief->_awake);
        (void) uv_timer_stop(timer);
        return;
    }
    for (node = relief->_fanouts->all.next; node != &relief->_fanouts->all && !slept;
         node = node->next)
        fanout_each_behind(container_of(node, struct fanout, _node), watch, relief);
}

/* ---- the account ---- */

static void start(uv_timer_t *timer, uv_timer_cb on_timer, uint64_t first, uint64_t interval)
{
    if (!uv_is_active((uv_handle_t *) timer) && !uv_is_closing((uv_handle_t *) timer))
        (void) uv_timer_start(timer, on_timer, first, interval);
}

static void on_wake(struct inbox_item *item)
{
    start(&container_of(item, struct relief, _item)->_step, on_step, 0, STEP_INTERVAL);
}

void relief_wake(struct relief *relief)
{
    inbox_post(relief->_inbox, &relief->_item);
}

bool relief_check(struct relief *relief)
{
    bool first;

    if (relief->_watches && memory_is_half_full(relief->_memory) &&
        !uv_is_active((uv_handle_t *) &relief->_watch)) {
        awake_expect(&relief->_awake, uv_now(relief->_watch.loop), WATCH_INTERVAL);
        start(&relief->_watch, on_watch, WATCH_INTERVAL, WATCH_INTERVAL);
    }
    if (memory_check(relief->_memory, shared_now(), &first))
        start(&relief->_step, on_step, 0, STEP_INTERVAL);
    return first;
}

void relief_init(struct relief *relief, uv_loop_t *loop, struct inbox *inbox, struct memory *memory,
                 struct fanouts *fanouts, bool watches)
{
    *relief = (struct relief){
        ._memory = memory,
        ._fanouts = fanouts,
        ._inbox = inbox,
        ._watches = watches,
    };
    list_init(&relief->charged);
    inbox_item_init(&relief->_item, on_wake);
    (void) uv_timer_init(loop, &relief->_step);
    (void) uv_timer_init(loop, &relief->_watch);
}

void relief_watch(struct relief *relief, bool watches)
{
    relief->_watches = watches;
}

void relief_close(struct relief *relief)
{
    uv_close((uv_handle_t *) &relief->_step, NULL);
    uv_close((uv_handle_t *) &relief->_watch, NULL);
}

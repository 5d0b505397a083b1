#include "server/relief.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "server/peer_memory.h"
#include "server/peer_read.h"

/* A peer, and what it costs. */
struct cost {
    struct peer *peer;
    uint64_t bytes;
    uint64_t group; /* bytes of all peers of its address */
    uint8_t key[PEER_MEMORY_KEY];
};

/* ---- who costs what ---- */

static void add(struct buffer *costs, struct peer *peer)
{
    struct cost cost = {.peer = peer, .bytes = peer_memory_cost(peer)};

    if (cost.bytes == 0)
        return;
    peer_memory_key(peer, cost.key);
    (void) buffer_append(costs, &cost, sizeof cost); /* without memory: those that are known */
}

/* Those that are charged with something as well are in the other list. */
static void add_behind(struct peer *peer, void *costs)
{
    if (peer->_more == NULL || peer->_more->charge == 0)
        add(costs, peer);
}

static void gather(struct buffer *costs, struct list *charged, struct fanouts *fanouts)
{
    struct list *node;

    for (node = charged->next; node != charged; node = node->next)
        add(costs, peer_of_charged(node));
    for (node = fanouts->all.next; node != &fanouts->all; node = node->next)
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

static void give_up(struct memory *memory, const struct cost *costs, size_t count, uint64_t bar)
{
    uint64_t group = 0;

    for (size_t i = 0; i < count && memory_is_over(memory); i++) {
        if (i == 0 || compare_keys(&costs[i - 1], &costs[i]) != 0)
            group = costs[i].group;
        if (group < bar)
            continue;
        group -= costs[i].bytes;
        peer_memory_give_up(costs[i].peer);
    }
}

bool relief_step(struct memory *memory, struct list *charged, struct fanouts *fanouts, uint64_t now)
{
    struct buffer costs = {0};
    struct cost *all;
    size_t count;

    if (!memory_is_over(memory))
        return false;
    gather(&costs, charged, fanouts);
    all = (struct cost *) (void *) costs.data;
    count = costs.len / sizeof *all;
    if (count > 0)
        sum_groups(all, count);
    give_up(memory, all, count, memory_bar(memory, now, count > 0 ? all[0].group : 0));
    buffer_deinit(&costs);
    return memory_is_over(memory);
}

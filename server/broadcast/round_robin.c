#include "server/broadcast/round_robin.h"

void round_robin_init(struct round_robin *ring)
{
    *ring = (struct round_robin){._next = &ring->_nodes};
    list_init(&ring->_nodes);
}

void round_robin_add(struct round_robin *ring, struct list *node)
{
    list_append(ring->_next, node); /* that is, before it */
    ring->_count++;
}

void round_robin_remove(struct round_robin *ring, struct list *node)
{
    if (ring->_next == node)
        ring->_next = node->next;
    list_remove(node);
    ring->_count--;
    /* Where the node stood is not known: both counts may be one too many, and never more than all.
     */
    if (ring->_unvisited > ring->_count)
        ring->_unvisited = ring->_count;
    if (ring->_lap > ring->_count)
        ring->_lap = ring->_count;
}

void round_robin_note_end(struct round_robin *ring, uint64_t position)
{
    ring->_unvisited = ring->_count;
    ring->_marked = position;
}

void round_robin_rest(struct round_robin *ring)
{
    ring->_lap = 0; /* the next one begins when something is new */
    if (ring->_marked > ring->_delivered)
        ring->_delivered = ring->_marked;
}

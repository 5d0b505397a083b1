/* The order in which a flush visits its subscribers, and the count of how far all of them have got.
 * Pure bookkeeping on list nodes: it knows no subscriber, no channel and no clock.
 *
 *     ring:   A  B  C  D  E  F  G  H  I          take() goes round
 *                      ▲ next
 *             ├──────┤ ├───────────────┤
 *              lap: visited since it    the `_lap` nodes from `next` on have yet to be visited
 *              began                    in this lap
 *
 * Positions are counts of bytes ever appended. round_robin_note_end says that there is something
 * new: from then on the `_unvisited` nodes from `next` on may have something to get. A node that is
 * added stands just before `next`: it is the last in the order, and neither count changes.
 *
 * "Reached" is a position up to which every node of the ring has got everything. It is reported at
 * the end of a lap (what had been appended when the lap began) and when none is left to visit
 * (what had been appended at the last mark). It may be less than what they have got, never more,
 * provided that
 *   - a visit gives the node all that is appended, or removes the node;
 *   - a node that is added has all that is appended, or gets it before the next call. */
#ifndef WS_SERVER_BROADCAST_ROUND_ROBIN_H
#define WS_SERVER_BROADCAST_ROUND_ROBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"

struct round_robin {
    struct list _nodes;
    struct list *_next;  /* in _nodes (or its head): visited next */
    size_t _count;       /* of _nodes */
    size_t _unvisited;   /* how many of them, from _next on, may have something to get */
    size_t _lap;         /* and how many are to be visited until this lap ends; 0: none has begun */
    uint64_t _lap_began; /* the position at that time */
    uint64_t _marked;    /* the position when all became _unvisited */
    uint64_t _delivered;
};

void round_robin_init(struct round_robin *ring);

/* Adds a node that is in no list, and removes one that has been added. At any time, also while a
 * node is being visited, be it that one or another. */
void round_robin_add(struct round_robin *ring, struct list *node);
void round_robin_remove(struct round_robin *ring, struct list *node);

/* All nodes may have something to get: `position` bytes have been appended by now. */
void round_robin_note_end(struct round_robin *ring, uint64_t position);

/* None is left to visit: all have what was published up to the mark. */
void round_robin_rest(struct round_robin *ring);

/* The list of all nodes, to be walked and not to be changed. */
static inline struct list *round_robin_nodes(struct round_robin *ring)
{
    return &ring->_nodes;
}

/* The node that has waited longest of those that may have something to get; NULL when there is
 * none. */
static inline struct list *round_robin_peek(const struct round_robin *ring)
{
    if (ring->_unvisited == 0)
        return NULL;
    return ring->_next != &ring->_nodes ? ring->_next : ring->_nodes.next;
}

static inline bool round_robin_is_done(const struct round_robin *ring)
{
    return ring->_unvisited == 0;
}

/* True between two laps: begin the next one before the next visit. */
static inline bool round_robin_is_lap_over(const struct round_robin *ring)
{
    return ring->_lap == 0;
}

static inline void round_robin_begin_lap(struct round_robin *ring, uint64_t position)
{
    ring->_lap = ring->_count;
    ring->_lap_began = position;
}

/* Bytes appended since the lap began, where `position` have been in all. */
static inline uint64_t round_robin_in_lap(const struct round_robin *ring, uint64_t position)
{
    return position - ring->_lap_began;
}

/* The node to visit now; `*behind` is the one after it, or the head of the list. Within a lap, and
 * not when all is done. Call round_robin_visited after the visit. */
static inline struct list *round_robin_take(struct round_robin *ring, struct list **behind)
{
    struct list *node = ring->_next != &ring->_nodes ? ring->_next : ring->_nodes.next;

    ring->_next = node->next;
    ring->_lap--;
    ring->_unvisited--;
    *behind = ring->_next;
    return node;
}

/* The visit is over. True when that ends the lap: "delivered" may have grown. */
static inline bool round_robin_visited(struct round_robin *ring)
{
    if (ring->_lap > 0)
        return false;
    if (ring->_lap_began > ring->_delivered)
        ring->_delivered = ring->_lap_began;
    return true;
}

/* A position up to which every node has got everything; never falls. */
static inline uint64_t round_robin_delivered(const struct round_robin *ring)
{
    return ring->_delivered;
}

#endif

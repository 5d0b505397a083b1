/* What a worker does about the memory account. While it is over its bound, the costliest of the
 * worker's peers are given up until it is not; those of one address are taken together. While it is
 * more than half full, peers that are behind have to read on (--min-read-rate). On the worker's
 * thread, but for relief_wake. */
#ifndef WS_SERVER_PEER_RELIEF_H
#define WS_SERVER_PEER_RELIEF_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/awake.h"
#include "common/base/list.h"
#include "server/broadcast/fanouts.h"
#include "server/broadcast/memory.h"
#include "server/thread/inbox.h"

struct relief {
    struct list
        charged; /* of struct peer_cold: peers that are charged with something of their own */
    struct memory *_memory;
    struct fanouts *_fanouts;
    struct inbox *_inbox;
    struct inbox_item _item;
    uv_timer_t _step;    /* runs while the account is over its bound, */
    uv_timer_t _watch;   /* and this one while it is more than half full */
    struct awake _awake; /* its clock */
    uint64_t _folded;    /* when the logs were folded last, in the loop's milliseconds */
    bool _watches;
};

/* All is borrowed, `inbox` is the worker's. `watches`: peers that are behind have to read on.
 * Cannot fail. */
void relief_init(struct relief *relief, uv_loop_t *loop, struct inbox *inbox, struct memory *memory,
                 struct fanouts *fanouts, bool watches);

/* From now on, peers that are behind have to read on, or need not. */
void relief_watch(struct relief *relief, bool watches);

/* Closes the timers. */
void relief_close(struct relief *relief);

/* Once a turn: has a look at the account. True when all other workers are to be woken. */
bool relief_check(struct relief *relief);

/* From any thread: the account is over its bound. */
void relief_wake(struct relief *relief);

#endif

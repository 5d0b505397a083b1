/* What a worker does while the memory account is over its bound: of its peers, the costliest are
 * given up until it is not. Those of one address are taken together. On the worker's thread. */
#ifndef WS_RELIEF_H
#define WS_RELIEF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "server/fanouts.h"
#include "server/memory.h"

enum { RELIEF_INTERVAL = 10 }; /* milliseconds between two steps */

/* One step at `now` (memory_check's clock): gives up peers whose address costs more than
 * memory_bar, the costliest first. `charged` are the worker's peers that are charged with
 * something; the fanouts know those that lag. True when it is still over: another step is due. */
bool relief_step(struct memory *memory, struct list *charged, struct fanouts *fanouts,
                 uint64_t now);

#endif

/* What the files of a fanout share: fanout.c (its lists, and the flush) and fanout_lag.c (how
 * far subscribers lag behind). For them alone. */
#ifndef WS_SERVER_BROADCAST_FANOUT_PRIVATE_H
#define WS_SERVER_BROADCAST_FANOUT_PRIVATE_H

#include "server/broadcast/fanout.h"

static inline struct subscriber *subscriber_at(struct list *node)
{
    return container_of(node, struct subscriber, node);
}

/* Has those stalled subscribers told that they are too slow which lag too far behind. */
void fanout_lag_check(struct fanout *fanout);

/* Counts one subscriber in, for fanout_look. */
void fanout_lag_look_at(struct fanout *fanout, const struct subscriber *subscriber);

#endif

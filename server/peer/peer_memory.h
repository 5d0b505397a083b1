/* What a peer makes the server hold, for the memory account (see memory.h): its charge is what is
 * its own (input that is not complete, output that it has not taken); what it pins in the channel's
 * logs is looked at only when that matters. For peer and relief. */
#ifndef WS_SERVER_PEER_PEER_MEMORY_H
#define WS_SERVER_PEER_PEER_MEMORY_H

#include <stdint.h>

#include "server/peer/peer.h"
#include "server/peer/peer_private.h"

enum { PEER_MEMORY_KEY = 17 }; /* bytes of what stands for an address */

/* Brings the peer's charge up to date. To be called whenever it may have changed by much. */
void peer_memory_recount(struct peer *peer);

/* The peer is gone: it is charged with nothing. */
void peer_memory_forget(struct peer *peer);

/* Bytes that would come back if the peer were not there. */
uint64_t peer_memory_cost(const struct peer *peer);

/* The key of the peers that are charged together: the IPv4 address or IPv6 /64 network. One that
 * came from this machine stands for itself: a proxy has many clients. */
void peer_memory_key(const struct peer *peer, uint8_t key[PEER_MEMORY_KEY]);

/* Memory is scarce, and the peer is behind: it is dropped if it has read fewer than 64 bytes a
 * second in a minute (--min-read-rate). To be called every second or so; `now` in milliseconds. */
void peer_memory_check_reading(struct peer *peer, uint64_t now);

/* The peer has caught up: its minute is over. */
static inline void peer_memory_caught_up(struct peer *peer)
{
    if (peer_cold(peer) != NULL)
        peer_cold(peer)->watched_since = 0;
}

/* The peer costs too much: it skips if that is what slow ones do and what it costs is lag, or is
 * closed (1008), answered with 503, or dropped. Nearly all of what it cost comes back at once. */
void peer_memory_give_up(struct peer *peer);

#endif

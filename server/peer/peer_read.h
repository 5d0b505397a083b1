/* What a peer reads of its channel: the flush from the log to the transport, history until it has
 * caught up, what it skips, and with --no-echo its own messages, which it leaves out. For peer
 * alone. */
#ifndef WS_SERVER_PEER_PEER_READ_H
#define WS_SERVER_PEER_PEER_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "server/broadcast/channel.h"
#include "server/broadcast/replay.h"
#include "server/broadcast/throttle.h"
#include "server/http/connection.h"
#include "server/net/limits.h"
#include "server/peer/peer.h"

struct own_list;

/* While a peer catches up: */
struct past {
    struct block_cursor meeting; /* where it is to go on, */
    uint64_t stop;               /* once it has come here in the plain log */
    struct replay replay;        /* of the message at the cursor, for one that hears events */
};

/* What a peer needs that has yet to be upgraded, that says something, or that is watched by a limit
 * which is off unless somebody asks for it. */
struct peer_more {
    struct connection *connection; /* NULL once upgraded */
    struct limits_rate *rate;      /* once it has said something */
    uint32_t last_message;         /* when it last said something: milliseconds, modulo 2^32 */
    uint32_t unread;               /* bytes that waited when its reading was last judged */
    uint32_t watched_since;        /* while memory is scarce: when, and */
    uint32_t watched_from;      /* stream_acknowledged at that time; 0 and 0: it is not watched */
    struct own_list *own;       /* with --no-echo, while it has yet to come to its own */
    struct throttle_held *held; /* while it says more than others can deliver */
    struct past *past;          /* while it catches up, and behind */
    uint64_t charge;            /* bytes that it is charged with in the memory account; */
    struct list charged;        /* then it is in its worker's list of those */
    struct peer *peer;
    bool untold;  /* its own were left out, and it does not know of these yet */
    bool refused; /* it is one too many, and is not counted as a connection */
    bool gone;    /* its place is free already: see peer_drop_kept */
};

/* NULL unless it catches up, or has done so. */
static inline struct past *peer_past(const struct peer *peer)
{
    return peer->_more != NULL ? peer->_more->past : NULL;
}

/* True for one that hears an event stream, and says nothing. */
static inline bool peer_is_for_events(const struct peer *peer)
{
    return peer->cursor.form == CHANNEL_EVENTS;
}

/* True while an event of the past has been written in part: nothing may come between. */
static inline bool peer_is_within_event(const struct peer *peer)
{
    const struct past *past = peer_past(peer);

    return past != NULL && replay_is_within(&past->replay);
}

/* The peer has published this message, which it is not to hear: it gets a ping with the ID of the
 * last of those that were left out together. Returns 0 or UV_ENOMEM. */
int peer_read_leave_out(struct peer *peer, const struct channel_receipt *receipt);

/* Bytes of memory that it takes to know which messages to come are its own. */
size_t peer_read_held(const struct peer *peer);

/* It goes no further than the end of the message that it has begun to read, and holds no log. */
void peer_read_give_up(struct peer *peer);

/* Forgets which messages to come are its own. */
void peer_read_forget_own(struct peer *peer);

/* ---- peer's, for the reading ---- */

/* Leaves its channel, if it is in one. */
void peer_leave(struct peer *peer);

/* Room for what only some peers need; NULL when out of memory. */
struct peer_more *peer_need_more(struct peer *peer);

/* The peer that is listed by its `charged`. */
static inline struct peer *peer_of_charged(struct list *node)
{
    return container_of(node, struct peer_more, charged)->peer;
}

/* Most peers need no more once they have been upgraded and have caught up. */
void peer_free_more_if_unused(struct peer *peer);

#endif

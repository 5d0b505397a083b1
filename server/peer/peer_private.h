/* What the files of a peer share, and no others see:
 *
 *     peer            arriving, publishing, limits, leaving
 *     publishing      what it says, and when it is read no further
 *     opening         the requests of plain HTTP, until one of them subscribes
 *     subscription    what it reads of its channel
 *     self_published  with --no-echo, which messages of the log are its own
 *     peer_memory     what it makes the server hold
 *     peer_users      as whom it has come, and until when */
#ifndef WS_SERVER_PEER_PEER_PRIVATE_H
#define WS_SERVER_PEER_PEER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/auth/principal.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/fanout.h"
#include "server/broadcast/replay.h"
#include "server/broadcast/throttle.h"
#include "server/http/connection.h"
#include "server/net/limits.h"
#include "server/peer/peer.h"
#include "server/peer/peer_context.h"
#include "server/peer/peer_list.h"
#include "server/peer/peer_users.h"

/* While a peer catches up: */
struct peer_replay {
    struct block_cursor live_cursor; /* where it is to go on, */
    uint64_t stop;                   /* once it has come here in the plain log */
    struct replay events;            /* of the message at the cursor, for an event stream */
};

/* A Pong that is held: it says that all that was said before its Ping is stored. */
struct peer_pong {
    uint64_t after; /* so many receipts */
    uint8_t len;
    uint8_t payload[FRAME_MAX_CONTROL];
};

/* What it has said and is not stored yet. Of the Pongs there are the oldest, and the newest in
 * place of those between: so who asks faster than the store writes is answered all the same. */
struct peer_unstored {
    struct submit_outstanding outstanding;
    uint64_t bytes;    /* since nothing was outstanding */
    uint64_t said;     /* messages that were submitted, */
    uint64_t receipts; /* and receipts that have come, in their order */
    unsigned pongs;    /* that are held */
    struct peer_pong held[2];
};

/* What a peer needs before it is upgraded, once it publishes, or for a limit that is off by
 * default. */
struct peer_cold {
    struct connection *connection; /* NULL once upgraded */
    struct limits_rate *rate;      /* once it has published */
    uint32_t last_message;         /* when it published last: milliseconds, modulo 2^32 */
    uint32_t unread;               /* bytes that waited when its reading was last checked */
    uint32_t watched_since;        /* while memory is scarce: when, and */
    uint32_t watched_from; /* stream_acknowledged at that time; 0 and 0: it is not watched */
    uint64_t number; /* of its messages in the logs' index, once it has published with --no-echo */
    struct throttle_paused *throttled; /* while it is throttled */
    struct peer_unstored *unstored;    /* once it has published, with a store */
    struct peer_replay *replay;        /* while it catches up, and behind */
    uint64_t charge;                   /* bytes that it is charged with in the memory account; */
    struct list charged;               /* then it is in its worker's list of those */
    struct peer *peer;
    bool untold;  /* messages of its own were left out, and it has not been told of these yet */
    bool refused; /* it is one too many, and is not counted as a connection */
    bool gone;    /* its place is free already: see peer_drop_kept */
};

/* `_extra` is NULL for most peers; else a struct peer_cold, or, with its lowest bit set, a struct
 * peer_user, which has room for the other: neither costs those that have none. */
enum { PEER_IS_USER = 1 };

/* NULL: it is anonymous. */
static inline struct peer_user *peer_user(const struct peer *peer)
{
    return ((uintptr_t) peer->_extra & PEER_IS_USER) != 0
               ? (struct peer_user *) (void *) ((char *) peer->_extra - PEER_IS_USER)
               : NULL;
}

/* NULL: it needs none of that. */
static inline struct peer_cold *peer_cold(const struct peer *peer)
{
    struct peer_user *user = peer_user(peer);

    return user != NULL ? user->cold : peer->_extra;
}

static inline void peer_set_cold(struct peer *peer, struct peer_cold *cold)
{
    struct peer_user *user = peer_user(peer);

    if (user != NULL)
        user->cold = cold;
    else
        peer->_extra = cold;
}

static inline struct peer *peer_of_transport(struct transport *transport)
{
    return container_of(transport, struct peer, transport);
}

static inline struct peer *peer_of_subscriber(struct subscriber *subscriber)
{
    return container_of(subscriber, struct peer, subscriber);
}

/* The peer that is listed by its `charged`. */
static inline struct peer *peer_of_charged(struct list *node)
{
    return container_of(node, struct peer_cold, charged)->peer;
}

static inline struct peer_context *peer_surroundings(const struct peer *peer)
{
    return peer_context_of(transport_context_of(&peer->transport));
}

/* NULL unless it catches up, or has done so. */
static inline struct peer_replay *peer_replay(const struct peer *peer)
{
    return peer_cold(peer) != NULL ? peer_cold(peer)->replay : NULL;
}

/* True for an event stream, which publishes nothing. */
static inline bool peer_is_for_events(const struct peer *peer)
{
    return peer->subscriber.reader.encoding == CHANNEL_EVENTS;
}

/* True for a WebSocket with the subprotocol id.wsbroadcast: it sees the IDs of its own messages. */
static inline bool peer_is_for_ids(const struct peer *peer)
{
    return peer->subscriber.reader.encoding == CHANNEL_IDS;
}

/* What it reads, as counters.h has it. */
static inline unsigned peer_kind(const struct peer *peer)
{
    return peer_is_for_events(peer) ? COUNTERS_EVENTS : COUNTERS_FRAMES;
}

/* True if it misses messages where it reads too slowly, and is not closed. */
static inline bool peer_skips(const struct peer *peer)
{
    return peer->_fanout != NULL && channel_settings(peer->_fanout->channel)->skip_slow;
}

/* True before it has become a subscriber. */
static inline bool peer_is_opening(const struct peer *peer)
{
    return peer_cold(peer) != NULL && peer_cold(peer)->connection != NULL;
}

/* True while a message of the replay has been rendered in part: its rest has to follow, and of an
 * event nothing may come between. */
static inline bool peer_is_within_event(const struct peer *peer)
{
    const struct peer_replay *replay = peer_replay(peer);

    return replay != NULL && replay_is_within(&replay->events);
}

/* Every peer is one of these where limits_count_addresses, and none elsewhere. */
struct counted_peer {
    struct peer peer;
    struct limits_address *address; /* where the client counts, or NULL */
    struct peer_record record;
};

/* What is noted of it; NULL where nothing is. */
static inline struct peer_record *peer_record(const struct peer *peer)
{
    if (!limits_count_addresses(peer_surroundings(peer)->limits))
        return NULL;
    return &container_of((struct peer *) peer, struct counted_peer, peer)->record;
}

/* ---- peer.c ---- */

/* Leaves its channel, if it is in one. */
void peer_leave(struct peer *peer);

/* Room for what only some peers need; NULL when out of memory. */
struct peer_cold *peer_need_cold(struct peer *peer);

/* Most peers need none once they have been upgraded and have caught up. */
void peer_free_cold_if_unused(struct peer *peer);

/* Logs and counts that this peer has hit a limit, and what was done. */
void peer_hit(const struct peer *peer, const char *limit, const char *done);

/* A limit, which is static, ends it: noted for the log. */
void peer_ends_for(const struct peer *peer, const char *limit);

/* Where its client is counted, or NULL. */
struct limits_address *peer_address(const struct peer *peer);

/* ---- opening.c ---- */

/* Of the transport, while the peer is opening. */
void opening_input(struct transport *transport, const uint8_t *data, size_t len);
void opening_timeout(struct transport *transport);
bool opening_is_idle(const struct transport *transport);

/* Writes what is owed of answers, and reads on when they have left. */
void opening_flush(struct peer *peer);

/* Further requests, which were buffered while one was answered, may be read. */
void opening_feed(struct peer *peer);

/* The connection is one too many: it is told so. */
void opening_refuse(struct peer *peer, const char *limit);

/* ---- subscription.c ---- */

/* Writes what is owed: own frames and whatever the log has for it, with one system call as a
 * rule. */
void subscription_flush(struct peer *peer);

/* ---- publishing.c ---- */

/* True while receipts are to come. */
bool peer_is_unstored(const struct peer_cold *cold);

/* A ping came: true if its Pong waits for messages to be stored. */
bool peer_holds_pong(struct peer *peer, const uint8_t *payload, size_t len);

/* A message of its own is published: it has its cold part. Returns 0 or an error as
 * submit_messages. */
int peer_publish(struct peer *peer, enum frame_opcode opcode, const struct frame_part *payload,
                 const char **limit);

/* While it catches up: the cursor with which it will go on. NULL, or nowhere: there is none. */
struct block_cursor *subscription_live_cursor(const struct peer *peer);

/* It goes no further than the end of the message that it has begun to read, and holds no log. */
void subscription_give_up(struct peer *peer);

/* True when it goes no further than the frame that it is in. */
bool subscription_is_given_up(const struct peer *peer);

/* True when the cursor has come to where it is to go on with its live cursor. */
bool subscription_has_met(const struct peer *peer);

/* Sends a ping with this ID: what follows in the log is behind it. */
void subscription_send_id(struct peer *peer, struct event_id id);

/* ---- peer_users.c ---- */

/* True if it may do this in its channel, by the configuration of now. */
bool peer_may(const struct peer *peer, enum principal_right right);

/* As whom it has come. The principal is borrowed. */
struct identity peer_identity(const struct peer *peer);

/* ---- self_published.c ---- */

/* The number by which the logs' index is to know what this peer publishes now: no other connection
 * of this process has it. 0: the peer receives its own messages. */
uint64_t self_published_number(struct peer *peer);

/* Moves the cursor over those that it has come to, and then sends a ping with the ID of the last.
 */
void self_published_skip(struct peer *peer);

/* Bytes from the cursor on that come before the next of them, within the `len` bytes that
 * block_log_read has listed; UINT64_MAX: there is none. */
uint64_t self_published_ahead(const struct peer *peer, size_t len);

#endif

/* With --no-echo, the messages that a peer has published itself. They lie in the log as
 * everybody's: the cursor skips them. A peer that has read all before, as most have, does so at
 * once; otherwise it is remembered where they are. A ping with the ID of the last of them follows
 * before anything else of the log, as a client that counts messages cannot count these. */
#include <stdlib.h>

#include "common/base/buffer.h"
#include "server/broadcast/fanout.h"
#include "server/peer/peer_private.h"

/* Where a message begins in the logs that its publisher may read. */
struct self_published {
    uint64_t plain_at;
    uint64_t live_at; /* in the log of its encoding */
};

/* Those that the peer has yet to come to, oldest first. */
struct self_published_list {
    struct buffer messages; /* of struct self_published */
    size_t at;              /* bytes: those before have been skipped */
};

static struct self_published_list *list_of(const struct peer *peer)
{
    return peer_cold(peer) != NULL ? peer_cold(peer)->self_published : NULL;
}

void self_published_forget(struct peer *peer)
{
    struct self_published_list *list = list_of(peer);

    if (list == NULL)
        return;
    buffer_deinit(&list->messages);
    free(list);
    peer_cold(peer)->self_published = NULL;
}

size_t self_published_size(const struct peer *peer)
{
    const struct self_published_list *list = list_of(peer);

    return list != NULL ? list->messages._size : 0;
}

/* The next of them, or NULL. */
static const struct self_published *next_of(const struct peer *peer)
{
    const struct self_published_list *list = list_of(peer);

    return list != NULL
               ? (const struct self_published *) (const void *) (list->messages.data + list->at)
               : NULL;
}

static void remove_first(struct peer *peer)
{
    struct self_published_list *list = list_of(peer);

    list->at += sizeof(struct self_published);
    if (list->at == list->messages.len) {
        self_published_forget(peer);
    } else if (list->at > list->messages.len / 2) { /* in all, each is moved but a few times */
        buffer_drop(&list->messages, list->at);
        list->at = 0;
    }
}

static int append(struct peer *peer, const struct self_published *message)
{
    struct peer_cold *cold = peer_cold(peer);
    int status;

    if (cold->self_published == NULL)
        cold->self_published = calloc(1, sizeof *cold->self_published);
    if (cold->self_published == NULL)
        return UV_ENOMEM;
    status = buffer_append(&cold->self_published->messages, message, sizeof *message);
    if (status != 0 && cold->self_published->messages.len == 0)
        self_published_forget(peer);
    return status;
}

/* Where the message begins in the log that the cursor is in now. */
static uint64_t position_of(const struct peer *peer, const struct self_published *message)
{
    return peer->subscriber.cursor.catching_up ? message->plain_at : message->live_at;
}

static bool is_at(const struct peer *peer, const struct self_published *message)
{
    return !subscription_has_met(peer) &&
           block_log_position(&peer->subscriber.cursor) == position_of(peer, message);
}

static void skip_one(struct peer *peer)
{
    struct block_unit unit;

    if (block_log_unit(&peer->subscriber.cursor, &unit))
        block_log_advance(&peer->subscriber.cursor, unit.len);
    peer_cold(peer)->untold = true;
}

void self_published_skip(struct peer *peer)
{
    const struct self_published *message;

    while ((message = next_of(peer)) != NULL && !subscription_is_given_up(peer) &&
           is_at(peer, message)) {
        skip_one(peer);
        remove_first(peer);
    }
    if (peer_cold(peer) != NULL && peer_cold(peer)->untold && fanout_has(&peer->subscriber) &&
        !subscription_is_given_up(peer)) {
        peer_cold(peer)->untold = false;
        subscription_send_id(peer, channel_id_at(peer->_fanout->channel, &peer->subscriber.cursor));
    }
}

uint64_t self_published_ahead(const struct peer *peer)
{
    const struct self_published *message = next_of(peer);

    if (message == NULL || subscription_is_given_up(peer))
        return UINT64_MAX;
    return position_of(peer, message) - block_log_position(&peer->subscriber.cursor);
}

int self_published_add(struct peer *peer, const struct channel_receipt *receipt)
{
    const struct self_published message = {
        .plain_at = receipt->plain_at,
        .live_at = peer->subscriber.cursor.encoding == CHANNEL_PLAIN ? receipt->plain_at
                                                                     : receipt->deflated_at,
    };

    if (!fanout_has(&peer->subscriber) || subscription_is_given_up(peer))
        return 0; /* it reads no further, or goes on behind it */
    if (next_of(peer) == NULL && is_at(peer, &message)) {
        skip_one(peer);
        return 0;
    }
    return append(peer, &message);
}

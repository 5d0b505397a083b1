/* What a peer publishes: it passes the front door (journal/submit.h), and is read no further while
 * too much of it waits to be delivered, or to be stored. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/log.h"
#include "server/net/limits.h"
#include "server/peer/peer_private.h"

enum { UNSTORED_MOST = 256 * 1024 }; /* bytes of one peer's that wait to be stored */

/* It says more than others can deliver, or may go on. */
static void on_paused(void *publisher, bool paused)
{
    struct peer *peer = publisher;

    if (!paused) {
        transport_resume(&peer->transport, TRANSPORT_UNTIL_DELIVERED);
        return;
    }
    transport_pause(&peer->transport, TRANSPORT_UNTIL_DELIVERED);
    if (log_enabled(LOG_DEBUG)) {
        char name[64];

        log_debug("%s: paused: subscribers of other workers are behind",
                  stream_peer_name(&peer->transport.stream, name, sizeof name));
    }
}

/* ---- with a store ---- */

static struct peer_unstored *unstored_of(const struct peer *peer)
{
    return peer_cold(peer) != NULL ? peer_cold(peer)->unstored : NULL;
}

bool peer_is_unstored(const struct peer_cold *cold)
{
    return cold->unstored != NULL && submit_is_outstanding(&cold->unstored->outstanding);
}

bool peer_holds_pong(struct peer *peer, const uint8_t *payload, size_t len)
{
    struct peer_unstored *unstored = unstored_of(peer);
    struct peer_pong *pong;

    if (unstored == NULL || !submit_is_outstanding(&unstored->outstanding))
        return false;
    if (unstored->pongs < 2)
        unstored->pongs++;
    pong = &unstored->held[unstored->pongs - 1];
    pong->after = unstored->said;
    pong->len = (uint8_t) len;
    memcpy(pong->payload, payload, len);
    return true;
}

/* A receipt has come: the Pongs that have waited for it go out, and if it was the last, the peer is
 * read on. */
static void count_receipt(struct peer *peer, struct peer_unstored *unstored)
{
    unstored->receipts++;
    while (unstored->pongs > 0 && unstored->held[0].after <= unstored->receipts) {
        transport_pong(&peer->transport, unstored->held[0].payload, unstored->held[0].len);
        unstored->held[0] = unstored->held[1];
        unstored->pongs--;
    }
    if (submit_is_outstanding(&unstored->outstanding))
        return;
    unstored->bytes = 0;
    transport_resume(&peer->transport, TRANSPORT_UNTIL_STORED);
}

/* So much waits to be stored, and its receipts will come: it is read on when all have. */
static void count_unstored(struct peer *peer, struct peer_unstored *unstored, size_t len)
{
    unstored->said++;
    unstored->bytes += len;
    if (unstored->bytes > UNSTORED_MOST)
        transport_pause(&peer->transport, TRANSPORT_UNTIL_STORED);
}

/* False when out of memory. */
static bool make_unstored(struct peer *peer)
{
    struct peer_cold *cold = peer_cold(peer);

    if (cold->unstored == NULL && submit_is_delayed(peer_surroundings(peer)->publish))
        cold->unstored = calloc(1, sizeof *cold->unstored);
    return cold->unstored != NULL || !submit_is_delayed(peer_surroundings(peer)->publish);
}

/* ---- publishing ---- */

/* A message of the peer's has been published, or could not be. */
static void on_receipt(void *owner, const struct submit_receipt *receipt)
{
    struct peer *peer = owner;
    int status = receipt->status;

    transport_charge(&peer->transport, receipt->channel.work * (uint64_t) TRANSPORT_WORK_COPY);
    if (status == 0 && peer_record(peer) != NULL)
        peer_record(peer)->messages_in++;
    if (status == 0)
        peer_cold(peer)->last_message = (uint32_t) peer_context_clock(peer_surroundings(peer));
    if (status != 0)
        transport_close(&peer->transport, CLOSE_INTERNAL_ERROR,
                        status == UV_ENOMEM ? "out of memory" : "the message could not be stored");
    if (unstored_of(peer) != NULL)
        count_receipt(peer, unstored_of(peer));
}

/* It may have left: one that cannot be written to any more can still be read from to its end. */
int peer_publish(struct peer *peer, enum frame_opcode opcode, const struct frame_part *payload,
                 const char **limit)
{
    const struct channel_item item = {opcode, payload, 1, self_published_number(peer)};
    const struct identity identity = peer_identity(peer);
    const struct submit_client client = {
        .way = SUBMIT_WS,
        .counts = {peer_address(peer), &peer_cold(peer)->rate},
        .now = uv_now(peer->transport.stream.tcp.loop),
        .throttle = {&peer_cold(peer)->throttled, peer, on_paused},
        .identity = &identity,
    };
    struct submit_batch batch = {peer->_fanout->channel, &item, 1, on_receipt, peer, NULL};
    struct peer_unstored *unstored;
    int status;

    *limit = NULL;
    if (!make_unstored(peer))
        return UV_ENOMEM;
    unstored = unstored_of(peer);
    if (unstored != NULL)
        batch.outstanding = &unstored->outstanding;
    status = submit_messages(peer_surroundings(peer)->publish, &client, &batch, limit);
    if (status == 0 && unstored != NULL) /* whose receipt never comes within */
        count_unstored(peer, unstored, payload->len);
    return status;
}

/* What a peer publishes: it passes the front door (journal/submit.h), and is read no further while
 * too much of it waits to be delivered, or to be stored. */
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
    if (submit_is_outstanding(&peer_cold(peer)->outstanding))
        return;
    peer_cold(peer)->unstored = 0;
    transport_resume(&peer->transport, TRANSPORT_UNTIL_STORED);
}

/* So much of it waits to be stored, and its receipts will come: it is read on when all have. */
static void wait_for_store(struct peer *peer, size_t len)
{
    struct peer_cold *cold = peer_cold(peer);

    if (cold == NULL || !submit_is_outstanding(&cold->outstanding))
        return;
    cold->unstored += len;
    if (cold->unstored > UNSTORED_MOST)
        transport_pause(&peer->transport, TRANSPORT_UNTIL_STORED);
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
    const struct submit_batch batch = {peer->_fanout->channel,       &item, 1, on_receipt, peer,
                                       &peer_cold(peer)->outstanding};
    int status = submit_messages(peer_surroundings(peer)->publish, &client, &batch, limit);

    if (status == 0)
        wait_for_store(peer, payload->len);
    return status;
}

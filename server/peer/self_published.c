/* With --no-echo, the messages that a peer has published itself. They lie in the log as
 * everybody's, and its index says whose they are: the cursor skips them. A ping with the ID of the
 * last of them follows before anything else of the log, as a client that counts messages cannot
 * count these. */
#include "server/broadcast/fanout.h"
#include "server/peer/peer_private.h"

static uint64_t number_of(const struct peer *peer)
{
    return peer_cold(peer) != NULL ? peer_cold(peer)->number : 0;
}

uint64_t self_published_number(struct peer *peer)
{
    struct peer_context *context = peer_surroundings(peer);

    if (peer_is_for_ids(peer) || !channel_settings(peer->_fanout->channel)->no_echo)
        return 0;
    if (peer_cold(peer)->number == 0)
        peer_cold(peer)->number = context->first_id + context->id_step * context->publishers_ever++;
    return peer_cold(peer)->number;
}

static bool is_at_own(const struct peer *peer)
{
    return !subscription_is_given_up(peer) && !subscription_has_met(peer) &&
           block_log_before(&peer->subscriber.reader.cursor, 0, number_of(peer)) == 0;
}

void self_published_skip(struct peer *peer)
{
    struct block_unit unit;

    if (number_of(peer) == 0)
        return;
    while (is_at_own(peer) && block_log_unit(&peer->subscriber.reader.cursor, &unit)) {
        block_log_advance(&peer->subscriber.reader.cursor, unit.len);
        peer_cold(peer)->untold = true;
    }
    if (peer_cold(peer)->untold && fanout_has(&peer->subscriber) &&
        !subscription_is_given_up(peer)) {
        peer_cold(peer)->untold = false;
        subscription_send_id(peer, channel_id_at(peer->_fanout->channel, &peer->subscriber.reader));
    }
}

uint64_t self_published_ahead(const struct peer *peer, size_t len)
{
    return number_of(peer) != 0
               ? block_log_before(&peer->subscriber.reader.cursor, len, number_of(peer))
               : UINT64_MAX;
}

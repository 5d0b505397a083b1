#include "server/peer/peer_memory.h"

#include <string.h>

#include "common/net/address.h"
#include "server/broadcast/fanout.h"
#include "server/http/connection.h"
#include "server/net/limits.h"

enum {
    STEP = 1024,          /* bytes by which a charge is off at most */
    WATCH = 60 * 1000,    /* milliseconds, in which a peer that is behind reads */
    READ_LEAST = 60 * 64, /* so many bytes */
};

/* ---- the charge ---- */

static uint64_t held_by(const struct peer *peer)
{
    uint64_t held = transport_held(&peer->transport);

    if (peer_cold(peer) != NULL)
        held += connection_held(peer_cold(peer)->connection);
    return held;
}

static void set_charge(struct peer *peer, uint64_t charge)
{
    struct peer_cold *cold = peer_cold(peer);

    memory_charge(peer_surroundings(peer)->memory, cold->charge, charge);
    cold->charge = charge;
    if (charge == 0)
        list_remove(&cold->charged);
    else if (!list_linked(&cold->charged))
        list_append(peer_surroundings(peer)->charged, &cold->charged);
}

void peer_memory_recount(struct peer *peer)
{
    uint64_t held = held_by(peer);
    uint64_t before = peer_cold(peer) != NULL ? peer_cold(peer)->charge : 0;

    held = held < STEP ? 0 : held;
    if (held == before || (held > 0 && held < before + STEP && before < held + STEP))
        return;
    if (peer_need_cold(peer) == NULL)
        return; /* without memory, it is not counted this time */
    set_charge(peer, held);
    if (held == 0)
        peer_free_cold_if_unused(peer);
}

void peer_memory_forget(struct peer *peer)
{
    if (peer_cold(peer) != NULL && peer_cold(peer)->charge > 0)
        set_charge(peer, 0);
}

/* ---- reading ---- */

void peer_memory_check_reading(struct peer *peer, uint64_t now)
{
    struct peer_cold *cold = peer_need_cold(peer);
    uint32_t acknowledged = stream_acknowledged(&peer->transport.stream);

    if (cold == NULL || !transport_is_writable(&peer->transport))
        return;
    if (cold->watched_since != 0 && (uint32_t) now - cold->watched_since < WATCH)
        return;
    if (cold->watched_since != 0 && acknowledged - cold->watched_from < READ_LEAST) {
        transport_abort_for(&peer->transport, "min-read-rate");
        return;
    }
    cold->watched_since = (uint32_t) now | 1;
    cold->watched_from = acknowledged;
}

/* ---- relief ---- */

uint64_t peer_memory_cost(const struct peer *peer)
{
    uint64_t cost = peer_cold(peer) != NULL ? peer_cold(peer)->charge : 0;

    if (fanout_has(&peer->subscriber))
        return cost + fanout_pinned(peer->_fanout, &peer->subscriber);
    return peer_cold(peer) != NULL ? cost + connection_pinned(peer_cold(peer)->connection) : cost;
}

void peer_memory_key(const struct peer *peer, uint8_t key[PEER_MEMORY_KEY])
{
    struct sockaddr_storage address;

    memset(key, 0, PEER_MEMORY_KEY);
    stream_peer_address(&peer->transport.stream, &address);
    if (!address_key((const struct sockaddr *) &address, key))
        memcpy(key + 1, &peer, sizeof peer); /* a client by itself */
}

static void hit(const struct peer *peer, const char *done)
{
    char name[64];

    limits_hit(peer_surroundings(peer)->limits, "max-memory",
               stream_peer_name(&peer->transport.stream, name, sizeof name), done);
}

/* An HTTP exchange, or an opening handshake. */
static void give_up_request(struct peer *peer)
{
    /* An answer that it does not take; or no request, so that none may be answered. */
    if (transport_queued(&peer->transport) > 0 || connection_is_idle(peer_cold(peer)->connection)) {
        hit(peer, "dropped");
        transport_abort(&peer->transport, UV_ENOBUFS);
        connection_forget(peer_cold(peer)->connection);
        return;
    }
    hit(peer, "refused with 503");
    connection_refuse(peer_cold(peer)->connection, &peer->transport, 503,
                      "the server is short of memory: try again later");
    connection_forget(peer_cold(peer)->connection);
}

static void close_subscriber(struct peer *peer, uint64_t charge)
{
    hit(peer, "closed with 1008");
    subscription_give_up(peer);
    if (transport_is_open(&peer->transport) && charge == 0)
        transport_close(&peer->transport, CLOSE_POLICY, "too slow");
    else if (transport_is_open(&peer->transport) && !peer_is_for_events(peer))
        transport_reject(&peer->transport, CLOSE_POLICY, "too much memory", NULL);
    else
        transport_abort(&peer->transport, UV_ENOBUFS);
}

void peer_memory_give_up(struct peer *peer)
{
    uint64_t charge = peer_cold(peer) != NULL ? peer_cold(peer)->charge : 0;

    if (!transport_is_writable(&peer->transport)) {
        transport_abort(&peer->transport, UV_ENOBUFS);
    } else if (peer_cold(peer) != NULL && peer_cold(peer)->connection != NULL) {
        give_up_request(peer);
    } else if (peer_skips(peer) && transport_is_open(&peer->transport) &&
               peer_memory_cost(peer) > 2 * charge) {
        hit(peer, "skipped");
        subscription_give_up(peer);
    } else {
        close_subscriber(peer, charge);
    }
    peer_memory_recount(peer);
}

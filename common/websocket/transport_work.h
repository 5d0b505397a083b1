/* The work account: what the peers of a loop make it do in one turn, so that no turn is long,
 * whatever they send. For transport and its parts; only transport_charge is for others.
 *
 * Work is counted in units of about a nanosecond of an ordinary core, by fixed prices: it depends
 * on what came in, not on the clock. A transport that has used up its share is deferred: what is
 * left of its input is kept (see decoder_suspend; the owner keeps what belongs to an opening
 * handshake), and it is not read from. Those that are deferred go on in turn, first come first
 * served, at the end of the loop's turns, for half of what a turn may cost; the other half is for
 * the others. When the whole of it is used up, no transport is read from until the next turn.
 *
 *     turn:  [ flush ][ deferred transports: TURN / 2 ][ poll: reads, each at most a share ]
 *
 * The share shrinks with the number of peers that cost much work at the time, so that those read
 * last in a turn are not starved by those read first. A client's context has no such bounds. */
#ifndef WS_COMMON_WEBSOCKET_TRANSPORT_WORK_H
#define WS_COMMON_WEBSOCKET_TRANSPORT_WORK_H

#include "common/websocket/transport.h"

/* Units of work, beside those that transport.h names. */
enum {
    TRANSPORT_WORK_READ = 3,     /* for each byte that is read: unmasked, checked, copied */
    TRANSPORT_WORK_INFLATED = 3, /* for each byte that is inflated, and checked */
    TRANSPORT_WORK_EVENT = 200,  /* for each message or control frame */
};

void transport_work_init(struct transport_context *context);
void transport_work_deinit(struct transport_context *context);

/* A transport begins to read, or goes on: true if it may, in this turn. */
bool transport_work_begin(struct transport *transport);

/* It is not read from until its turn comes again, and then goes on with what was kept. */
void transport_work_defer(struct transport *transport);

/* The transport is closed. */
void transport_work_forget(struct transport *transport);

/* ---- transport's, for the work ---- */

/* A deferred transport may go on with what was kept, and then read. */
void transport_go_on(struct transport *transport);

#endif

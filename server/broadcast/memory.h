/* The memory account: what the peers of all workers make the server hold, against one bound
 * (--max-memory).
 *
 *     used = blocks of logs, but for those that a history retains   (a reader that lags pins them)
 *          + what is charged: messages, bodies and heads that are not complete, inflaters, answers
 *            and replays that the client has not taken, own messages that it has yet to skip
 *
 * Retained history has a bound of its own (--history-total) and is not counted here. Beyond the
 * bound, each worker looks at what its peers cost and gives up the costliest (see relief.h): those
 * of one address together, so that a thousand small ones do not win over one. The bar from which a
 * group is too costly begins at half of the costliest that any worker has seen, and sinks while
 * nobody is given up: so all workers follow one order without asking each other, however slow one
 * of them is. A subscriber that keeps up costs nothing and is never given up.
 *
 * Shared by all threads; every member is an atomic or constant. */
#ifndef WS_SERVER_BROADCAST_MEMORY_H
#define WS_SERVER_BROADCAST_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct memory {
    _Atomic uint64_t max; /* bytes; 0: no bound */
    uint64_t settles;     /* milliseconds that all workers have to report their costliest peers */
    _Atomic uint64_t blocks;          /* bytes of all blocks of all logs */
    const _Atomic uint64_t *retained; /* of those, bytes that histories hold */
    _Atomic uint64_t charged;         /* bytes, by peers */
    _Atomic uint64_t over_since;      /* milliseconds; 0: it is not over the bound */
    _Atomic uint64_t sinks_since;     /* milliseconds: when that was, or a peer was given up last */
    _Atomic uint64_t costliest;       /* bytes of the costliest group seen since then */
    _Atomic uint64_t peak;            /* the most that was used since it was last asked for */
};

/* `retained` is borrowed. */
void memory_init(struct memory *memory, uint64_t max, const _Atomic uint64_t *retained);

/* Bytes used now, as above. */
uint64_t memory_used(const struct memory *memory);

/* The peer's charge has changed from `before` to `now` bytes. */
void memory_charge(struct memory *memory, uint64_t before, uint64_t now);

/* More than half of the bound is used. */
bool memory_is_half_full(const struct memory *memory);

/* More than the bound is used. */
bool memory_is_over(const struct memory *memory);

/* To be asked once a turn: notes how much is used, and whether the bound is passed at `now`
 * (milliseconds of a clock that all threads share). `*first` says that it was not known before: the
 * other workers are to be woken. Returns memory_is_over. */
bool memory_check(struct memory *memory, uint64_t now, bool *first);

/* While it is over: bytes from which the peers of one address are too costly; `costliest` are the
 * bytes of the costliest that the caller has. */
uint64_t memory_bar(struct memory *memory, uint64_t now, uint64_t costliest);

/* A peer has been given up at `now`: the bar begins anew. */
void memory_given_up(struct memory *memory, uint64_t now);

/* The most that was used since the last call. */
uint64_t memory_take_peak(struct memory *memory);

#endif

/* The messages that are under way: which were sent when and by whom, and how many subscribers have
 * yet to get each. A message is done when every subscriber that reads has it.
 *
 * The table is a ring over sequence numbers, so that a delivery finds its message with a mask; all
 * that a delivery touches of it is hot, since a thousand subscribers hear of the same few. */
#ifndef BENCH_FLIGHT_H
#define BENCH_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/histogram.h"

enum { FLIGHT_MAX = 1 << 17 }; /* messages under way at once */

struct flight_message {
    uint64_t due; /* when it was sent, or should have been: ns */
    uint32_t sequence;
    uint32_t missing; /* subscribers that have yet to get it */
    uint32_t publisher;
    uint32_t previous; /* the sequence number before it of the same publisher */
};

struct flight {
    struct flight_message *messages; /* FLIGHT_MAX of them; number 0 is never sent */
    uint32_t last;                   /* the newest sequence number; the first is 1 */
    uint32_t under_way;              /* messages */
    uint32_t subscribers;            /* that read */
    uint32_t *done;                  /* publishers whose messages got done, to be emptied */
    size_t done_count;
    uint64_t deliveries;
    uint64_t unknown;       /* deliveries of what is not under way: never sent, or twice */
    struct histogram each;  /* latency of every delivery */
    struct histogram final; /* latency of each message's last delivery */
    uint64_t _run_due;      /* deliveries of one latency are counted together */
    uint64_t _run_now;
    uint64_t _run;
};

/* Returns 0 or UV_ENOMEM. */
int flight_init(struct flight *flight, uint32_t subscribers);
void flight_deinit(struct flight *flight);

/* A message is sent now, which was due at `due`; `previous` is that publisher's own memory. Returns
 * its sequence number, or 0 when too many are under way. */
uint32_t flight_launch(struct flight *flight, uint32_t publisher, uint64_t due, uint32_t *previous);

/* Brings the histograms up to date: to be called before they are read. */
void flight_settle(struct flight *flight);

/* The message with that number, if it is under way. */
static inline struct flight_message *flight_find(const struct flight *flight, uint32_t sequence)
{
    struct flight_message *message = &flight->messages[sequence % FLIGHT_MAX];

    return message->sequence == sequence && message->missing > 0 ? message : NULL;
}

/* A subscriber got that message at `now`. */
static inline void flight_deliver(struct flight *flight, uint32_t sequence, uint64_t now)
{
    struct flight_message *message = flight_find(flight, sequence);

    if (__builtin_expect(message == NULL, 0)) {
        flight->unknown++;
        return;
    }
    if (message->due != flight->_run_due || now != flight->_run_now) {
        flight_settle(flight);
        flight->_run_due = message->due;
        flight->_run_now = now;
    }
    flight->_run++;
    if (--message->missing > 0)
        return;
    flight->under_way--;
    flight->done[flight->done_count++] = message->publisher;
    histogram_add(&flight->final, now > message->due ? now - message->due : 0, 1);
}

#endif

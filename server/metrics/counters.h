/* What is counted while the server works, for the page of metrics. Each thread that publishes or
 * serves has one of these, and is the only one that writes it: a count costs one addition. Any
 * thread may read the counters; what is sampled from a struct in use is as of some moment between
 * two messages. The histograms are for the writing thread alone, which is asked for them
 * (question.h). */
#ifndef WS_SERVER_METRICS_COUNTERS_H
#define WS_SERVER_METRICS_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "server/metrics/duration.h"

/* The ways on which messages come in. */
enum { COUNTERS_WS, COUNTERS_HTTP, COUNTERS_STDIN, COUNTERS_WAYS };

/* What subscribers read. */
enum { COUNTERS_FRAMES, COUNTERS_EVENTS, COUNTERS_KINDS };

enum { COUNTERS_STATUSES = 24 }; /* HTTP statuses that are told apart, and one for all others */

/* What has become of credentials. */
enum { COUNTERS_ACCEPTED, COUNTERS_REFUSED, COUNTERS_LIMITED, COUNTERS_VERDICTS };

struct counters {
    _Atomic uint64_t accepted;                     /* connections, ever */
    _Atomic uint64_t subscribed[COUNTERS_KINDS];   /* of them, became subscribers, */
    _Atomic uint64_t unsubscribed[COUNTERS_KINDS]; /* and are none any more */
    _Atomic uint64_t responses[COUNTERS_STATUSES]; /* in the order of counters_statuses */
    _Atomic uint64_t credentials[COUNTERS_VERDICTS];
    _Atomic uint64_t messages_in[COUNTERS_WAYS];
    _Atomic uint64_t bytes_in[COUNTERS_WAYS]; /* of their payload */
    _Atomic uint64_t deliveries; /* messages, times subscribers when they were published */
    _Atomic uint64_t bytes_out[COUNTERS_KINDS]; /* of frames or events that sockets have taken */
    _Atomic uint64_t slow_closed;               /* subscribers that lagged too far */
    _Atomic uint64_t slow_skipped;
    _Atomic uint64_t deflated;         /* bytes of payload that were compressed, */
    _Atomic uint64_t deflated_out;     /* and what became of them */
    struct duration_histogram latency; /* from a message to the last subscriber whose socket takes
                                          it */
    struct duration_histogram turns;   /* of the loop, without waiting */
};

/* The statuses that are told apart; 0 stands for all others, and is last. */
extern const unsigned short counters_statuses[COUNTERS_STATUSES];

/* On the thread that the counters belong to. */
static inline void counters_add(_Atomic uint64_t *count, uint64_t more)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline uint64_t counters_read(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/* A response was written. */
void counters_add_response(struct counters *counters, unsigned status);

#endif

/* A journal decides in which order messages become visible, and when. The seam has two halves:
 *
 *     submit    a batch for one channel goes in, from any thread, and nothing blocks
 *     deliver   in the journal's order it is appended to the channel's logs, which gives it its
 *               sequence numbers and makes it visible; then the publisher gets its receipt
 *
 * Between them a durable journal commits, and a distributed one agrees: so nothing is ever seen
 * that a crash could take back. The fan-out knows no journal. Only deliver appends to a log. */
#ifndef WS_SERVER_JOURNAL_JOURNAL_H
#define WS_SERVER_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/broadcast/channel.h"
#include "server/broadcast/throttle.h"
#include "server/journal/submit.h"

/* A batch for one channel. Everything is borrowed for the call of submit: a journal that delivers
 * later copies what it needs. */
struct submission {
    struct channel *channel;
    const struct channel_publisher *publisher;
    const struct channel_item *items;
    size_t count;
    struct throttle *throttle; /* NULL: the publisher is never throttled */
    struct throttle_publisher publisher_throttle;
    submit_receipt_cb on_receipt;
    void *owner;
    struct submit_outstanding *outstanding;
    struct inbox *inbox; /* of the thread that submits */
    bool waits;          /* while the journal cannot write, it is to be patient */
};

struct counters;

/* How a journal is. */
struct journal_state {
    bool degraded;                   /* nothing can be published, */
    char reason[128];                /* for this reason */
    uint64_t pending;                /* bytes of messages that are submitted and not delivered */
    uint64_t commits;                /* ever, */
    uint64_t failures;               /* and those that failed */
    uint64_t bytes;                  /* on disk */
    const struct counters *counters; /* of the thread that delivers; NULL: those that submit do */
};

struct journal;

struct journal_ops {
    bool delays; /* the receipt never comes at once */
    /* Takes the batch; its receipt follows, at once or later, on the same thread. Returns 0, or
     * UV_ENOMEM or UV_ENOBUFS as submit_messages. */
    int (*submit)(struct journal *journal, const struct submission *submission);
    /* From any thread. NULL: there is nothing to be told. */
    void (*look)(struct journal *journal, struct journal_state *state);
};

struct journal {
    const struct journal_ops *ops;
};

/* From any thread: all zeros for the journal of memory. */
void journal_look(struct journal *journal, struct journal_state *state);

/* The journal that keeps nothing beyond the life of the process: it delivers at once, on the thread
 * that submits; a channel's lock gives the order. Cannot fail; holds nothing. */
void journal_init_memory(struct journal *journal);

/* For journals: appends the batch to the channel's logs, throttles the publisher where it has to
 * be, and gives the receipt. */
void journal_deliver(const struct submission *submission);

/* The same in two steps: the first from any thread, with a publisher of that thread's; the second
 * on the thread that submitted. */
void journal_append(struct channel *channel, const struct channel_publisher *publisher,
                    const struct channel_item *items, size_t count, struct submit_receipt *receipt);
void journal_give_receipt(const struct submission *submission,
                          const struct submit_receipt *receipt);

/* ---- batches that wait for their receipts ---- */

/* One of them: a journal embeds it, and keeps it until it is unlinked. On the thread that
 * submitted. */
struct submit_ticket {
    struct submit_ticket *_next;
    struct submit_ticket **_link; /* the pointer to this one; NULL: the owner has gone */
};

void submit_ticket_link(struct submit_ticket *ticket, struct submit_outstanding *outstanding);

/* True if the owner is still there, and is to have its receipt. */
bool submit_ticket_unlink(struct submit_ticket *ticket);

#endif

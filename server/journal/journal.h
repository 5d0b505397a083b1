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

#include <stddef.h>

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
};

struct journal;

struct journal_ops {
    /* Takes the batch; its receipt follows, at once or later, on the same thread. */
    void (*submit)(struct journal *journal, const struct submission *submission);
};

struct journal {
    const struct journal_ops *ops;
};

/* The journal that keeps nothing beyond the life of the process: it delivers at once, on the thread
 * that submits; a channel's lock gives the order. Cannot fail; holds nothing. */
void journal_init_memory(struct journal *journal);

/* For journals: appends the batch to the channel's logs, throttles the publisher where it has to
 * be, and gives the receipt. */
void journal_deliver(const struct submission *submission);

#endif

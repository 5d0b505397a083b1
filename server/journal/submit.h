/* The front door to publishing: whatever is published, by a WebSocket client, with POST (one
 * message, or one a line) or on standard input, passes here, in this order:
 *
 *     permission   the channel's settings say which ways are open, and for whom
 *     limits       how much and how often one client may publish
 *     prefix       of what WebSocket clients send in the default channel
 *     journal      decides the order, and delivers: appends to the channel's logs (journal.h)
 *     receipt      the publisher is told, and throttled while subscribers of other workers are too
 *                  far behind
 *
 * The first three are decided in submit.c alone. The receipt comes through a callback, as a journal
 * may take its time: that of memory delivers within the call, that of a store once it is written.
 */
#ifndef WS_SERVER_JOURNAL_SUBMIT_H
#define WS_SERVER_JOURNAL_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/auth/auth.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/throttle.h"
#include "server/net/limits.h"

struct inbox;
struct journal;
struct submit_ticket;

enum submit_way {
    SUBMIT_WS,
    SUBMIT_HTTP,
    SUBMIT_STDIN, /* which the operator opens, and no client; it is slowed down by source.h */
};

/* What a thread publishes with; all is borrowed. */
struct submit_context {
    struct journal *journal;
    const struct channel_publisher *publisher;
    struct throttle *throttle; /* NULL for SUBMIT_STDIN */
    const struct auth *auth;   /* what rights are judged by; NULL: there are no users */
    struct inbox *inbox;       /* of the thread, for receipts that come later */
};

/* A publisher. */
struct submit_client {
    enum submit_way way;
    struct limits_client counts; /* not for SUBMIT_STDIN, from here on */
    uint64_t now;                /* milliseconds, of uv_now */
    struct throttle_publisher throttle;
    const struct identity *identity; /* NULL: anonymous */
};

/* What has become of messages that were submitted together. */
struct submit_receipt {
    /* 0; UV_ENOMEM: only the first `published` are; UV_EAGAIN: none is, nor will be; or UV_EIO:
     * that is not known. */
    int status;
    size_t published; /* messages, the first ones */
    struct channel_receipt channel;
};

/* What one owner has submitted and has no receipt for yet: embedded in it; {0} is nothing. */
struct submit_outstanding {
    struct submit_ticket *_first;
};

static inline bool submit_is_outstanding(const struct submit_outstanding *outstanding)
{
    return outstanding->_first != NULL;
}

/* The owner goes: none of these receipts comes any more. What is submitted is published all the
 * same. */
void submit_forget(struct submit_outstanding *outstanding);

/* Runs once, on the thread that submitted, within submit_messages or later. */
typedef void (*submit_receipt_cb)(void *owner, const struct submit_receipt *receipt);

/* Messages that are submitted together. Each item is a payload in one part. All is borrowed for the
 * call, but the owner. */
struct submit_batch {
    struct channel *channel;
    const struct channel_item *items;
    size_t count;
    submit_receipt_cb on_receipt;
    void *owner;
    struct submit_outstanding *outstanding; /* of the owner; may be NULL if nothing is delayed */
};

/* True if receipts come later, and never within submit_messages. */
bool submit_is_delayed(const struct submit_context *context);

/* True if the way is open, whoever it is. */
bool submit_is_open(const struct channel_settings *settings, enum submit_way way);

/* Submits messages, to be published with no others between them; those of a WebSocket client come
 * one by one. Returns 0 if `on_receipt` has been called or will be; otherwise nothing is published:
 * UV_EACCES when the way is not open, UV_EPERM when the client has not the right, UV_EAGAIN when a
 * limit is exceeded in this second and UV_E2BIG when it is in any, with `*limit` as the option that
 * sets it, static; UV_ENOMEM; or UV_ENOBUFS when too much waits to be stored (by SUBMIT_HTTP alone:
 * others are to pause while they have much outstanding). */
int submit_messages(const struct submit_context *context, const struct submit_client *client,
                    const struct submit_batch *batch, const char **limit);

#endif

/* One stream of messages in one order: its log, and the workers whose subscribers read it. A
 * channel is shared by all workers; its lock is held for one append, so that everybody sees the
 * same order (and for the rare coming and going of subscribers). Reading the log takes no lock.
 *
 * Subscribers that agreed on permessage-deflate read a second log beside the first, which bears the
 * same messages in the same order, compressed where that makes them smaller. Each message is
 * compressed once, whoever listens, for the smallest window among them. A log that nobody reads is
 * not written. */
#ifndef WS_CHANNEL_H
#define WS_CHANNEL_H

#include <stdint.h>
#include <uv.h>

#include "common/deflate.h"
#include "common/frame.h"
#include "common/list.h"
#include "server/block_log.h"

/* One who wants to be told when a channel has something new. Embedded in a fanout. */
struct channel_listener {
    struct list _node;
    /* Runs on the publisher's thread, with the channel's lock held: pass it on, quickly. */
    void (*_on_published)(struct channel_listener *listener);
    /* channel_appended up to where it has delivered all, but to those whose sockets are full. */
    _Atomic uint64_t reached;
};

enum {
    CHANNEL_PLAIN = 0,      /* in place of a window's bits: no compression */
    CHANNEL_LEAST_BITS = 8, /* windows a subscriber may have, as powers of 2 */
    CHANNEL_MOST_BITS = 15,
};

/* One form of the channel's messages, and how many read it. */
struct channel_log {
    struct block_log log;
    size_t readers;
};

struct channel {
    uv_mutex_t _lock;
    struct channel_log _plain;
    struct channel_log _deflated;
    size_t _windows[CHANNEL_MOST_BITS + 1]; /* readers of _deflated, by the bits of their window */
    _Atomic unsigned _bits;                 /* the smallest of them; 0: there are none */
    uint64_t _sequence;                     /* messages ever published */
    struct list _listeners;
};

/* What a thread publishes with. */
struct channel_publisher {
    struct frame_encoder *encoder;
    struct deflater *deflater;
    size_t compression_min; /* bytes of payload that are worth compressing */
};

/* Returns 0 or a negative UV_E* code. */
int channel_init(struct channel *channel);

/* Nobody listens, publishes or holds a cursor any more. */
void channel_deinit(struct channel *channel);

/* From any thread. `on_published` runs after each publication from now until channel_unlisten. */
void channel_listen(struct channel *channel, struct channel_listener *listener,
                    void (*on_published)(struct channel_listener *listener));
void channel_unlisten(struct channel *channel, struct channel_listener *listener);

/* From any thread: puts the cursor at the end of the log that suits a subscriber whose window has
 * 2^`bits` bytes, or who takes no compressed messages (CHANNEL_PLAIN). */
void channel_join(struct channel *channel, unsigned bits, struct block_cursor *cursor);

/* From any thread: the counterpart. */
void channel_leave(struct channel *channel, struct block_cursor *cursor);

/* From any thread: puts a cursor that has joined at the end, wherever it was. */
void channel_skip(struct channel *channel, struct block_cursor *cursor);

/* From any thread: publishes one message, whose payload is the parts put together; each form of it
 * that is read is made once. Returns 0, or UV_ENOMEM with nothing published. */
int channel_publish(struct channel *channel, const struct channel_publisher *publisher,
                    enum frame_opcode opcode, const struct frame_part *parts, size_t count);

/* How many bytes a subscriber's cursor is behind. */
uint64_t channel_lag(const struct channel *channel, const struct block_cursor *cursor);

/* Bytes ever appended, in all forms: grows with each publication that somebody reads. */
uint64_t channel_appended(const struct channel *channel);

/* From any thread: what all listeners but `own` have reached; UINT64_MAX when there are none. */
uint64_t channel_reached(struct channel *channel, const struct channel_listener *own);

#endif

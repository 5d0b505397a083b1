/* One stream of messages in one order: a log, and the workers whose subscribers read it. A channel
 * is shared by all workers; its lock is held for one append, so that everybody sees the same order
 * (and for the rare coming and going of subscribers). Reading the log takes no lock. */
#ifndef WS_CHANNEL_H
#define WS_CHANNEL_H

#include <stdint.h>
#include <uv.h>

#include "common/frame.h"
#include "common/list.h"
#include "server/block_log.h"

/* One who wants to be told when a channel has something new. Embedded in a fanout. */
struct channel_listener {
    struct list _node;
    /* Runs on the publisher's thread, with the channel's lock held: pass it on, quickly. */
    void (*_on_published)(struct channel_listener *listener);
};

struct channel {
    uv_mutex_t _lock;
    struct block_log log;
    uint64_t _sequence; /* messages ever published */
    struct list _listeners;
};

/* Returns 0 or a negative UV_E* code. */
int channel_init(struct channel *channel);

/* Nobody listens, publishes or holds a cursor any more. */
void channel_deinit(struct channel *channel);

/* From any thread. `on_published` runs after each publication from now until channel_unlisten. */
void channel_listen(struct channel *channel, struct channel_listener *listener,
                    void (*on_published)(struct channel_listener *listener));
void channel_unlisten(struct channel *channel, struct channel_listener *listener);

/* From any thread: puts the cursor at the end of the log. */
void channel_join(struct channel *channel, struct block_cursor *cursor);

/* From any thread: encodes one message, once, into the log. Its payload is the parts put together;
 * `encoder` is the caller's. Returns 0, or UV_ENOMEM with nothing published. */
int channel_publish(struct channel *channel, struct frame_encoder *encoder,
                    enum frame_opcode opcode, const struct frame_part *parts, size_t count);

#endif

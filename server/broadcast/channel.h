/* One stream of messages in one order: its log, and the workers whose subscribers read it. A
 * channel is shared by all workers. Reading the log takes no lock.
 *
 * The rule of the lock: it is held for one append, or for the appends of what is published
 * together, so that all see the same order; for a bounded step of dropping history; and for
 * the coming and going of a subscriber. Nothing is compressed, escaped, searched for or allocated
 * under it but the blocks of the logs, and whatever takes longer the more of it there is goes on in
 * another step, with the lock released in between. The benchmark bench_publish measures the longest
 * hold. The registry (channels.h) asks a channel only what can be read without its lock.
 *
 * The same messages lie in up to four logs, one for each encoding that is read:
 *
 *     plain      frames                            read by most, by all that catch up or whose
 *                                                  windows are small; and history
 *     deflated   frames, compressed where that     read by those that agreed on permessage-deflate
 *                makes them smaller
 *     events     of an event stream                read by event streams
 *     ids        frames, each payload behind a     read by those that agreed on the subprotocol
 *                line with the message's ID        id.wsbroadcast
 *
 * Each is written once for all readers (compressed for the smallest window among them), and only
 * while it is read. Messages are counted: the n-th is unit n of every log that has it, so a
 * subscriber may go over from one log to another without a seam. The count and the log's epoch make
 * the message's ID.
 *
 * A subscriber that asks for earlier messages begins as a cursor on the plain log's history. When
 * little is left to read, channel_meet puts a second cursor at the end of the log that it is to go
 * on with, and says where in the plain log that is; when it has come there, channel_go_live has it
 * go on with the second. */
#ifndef WS_SERVER_BROADCAST_CHANNEL_H
#define WS_SERVER_BROADCAST_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/base/list.h"
#include "common/websocket/deflate.h"
#include "common/websocket/event_id.h"
#include "common/websocket/frame.h"
#include "server/broadcast/block_log.h"
#include "server/broadcast/channel_settings.h"
#include "server/broadcast/history.h"

/* Whether publishers are throttled for a listener: each declares it. */
enum channel_throttling {
    CHANNEL_FOLLOWS,   /* publishers do not wait for it */
    CHANNEL_THROTTLES, /* publishers wait while it is too far behind, as `reached` says */
};

/* One that wants to be told when a channel has something new. Embedded in a fanout, or a sink. */
struct channel_listener {
    struct list _node;
    enum channel_throttling _throttling;
    uv_thread_t _thread; /* that listens */
    /* Runs on the publisher's thread, with the channel's lock held: pass it on, quickly. */
    void (*_on_published)(struct channel_listener *listener);
    /* channel_appended up to where it has delivered all, but to those whose sockets are full. Only
     * of one that throttles. */
    _Atomic uint64_t delivered;
};

/* The form in which a subscriber reads: the bits of its window, or one of the others.
 *
 * All that read compressed frames read the same, made for the smallest window among them. So that
 * none makes them much larger for the others, a subscriber whose window is smaller than
 * CHANNEL_LEAST_BITS reads plain frames: what was agreed on allows that (RFC 7692, 6). At 12 bits a
 * message of 4 KiB is compressed as well as at 15, one of 32 KiB of JSON becomes 10% larger; at 9
 * bits it were 48%. Clients that ask for a window ask for 12 as a rule. */
enum {
    CHANNEL_PLAIN = 0,
    CHANNEL_LEAST_BITS = 12,
    CHANNEL_MOST_BITS = 15,
    CHANNEL_EVENTS = 16,
    CHANNEL_IDS = 17,
};

enum channel_log_kind {
    CHANNEL_LOG_PLAIN,
    CHANNEL_LOG_DEFLATED,
    CHANNEL_LOG_EVENTS,
    CHANNEL_LOG_IDS,
    CHANNEL_LOGS
};

/* One form of the channel's messages, and how many read it. */
struct channel_log {
    struct block_log log;
    size_t readers;
};

struct channel {
    uv_mutex_t _lock;
    struct channel_log _logs[CHANNEL_LOGS];
    /* Readers of compressed frames, by the bits of their windows: */
    uint32_t _windows[CHANNEL_MOST_BITS + 1 - CHANNEL_LEAST_BITS];
    _Atomic unsigned _bits;   /* the smallest of them; 0: there are none */
    _Atomic bool _has_events; /* events are read */
    _Atomic bool _retains;    /* there is history */
    uint64_t _epoch;
    _Atomic uint64_t _sequence; /* messages ever published */
    _Atomic size_t _subscribers;
    struct history _history;
    struct list _listeners;
    const struct channel_settings *_Atomic _settings; /* of now */
    const char *name;                                 /* "": the default channel; borrowed */
    void *kept;                                       /* the registry's keeper's (channels.h) */
};

struct counters;

/* What a thread publishes with. */
struct channel_publisher {
    struct frame_encoder *encoder;
    struct deflater *deflater;
    size_t compression_min;    /* bytes of payload that are worth compressing */
    struct counters *counters; /* of the thread; NULL: nothing is counted */
};

/* A message to publish: its payload is the parts put together. */
struct channel_item {
    enum frame_opcode opcode;
    const struct frame_part *parts;
    size_t count;
    uint64_t connection; /* that is not to receive it: its number goes into the logs' index; or 0 */
};

/* What a publisher may know afterwards. */
struct channel_receipt {
    struct event_id id; /* of the (last) message */
    size_t subscribers; /* that will get it */
    size_t work;        /* what it cost, in bytes copied; one that is compressed counts as 16 */
    uint64_t appended;  /* channel_appended behind it, */
    uint64_t bytes;     /* and how many of those are of what was published with it */
};

/* Where a subscriber wants to begin. */
struct channel_replay_from {
    enum {
        CHANNEL_REPLAY_NOW,
        CHANNEL_REPLAY_LAST, /* the last `count` messages, or as many as are retained */
        CHANNEL_REPLAY_ALL,  /* all that are retained */
        CHANNEL_REPLAY_ID,   /* behind `id`; if that is not known any more, all that are retained */
    } kind;
    uint64_t count;
    struct event_id id;
};

/* One that reads a channel; {0} reads nothing. */
struct channel_reader {
    struct block_cursor cursor; /* in the log that it reads now: in the plain one while it is */
    bool catching_up;           /* with what was published before it came; */
    uint8_t encoding;           /* in the log of this encoding otherwise */
};

/* A message of the past, borrowed from the cursor's block. */
struct channel_message {
    enum frame_opcode opcode;
    const uint8_t *payload;
    size_t len;
    size_t size; /* of its frame: to advance by so much is to pass it */
};

/* What is known of a channel at one moment. */
struct channel_info {
    struct event_id last; /* the newest message's */
    size_t subscribers;
    uint64_t messages; /* retained */
    uint64_t bytes;    /* of their frames */
};

/* `name` is borrowed; `histories` as well, or NULL: nothing is retained. Its settings are
 * channel_settings_none. Returns 0 or a negative UV_E* code. */
int channel_init(struct channel *channel, const char *name, struct histories *histories);

/* From now on these hold, which are borrowed; those of before are not to be freed while another
 * thread may be at a call that began with them. What the history holds beyond them is dropped. */
void channel_set_settings(struct channel *channel, const struct channel_settings *settings);

/* Those of now: to be asked for anew in each call. */
static inline const struct channel_settings *channel_settings(const struct channel *channel)
{
    return atomic_load_explicit(&channel->_settings, memory_order_acquire);
}

/* Goes on with the epoch and the number of the last message of an earlier life: before anyone reads
 * or publishes, and while nothing is retained. */
void channel_restore(struct channel *channel, struct event_id last);

/* From here on the memory of the logs is counted there; borrowed for as long as a cursor holds a
 * block of the channel. */
void channel_count_memory(struct channel *channel, _Atomic uint64_t *memory);

/* There must be no listeners, publishers or cursors left. */
void channel_deinit(struct channel *channel);

/* From the thread that listens. `on_published` runs after each publication from now until
 * channel_unlisten. */
void channel_listen(struct channel *channel, struct channel_listener *listener,
                    enum channel_throttling throttling,
                    void (*on_published)(struct channel_listener *listener));
void channel_unlisten(struct channel *channel, struct channel_listener *listener);

/* ---- subscribers: from any thread, each reader from one ---- */

/* The reader reads the channel in `encoding` (a window's bits, CHANNEL_PLAIN, CHANNEL_EVENTS or
 * CHANNEL_IDS; see CHANNEL_LEAST_BITS), from where `from` says (NULL: from now on); `*start`,
 * which may be NULL, becomes the ID just before the first message it will get. If it is catching up
 * then, it reads plain frames, whatever its encoding, up to channel_go_live. Returns 0, UV_ENOMEM,
 * UV_EINVAL if the ID is of a message to come, or UV_EMFILE if there are as many subscribers as may
 * be. */
int channel_join(struct channel *channel, unsigned encoding, const struct channel_replay_from *from,
                 struct channel_reader *reader, struct event_id *start);

/* The counterpart. `live_cursor` is the second cursor, or NULL. */
void channel_leave(struct channel *channel, struct channel_reader *reader,
                   struct block_cursor *live_cursor);

/* For one that is catching up: puts a second cursor at the end of the log of its encoding. `*stop`
 * is where the first one meets it (block_log_position). Returns 0 or UV_ENOMEM. */
int channel_meet(struct channel *channel, const struct channel_reader *reader,
                 struct block_cursor *live_cursor, uint64_t *stop);

/* The counterpart, if it will not go on there: the second cursor stands nowhere then. Harmless when
 * it did already. */
void channel_part(struct channel *channel, const struct channel_reader *reader,
                  struct block_cursor *live_cursor);

/* The first has come there: the reader goes on with the second, which stands nowhere then. */
void channel_go_live(struct channel *channel, struct channel_reader *reader,
                     struct block_cursor *live_cursor);

/* Puts a reader that has joined at the end of the log of its encoding, wherever it was; it is not
 * catching up then. `live_cursor` as above; `*start` as for channel_join. Returns 0, or UV_ENOMEM
 * with its cursor nowhere. */
int channel_skip(struct channel *channel, struct channel_reader *reader,
                 struct block_cursor *live_cursor, struct event_id *start);

/* How many bytes a subscriber is behind. */
uint64_t channel_lag(const struct channel *channel, const struct channel_reader *reader);

/* How many bytes (messages) a cursor in the plain log holds which the history does not hold. */
uint64_t channel_beyond_history(struct channel *channel, const struct block_cursor *cursor,
                                uint64_t *messages);

/* The same for a subscriber that catches up, and all that `live_cursor` (NULL, or standing nowhere:
 * it has none) holds of the log that it will go on with. */
uint64_t channel_lag_beyond_history(struct channel *channel, const struct channel_reader *reader,
                                    const struct block_cursor *live_cursor, uint64_t *messages);

/* How many messages a subscriber's cursor is behind; or `least`, if that is more. Finding the place
 * takes a walk, and is done only if it may be further behind than that. Never less than 0, though
 * what another thread publishes may be seen by the cursor before it is counted. */
uint64_t channel_messages_behind(const struct channel *channel, const struct block_cursor *cursor,
                                 uint64_t least);

/* The ID of the last message that begins before the reader's cursor. */
struct event_id channel_id_at(struct channel *channel, const struct channel_reader *reader);

/* ---- publishing: from any thread ---- */

/* Publishes one message, whose payload is the parts put together; each form of it that is read is
 * made once. `receipt` may be NULL. Returns 0, or UV_ENOMEM with nothing published. */
int channel_publish(struct channel *channel, const struct channel_publisher *publisher,
                    enum frame_opcode opcode, const struct frame_part *parts, size_t count,
                    struct channel_receipt *receipt);

/* Publishes many, with no others between them. All are prepared before the first is published,
 * and share the time in which a deflater compresses (deflater_start). Returns 0, or UV_ENOMEM with
 * the first
 * `*published` of them published. */
int channel_publish_all(struct channel *channel, const struct channel_publisher *publisher,
                        const struct channel_item *items, size_t count, size_t *published,
                        struct channel_receipt *receipt);

/* ---- looking: from any thread ---- */

void channel_info(struct channel *channel, struct channel_info *info);

/* What it costs to find a place in so many bytes of history (channel_join, channel_look_back), in
 * bytes copied: a walk over its blocks, and over the units of one. */
static inline size_t channel_seek_work(uint64_t bytes)
{
    return (size_t) (bytes / 64 + (bytes < BLOCK_LOG_MAX_SIZE ? bytes : BLOCK_LOG_MAX_SIZE));
}

/* The ID of the newest message. */
struct event_id channel_last_id(const struct channel *channel);

/* Bytes ever appended, in all encodings: grows with each publication that is read. */
uint64_t channel_appended(const struct channel *channel);

/* From a publisher's thread: what all listeners for which publishers are throttled have reached,
 * but those of that thread itself; UINT64_MAX when there are none. */
uint64_t channel_delivered(struct channel *channel);

/* Puts a cursor that is no subscriber's on the history, from where `from` says; it ends with
 * block_log_leave. `*start` is the ID just before the first message. Returns 0 or UV_EINVAL, as
 * channel_join. */
int channel_look_back(struct channel *channel, const struct channel_replay_from *from,
                      struct block_cursor *cursor, struct event_id *start);

/* The message at such a cursor (or at one that is catching up), which has advanced (by
 * block_log_advance) by `within` bytes of its frame. The n-th has the ID n behind the start. False
 * when there is none yet. */
bool channel_look(struct block_cursor *cursor, size_t within, struct channel_message *message);

/* The same for a cursor between two messages, which moves behind this one. */
bool channel_next(struct block_cursor *cursor, struct channel_message *message);

/* Memory is scarce: the blocks that the logs go on with are replaced by small ones. Those that
 * stand at the end of the old ones keep them until block_log_settle. */
void channel_fold(struct channel *channel);

/* ---- history ---- */

/* Drops what is too old, step by step: others may publish in between. */
void channel_expire(struct channel *channel);

/* True while messages are retained. Takes no lock: what becomes of that meanwhile is the affair of
 * references to the channel. */
bool channel_retains(const struct channel *channel);

/* Drops the messages of the oldest block that is retained. */
void channel_drop_block(struct channel *channel);

/* Drops all messages that are retained now, step by step. */
void channel_forget_history(struct channel *channel);

/* The channel whose history holds a block. */
struct channel *channel_of_retention(const struct block_retention *retention);

#endif

/* What a channel keeps of the past: a cursor of its own on the channel's log, which lags behind the
 * newest message by as much as is to be retained. So history costs nothing but the blocks that it
 * holds, and a subscriber that asks for it is one more cursor.
 *
 *     log ──[ … dropped ][f101 f102 f103 …]─►[ … ]─►[ … f170▏ free ]
 *                          ▲ history                      ▲ the end
 *
 * Messages go from the oldest on: by number, bytes (on the wire) and age, whichever bites first. A
 * block of which all is to go goes as one; within a block each message is looked at. However many
 * they are, history_trim drops no more at a time than a step of HISTORY_STRIDE. Over all channels,
 * blocks are counted in the order in which they were made; when they are too many, the oldest of
 * them lose their messages.
 *
 * Threads: a history is guarded by the lock of its channel. What all histories share has a lock of
 * its own, which is taken after the channel's, and only when a block comes or goes. */
#ifndef WS_SERVER_BROADCAST_HISTORY_H
#define WS_SERVER_BROADCAST_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/broadcast/block_log.h"
#include "server/broadcast/channel_settings.h"

enum {
    HISTORY_STEPS = 64,      /* a message lives for its age, and one of these steps more */
    HISTORY_OVERHEAD = 1024, /* bytes of memory that a block may cost beside itself */
    HISTORY_STRIDE = 512,    /* messages that are dropped in one step of history_trim, */
    HISTORY_BLOCK_COST = 32, /* of which a block counts as many for each 128 KiB of its size */
};

/* What the histories of all channels share. */
struct histories {
    uint64_t (*now)(void); /* milliseconds of a clock that only goes forward */
    /* All hold too much: drops the oldest blocks, of whichever channel. NULL: that is not done. */
    void (*relieve)(struct histories *histories);
    uv_mutex_t _lock;         /* guards the list, and changes of the sum */
    struct list _order;       /* notes of blocks that a history holds, the oldest first */
    _Atomic uint64_t _memory; /* bytes of memory that they take, */
    _Atomic uint64_t _most;   /* and may take; 0: any number */
};

struct time_marks;

struct history {
    struct histories *_histories; /* may be NULL: nothing is kept */
    const struct history_policy *_policy;
    bool _keeps;
    struct block_cursor _cursor;  /* at the oldest message; nowhere while there is none */
    uint64_t _sequence;           /* of the message before the oldest */
    uint64_t _expired;            /* all up to this one are too old */
    uint64_t _bytes;              /* retained */
    uint64_t _memory;             /* bytes of memory of its blocks */
    struct block_cursor _dropped; /* where the oldest message was: keeps the blocks behind it */
    struct time_marks *_marks;    /* which messages are how old, if age matters */
    unsigned _step;               /* what the last step of history_trim cost */
};

/* Returns 0 or a negative UV_E* code. */
int histories_init(struct histories *histories);
void histories_deinit(struct histories *histories);

/* All together hold at most so many bytes of memory from now on; 0: any number. From any thread. */
void histories_limit(struct histories *histories, uint64_t most);

/* Bytes of memory that all together hold. From any thread. */
uint64_t histories_memory(const struct histories *histories);

/* True when all together hold more than they may. From any thread. */
bool histories_are_over(struct histories *histories);

/* The note of the oldest block of all, or NULL; its log is not to be freed while the lock is held,
 * which histories_unlock ends. */
struct block_retention *histories_lock_oldest(struct histories *histories);
void histories_unlock(struct histories *histories);

/* Nothing is kept until history_set_policy; `histories` may be NULL: nor after it. */
void history_init(struct history *history, struct histories *histories);
void history_deinit(struct history *history);

/* From now on this is kept; what is too much goes with history_trim. What is retained counts as
 * new if there was another age. `policy` is borrowed; `sequence` is that of the newest message. */
void history_set_policy(struct history *history, const struct history_policy *policy,
                        uint64_t sequence);

/* True when messages are to be retained at all. */
static inline bool history_keeps(const struct history *history)
{
    return history->_keeps;
}

/* True when there are some now. */
static inline bool history_is_empty(const struct history *history)
{
    return history->_cursor._block == NULL;
}

/* Room has been reserved in `log` for the message after `sequence`, and nothing is committed yet:
 * gets ready to keep it. Returns 0, or UV_ENOMEM with nothing changed. */
int history_begin(struct history *history, struct block_log *log, uint64_t sequence);

/* That message, a unit of `size` bytes, is committed. What is too much now goes with
 * history_trim. */
void history_add(struct history *history, size_t size);

/* Finds out what is too old; `sequence` is that of the newest message. It goes with
 * history_trim. */
void history_expire(struct history *history, uint64_t sequence);

/* Drops a bounded part of what is too much or too old. True when there is more of it. */
bool history_trim(struct history *history, uint64_t sequence);

/* Drops what its oldest block holds of it. */
void history_drop_block(struct history *history);

/* After either: what still holds the blocks that were dropped, or stands nowhere, becomes the
 * caller's, who calls block_log_leave once the lock is released. Giving memory back can take long:
 * free(3) may return a great deal of it to the system at once. */
struct block_cursor history_take_dropped(struct history *history);

/* Without the channel's lock: when all histories together hold too much, has what is oldest
 * dropped, in whatever channel it is. */
void history_relieve(const struct history *history);

/* Bytes of the messages that are retained. */
uint64_t history_bytes(const struct history *history);

/* Messages retained, if `sequence` is that of the newest. */
uint64_t history_messages(const struct history *history, uint64_t sequence);

#endif

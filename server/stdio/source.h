/* Standard input as a publisher (--stdin): each line becomes a text message in one channel. On the
 * main thread, so that reading a slow file delays no connection.
 *
 * A file or a busy program could be read faster than it is delivered, and each reader would be
 * found too slow. So after a part of what a reader may lag behind (counted in the channel's logs),
 * all workers are asked how far theirs are, and so is --stdout; while one has yet to read what came
 * before that part, no more is read. One that does not read at all is waited for only so long each
 * time: it will exceed --max-lag, and is the others' burden no more. Without a limit on lag it is
 * waited for as long as it takes, so that no more than SOURCE_AHEAD bytes are held for it. */
#ifndef WS_SERVER_STDIO_SOURCE_H
#define WS_SERVER_STDIO_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/input.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/channels.h"
#include "server/broadcast/fanouts.h"
#include "server/config/server_options.h"
#include "server/journal/submit.h"
#include "server/metrics/counters.h"
#include "server/thread/inbox.h"

enum { SOURCE_AHEAD = 16 * 1024 * 1024 };

struct sink;
struct source;

/* A worker that has readers: how to reach its thread, and what is asked there. Borrowed. */
struct source_worker {
    struct inbox *inbox;
    const struct fanouts *fanouts;
};

/* What one worker is asked; its answer is added to the source's. */
struct source_question {
    struct inbox_item _item;
    struct source_worker _worker;
    struct source *_source;
};

struct source {
    const struct sink *_sink;
    struct channels *_channels;
    struct channel *_channel; /* NULL: it was never started, or is closed */
    struct counters counters; /* of what it publishes */
    struct channel_publisher _publisher;
    struct submit_context _means;
    struct inbox _inbox;
    bool _has_inbox;
    struct submit_outstanding _outstanding; /* lines without a receipt, */
    uint64_t _unstored;                     /* and their bytes, more or less */
    struct input _input;
    uint64_t _bytes; /* appended since all were asked last, */
    uint64_t _messages;
    uint64_t _most_bytes;    /* and how much that may be; */
    uint64_t _most_messages; /* 0: any number */
    uint64_t _patience;      /* milliseconds to wait for a reader; UINT64_MAX: for ever */
    uint64_t _deadline;
    struct source_question *_questions; /* one a worker */
    size_t _worker_count;
    _Atomic size_t _unanswered;
    _Atomic bool _is_behind; /* a subscriber is */
    uv_async_t _answered;
    uv_timer_t _again;
    bool _asks;   /* reading waits for readers, */
    bool _stores; /* or for the store */
    bool _stopped;
};

/* Those that standard input waits for: the subscribers of all workers, which have been started, and
 * standard output, started or not. */
struct source_readers {
    struct source_worker (*worker_at)(void *context, size_t i);
    void *context;
    size_t worker_count;
    const struct sink *sink;
    struct journal *journal; /* which gives its lines their order */
};

/* Reads standard input into the channel of options->stdin_channel, until its end or source_stop.
 * All is borrowed until source_close. Returns 0, UV_EMFILE when there are too many channels, or
 * another negative UV_E* code. */
int source_start(struct source *source, uv_loop_t *loop, const struct server_options *options,
                 struct channels *channels, const struct source_readers *readers);

/* Reads no further. Harmless when it was not started, or has ended. */
void source_stop(struct source *source);

/* The workers have ended. Run the loop once more, then deinit. Both are harmless when it was not
 * started. */
void source_close(struct source *source);
void source_deinit(struct source *source);

#endif

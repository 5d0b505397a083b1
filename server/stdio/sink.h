/* Standard output as a subscriber (--stdout): each message of one channel is printed, as soon as it
 * is there, with a newline; binary ones as base64. On a terminal, control characters are escaped
 * (see escape.h). On the main thread, a batch a turn of its loop, so that signals and timers are
 * not kept waiting; a slow file may hold that thread up.
 *
 * No publisher is throttled for it: neither a paused pager nor a full disk may silence those who
 * publish. It lags as any subscriber, and beyond --max-lag it misses messages, which is logged.
 * Only what comes from standard input waits for it, as for any reader (see source.h). When nobody
 * reads any more, serving goes on without. */
#ifndef WS_SERVER_STDIO_SINK_H
#define WS_SERVER_STDIO_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/base/descriptor.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/channels.h"
#include "server/broadcast/fanout.h"
#include "server/config/server_options.h"

struct sink {
    const struct server_options *_options;
    struct channels *_channels;
    struct channel *_channel; /* NULL: it was never started, or is closed */
    struct channel_listener _listener;
    struct channel_reader _reader;
    struct descriptor _out;
    bool _is_terminal;
    struct buffer _lines; /* rendered, */
    size_t _written;      /* and this much of them printed */
    uv_async_t _published;
    uv_poll_t _room;   /* of what is pollable: waits while it is full */
    uv_timer_t _grace; /* for what is left at the end */
    bool _waits;       /* for room */
    bool _finishing;
};

/* Prints the channel of options->stdout_channel from now on. All is borrowed until the sink is
 * closed. Returns 0, UV_EMFILE when there are too many channels, or another negative UV_E* code. */
int sink_start(struct sink *sink, uv_loop_t *loop, const struct server_options *options,
               struct channels *channels);

/* How far it is behind in a channel: by nothing if it prints another one, or is closed. */
struct fanout_behind sink_behind(const struct sink *sink, const struct channel *channel);

/* No more will be published: what is left is printed, as far as that is possible within
 * options->close_timeout, and the sink closes by itself; the loop ends then. Harmless when it was
 * not started, or has closed. */
void sink_finish(struct sink *sink);

#endif

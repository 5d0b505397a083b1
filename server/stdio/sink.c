#include "server/stdio/sink.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/base/base64.h"
#include "common/base/escape.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/plural.h"

enum { BATCH = 256 * 1024 }; /* bytes of lines that are printed in a turn of the loop */

static void close_sink(struct sink *sink)
{
    channel_unlisten(sink->_channel, &sink->_listener);
    channel_leave(sink->_channel, &sink->_reader, NULL);
    channels_unref(sink->_channels, sink->_channel);
    sink->_channel = NULL;
    buffer_deinit(&sink->_lines);
    uv_close((uv_handle_t *) &sink->_published, NULL);
    uv_close((uv_handle_t *) &sink->_grace, NULL);
    if (descriptor_is_pollable(&sink->_out))
        uv_close((uv_handle_t *) &sink->_room, NULL);
}

/* ---- lines ---- */

static int add_line(struct buffer *lines, const struct channel_message *message, bool escaped)
{
    static const char mark[] = "base64:";
    size_t before = lines->len;
    int status;

    if (message->opcode == FRAME_TEXT && escaped) {
        status = escape_append(lines, message->payload, message->len);
    } else if (message->opcode == FRAME_TEXT) {
        status = buffer_append(lines, message->payload, message->len);
    } else {
        status = buffer_append(lines, mark, sizeof mark - 1);
        if (status == 0)
            status = base64_append(lines, message->payload, message->len);
    }
    if (status == 0)
        status = buffer_append(lines, "\n", 1);
    if (status != 0)
        lines->len = before;
    return status;
}

/* What is new, up to a batch. */
static void fill(struct sink *sink)
{
    struct channel_message message;

    sink->_lines.len = 0;
    sink->_written = 0;
    while (sink->_lines.len < BATCH && channel_next(&sink->_reader.cursor, &message)) {
        if (add_line(&sink->_lines, &message, sink->_is_terminal) != 0)
            log_error("a message of %zu byte%s is not printed: out of memory", message.len,
                      plural(message.len));
    }
}

/* ---- printing ---- */

static void on_room(uv_poll_t *poll, int status, int events);

static void set_waiting(struct sink *sink, bool waits)
{
    if (waits && !sink->_waits)
        (void) uv_poll_start(&sink->_room, UV_WRITABLE, on_room);
    else if (!waits && sink->_waits)
        (void) uv_poll_stop(&sink->_room);
    sink->_waits = waits;
}

/* The reader is gone: the server goes on without. */
static void break_off(struct sink *sink, int status)
{
    log_warn("cannot write to standard output: %s: no more is printed, serving goes on",
             uv_strerror(status));
    close_sink(sink);
}

/* ---- too slow ---- */

/* One that waits for room is judged as any subscriber whose socket is full. A file never waits: its
 * writes block, and it is too slow if they leave it so far behind in bytes. */
static bool is_too_slow(const struct sink *sink)
{
    uint64_t bytes = channel_settings(sink->_channel)->lag.bytes;
    uint64_t messages = sink->_waits ? channel_settings(sink->_channel)->lag.messages : 0;

    return (bytes > 0 && channel_lag(sink->_channel, &sink->_reader) > bytes) ||
           (messages > 0 &&
            channel_messages_behind(sink->_channel, &sink->_reader.cursor, messages) > messages);
}

/* What is printed in part is printed to its end. False when the sink is closed. */
static bool check_lag(struct sink *sink)
{
    uint64_t sequence = 0;
    struct event_id start;

    if (sink->_finishing || !is_too_slow(sink))
        return true;
    sequence = block_log_sequence(&sink->_reader.cursor);
    if (channel_skip(sink->_channel, &sink->_reader, NULL, &start) != 0) {
        break_off(sink, UV_ENOMEM);
        return false;
    }
    log_warn("limit max-lag: standard output is read too slowly: %" PRIu64 " message%s not printed",
             start.sequence - sequence, start.sequence - sequence == 1 ? " is" : "s are");
    return true;
}

/* ---- a turn ---- */

/* Prints a batch, or what is left of one, with one call. What there is to print besides is for the
 * loop's next turn. */
static void print(struct sink *sink)
{
    ssize_t n;

    if (!check_lag(sink))
        return;
    if (sink->_written == sink->_lines.len)
        fill(sink);
    if (sink->_lines.len == 0) {
        set_waiting(sink, false);
        if (sink->_finishing)
            close_sink(sink);
        return;
    }
    n = descriptor_write(&sink->_out, sink->_lines.data + sink->_written,
                         sink->_lines.len - sink->_written);
    if (n < 0 && n != UV_EAGAIN) {
        break_off(sink, (int) n);
        return;
    }
    sink->_written += n > 0 ? (size_t) n : 0;
    set_waiting(sink, n == UV_EAGAIN);
    if (n != UV_EAGAIN)
        (void) uv_async_send(&sink->_published);
}

static void on_room(uv_poll_t *poll, int status, int events)
{
    (void) status; /* an error shows when it is written to */
    (void) events;
    print(container_of(poll, struct sink, _room));
}

static void on_published(uv_async_t *async)
{
    struct sink *sink = container_of(async, struct sink, _published);

    if (sink->_channel == NULL)
        return;
    if (sink->_waits)
        (void) check_lag(sink);
    else
        print(sink);
}

/* On the publisher's thread. */
static void on_told(struct channel_listener *listener)
{
    (void) uv_async_send(&container_of(listener, struct sink, _listener)->_published);
}

/* ---- life ---- */

int sink_start(struct sink *sink, uv_loop_t *loop, const struct server_options *options,
               struct channels *channels)
{
    const char *name = options->stdout_channel;
    struct channel *channel;
    int status;

    sink->_options = options;
    sink->_channels = channels;
    status = channels_make(channels, name, strlen(name), &channel);
    if (status != 0)
        return status;
    status = channel_join(channel, CHANNEL_PLAIN, NULL, &sink->_reader, NULL);
    if (status != 0)
        goto fail_join;
    status = uv_async_init(loop, &sink->_published, on_published);
    if (status != 0)
        goto fail_async;
    descriptor_open(&sink->_out, STDOUT_FILENO, true);
    sink->_is_terminal = isatty(STDOUT_FILENO) == 1;
    if (descriptor_is_pollable(&sink->_out))
        status = descriptor_poll_init(&sink->_out, loop, &sink->_room);
    if (status != 0)
        goto fail_poll;
    (void) uv_timer_init(loop, &sink->_grace); /* which cannot fail */
    sink->_channel = channel;
    channel_listen(channel, &sink->_listener, CHANNEL_FOLLOWS, on_told);
    return 0;

fail_poll:
    descriptor_close(&sink->_out);
    uv_close((uv_handle_t *) &sink->_published, NULL);
fail_async:
    channel_leave(channel, &sink->_reader, NULL);
fail_join:
    channels_unref(channels, channel);
    return status;
}

struct fanout_behind sink_behind(const struct sink *sink, const struct channel *channel)
{
    struct fanout_behind behind = {0};

    if (sink->_channel == NULL || sink->_channel != channel)
        return behind;
    behind.bytes = channel_lag(channel, &sink->_reader);
    if (channel_settings(channel)->lag.messages > 0)
        behind.messages = channel_messages_behind(channel, &sink->_reader.cursor, 0);
    return behind;
}

static void on_grace_over(uv_timer_t *timer)
{
    struct sink *sink = container_of(timer, struct sink, _grace);

    log_warn("standard output is read too slowly: what is left is not printed");
    close_sink(sink);
}

void sink_finish(struct sink *sink)
{
    if (sink->_channel == NULL)
        return;
    sink->_finishing = true;
    (void) uv_timer_start(&sink->_grace, on_grace_over, server_options_stop_timeout(sink->_options),
                          0);
    print(sink);
}

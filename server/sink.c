#include "server/sink.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/encode.h"
#include "common/list.h"
#include "common/log.h"
#include "server/worker.h"

enum { BATCH = 256 * 1024 }; /* bytes of lines that are printed at a time */

static void close_sink(struct sink *sink)
{
    channel_unlisten(sink->_channel, &sink->_listener);
    channel_leave(sink->_channel, &sink->_cursor, NULL);
    channels_unref(sink->_channels, sink->_channel);
    sink->_channel = NULL;
    buffer_deinit(&sink->_lines);
    uv_close((uv_handle_t *) &sink->_published, NULL);
    uv_close((uv_handle_t *) &sink->_grace, NULL);
    if (descriptor_is_pollable(&sink->_out))
        uv_close((uv_handle_t *) &sink->_room, NULL);
}

/* ---- lines ---- */

static int add_line(struct buffer *lines, const struct channel_message *message)
{
    static const char mark[] = "base64:";
    size_t before = lines->len;
    int status;

    if (message->opcode == FRAME_TEXT) {
        status = buffer_append(lines, message->payload, message->len);
    } else {
        status = buffer_append(lines, mark, sizeof mark - 1);
        if (status == 0)
            status = encode_base64(lines, message->payload, message->len);
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
    while (sink->_lines.len < BATCH && channel_next(&sink->_cursor, &message)) {
        if (add_line(&sink->_lines, &message) != 0)
            log_error("a message of %zu bytes is not printed: out of memory", message.len);
    }
}

/* ---- printing ---- */

static void print(struct sink *sink);

static void on_room(uv_poll_t *poll, int status, int events)
{
    (void) status; /* an error shows when it is written to */
    (void) events;
    print(container_of(poll, struct sink, _room));
}

static void set_waiting(struct sink *sink, bool waits)
{
    if (waits && !sink->_waits)
        (void) uv_poll_start(&sink->_room, UV_WRITABLE, on_room);
    else if (!waits && sink->_waits)
        (void) uv_poll_stop(&sink->_room);
    sink->_waits = waits;
}

/* Nobody reads: the server goes on without. */
static void break_off(struct sink *sink, int status)
{
    log_warn("cannot write to standard output: %s: no more is printed, serving goes on",
             uv_strerror(status));
    close_sink(sink);
}

/* Prints what there is, one batch with one call, until all is printed or there is no room. */
static void print(struct sink *sink)
{
    for (;;) {
        ssize_t n;

        if (sink->_written == sink->_lines.len)
            fill(sink);
        if (sink->_lines.len == 0)
            break;
        n = descriptor_write(&sink->_out, sink->_lines.data + sink->_written,
                             sink->_lines.len - sink->_written);
        if (n == UV_EAGAIN) {
            set_waiting(sink, true);
            return;
        }
        if (n < 0) {
            break_off(sink, (int) n);
            return;
        }
        sink->_written += (size_t) n;
    }
    set_waiting(sink, false);
    if (sink->_finishing)
        close_sink(sink);
}

/* ---- too slow ---- */

static bool is_too_slow(const struct sink *sink, uint64_t last)
{
    uint64_t bytes = worker_max_lag(sink->_options);
    uint64_t messages = sink->_options->max_lag_messages;

    return (bytes > 0 && channel_lag(sink->_channel, &sink->_cursor) > bytes) ||
           (messages > 0 && last - block_log_least_place(&sink->_cursor) > messages &&
            last - block_log_place(&sink->_cursor) > messages);
}

/* What is printed in part is printed to its end. */
static void judge(struct sink *sink)
{
    uint64_t place = 0;
    struct event_id start;

    if (!is_too_slow(sink, channel_last_id(sink->_channel).sequence))
        return;
    place = block_log_place(&sink->_cursor);
    if (channel_skip(sink->_channel, &sink->_cursor, NULL, &start) != 0) {
        break_off(sink, UV_ENOMEM);
        return;
    }
    log_warn("limit max-lag: standard output is read too slowly: %" PRIu64
             " messages are not printed",
             start.sequence - place);
}

static void on_published(uv_async_t *async)
{
    struct sink *sink = container_of(async, struct sink, _published);

    if (sink->_channel == NULL)
        return;
    if (sink->_waits)
        judge(sink);
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
    status = channel_join(channel, CHANNEL_PLAIN, NULL, &sink->_cursor, NULL);
    if (status != 0)
        goto fail_join;
    status = uv_async_init(loop, &sink->_published, on_published);
    if (status != 0)
        goto fail_async;
    descriptor_open(&sink->_out, STDOUT_FILENO, true);
    if (descriptor_is_pollable(&sink->_out))
        status = descriptor_poll_init(&sink->_out, loop, &sink->_room);
    if (status != 0)
        goto fail_poll;
    (void) uv_timer_init(loop, &sink->_grace); /* which cannot fail */
    sink->_channel = channel;
    channel_listen(channel, &sink->_listener, on_told);
    return 0;

fail_poll:
    descriptor_close(&sink->_out);
    uv_close((uv_handle_t *) &sink->_published, NULL);
fail_async:
    channel_leave(channel, &sink->_cursor, NULL);
fail_join:
    channels_unref(channels, channel);
    return status;
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
    (void) uv_timer_start(&sink->_grace, on_grace_over, server_options_stop_timeout(sink->_options), 0);
    print(sink);
}

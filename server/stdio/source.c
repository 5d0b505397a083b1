#include "server/stdio/source.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/plural.h"
#include "common/base/utf8.h"
#include "server/broadcast/fanouts.h"
#include "server/stdio/sink.h"

enum {
    PARTS = 4,                         /* of what a reader may lag behind, before all are asked */
    MOST_BYTES = SOURCE_AHEAD / PARTS, /* the largest such part */
    AGAIN = 2,       /* milliseconds until workers with lagging subscribers are asked again */
    PATIENCE = 1000, /* milliseconds that a reader is waited for */
    UNSTORED_MOST = 1024 * 1024, /* bytes of lines that wait to be stored */
};

/* ---- the pace ---- */

static bool is_too_far(const struct source *source, const struct fanout_behind *behind)
{
    return behind->bytes > source->_most_bytes ||
           (source->_most_messages > 0 && behind->messages > source->_most_messages);
}

static void read_on(struct source *source)
{
    if (!source->_asks && !source->_stores && !source->_stopped)
        input_resume(&source->_input);
}

/* On the worker's thread. */
static void on_asked(struct inbox_item *item)
{
    struct source_question *question = container_of(item, struct source_question, _item);
    struct source *source = question->_source;
    struct fanout_behind behind = fanouts_behind(question->_worker.fanouts, source->_channel);

    if (is_too_far(source, &behind))
        atomic_store(&source->_is_behind, true);
    if (atomic_fetch_sub(&source->_unanswered, 1) == 1)
        (void) uv_async_send(&source->_answered);
}

static void ask(struct source *source)
{
    atomic_store(&source->_is_behind, false);
    atomic_store(&source->_unanswered, source->_worker_count);
    for (size_t i = 0; i < source->_worker_count; i++)
        inbox_post(source->_questions[i]._worker.inbox, &source->_questions[i]._item);
}

static void on_again(uv_timer_t *timer)
{
    ask(container_of(timer, struct source, _again));
}

static void on_answered(uv_async_t *async)
{
    struct source *source = container_of(async, struct source, _answered);
    struct fanout_behind printed;

    if (source->_stopped || atomic_load(&source->_unanswered) > 0)
        return;
    printed = sink_behind(source->_sink, source->_channel);
    if ((atomic_load(&source->_is_behind) || is_too_far(source, &printed)) &&
        uv_now(async->loop) < source->_deadline) {
        (void) uv_timer_start(&source->_again, on_again, AGAIN, 0);
        return;
    }
    source->_bytes = 0;
    source->_messages = 0;
    source->_asks = false;
    read_on(source);
}

static void set_pace(struct source *source)
{
    const struct lag_limits *lag = &channel_settings(source->_channel)->lag;
    uint64_t bytes = lag->bytes / PARTS;

    source->_most_bytes = bytes > 0 && bytes < MOST_BYTES ? bytes : MOST_BYTES;
    source->_most_messages = lag->messages > 0 ? lag->messages / PARTS + 1 : 0;
    source->_patience = PATIENCE;
    if (bytes == 0 && lag->messages == 0 && lag->time == 0)
        source->_patience = UINT64_MAX; /* no reader is ever too slow */
    if (lag->time > 0 && lag->time / PARTS < PATIENCE)
        source->_patience = lag->time / PARTS;
}

/* Counts what was appended: once it is too much, the readers are looked at before there is more. */
static void keep_pace(struct source *source, uint64_t bytes)
{
    source->_bytes += bytes;
    source->_messages++;
    if (source->_bytes < source->_most_bytes &&
        (source->_most_messages == 0 || source->_messages < source->_most_messages))
        return;
    source->_asks = true;
    input_pause(&source->_input);
    set_pace(source); /* of now, before the workers are asked */
    uv_update_time(source->_answered.loop);
    source->_deadline = source->_patience == UINT64_MAX
                            ? UINT64_MAX
                            : uv_now(source->_answered.loop) + source->_patience;
    ask(source);
}

/* ---- lines ---- */

static void on_receipt(void *owner, const struct submit_receipt *receipt)
{
    struct source *source = owner;

    if (receipt->status == UV_ENOMEM)
        log_error("line %llu of standard input is not sent: out of memory",
                  (unsigned long long) input_line(&source->_input));
    else if (receipt->status != 0)
        log_error("a line of standard input %s: the store cannot be written",
                  receipt->status == UV_EAGAIN ? "is not sent" : "may not have been sent");
    else
        keep_pace(source, receipt->channel.bytes);
    if (submit_is_outstanding(&source->_outstanding))
        return;
    source->_unstored = 0;
    source->_stores = false;
    read_on(source);
}

/* So much waits to be stored: no more is read until all of it is. */
static void wait_for_store(struct source *source, size_t len)
{
    if (!submit_is_outstanding(&source->_outstanding))
        return;
    source->_unstored += len;
    if (source->_unstored <= UNSTORED_MOST)
        return;
    source->_stores = true;
    input_pause(&source->_input);
}

static void on_line(struct input *input, const uint8_t *line, size_t len)
{
    struct source *source = container_of(input, struct source, _input);
    const struct submit_client client = {.way = SUBMIT_STDIN};
    const struct frame_part payload = {line != NULL ? line : (const uint8_t *) "", len};
    const struct channel_item item = {FRAME_TEXT, &payload, 1, 0};
    const struct submit_batch batch = {source->_channel, &item,  1,
                                       on_receipt,       source, &source->_outstanding};
    const char *limit;

    if (!utf8_valid(payload.data, len))
        log_error("line %llu of standard input is not UTF-8, as text has to be: not sent",
                  (unsigned long long) input_line(input));
    else if (submit_messages(&source->_means, &client, &batch, &limit) == 0)
        wait_for_store(source, len); /* this way has no limits, and is open */
    else
        log_error("line %llu of standard input is not sent: out of memory",
                  (unsigned long long) input_line(input));
}

static void on_end(struct input *input)
{
    log_info("standard input has ended after %llu line%s: serving goes on",
             (unsigned long long) input_line(input), plural(input_line(input)));
}

static const struct input_ops ops = {.on_line = on_line, .on_end = on_end};

/* ---- life ---- */

static int init_questions(struct source *source, const struct source_readers *readers)
{
    source->_questions = calloc(readers->worker_count, sizeof *source->_questions);
    if (source->_questions == NULL)
        return UV_ENOMEM;
    source->_worker_count = readers->worker_count;
    for (size_t i = 0; i < readers->worker_count; i++) {
        source->_questions[i]._worker = readers->worker_at(readers->context, i);
        source->_questions[i]._source = source;
        inbox_item_init(&source->_questions[i]._item, on_asked);
    }
    return 0;
}

static int init_publisher(struct channel_publisher *publisher, struct counters *counters,
                          const struct server_options *options)
{
    int status = frame_encoder_new(&publisher->encoder, false);

    publisher->counters = counters;
    publisher->compression_min = (size_t) options->compression_min;
    return status == 0 ? deflater_new(&publisher->deflater, (int) options->compression_level)
                       : status;
}

/* What fails, or nothing: source_deinit frees what was made. */
static int prepare(struct source *source, uv_loop_t *loop, const struct server_options *options,
                   const struct source_readers *readers)
{
    int status = init_questions(source, readers);

    source->_means = (struct submit_context){
        .journal = readers->journal, .publisher = &source->_publisher, .inbox = &source->_inbox};
    if (status == 0)
        status = init_publisher(&source->_publisher, &source->counters, options);
    if (status == 0)
        status = inbox_init(&source->_inbox, loop);
    if (status != 0)
        return status;
    source->_has_inbox = true;
    status = uv_async_init(loop, &source->_answered, on_answered);
    if (status != 0)
        inbox_close(&source->_inbox);
    return status;
}

int source_start(struct source *source, uv_loop_t *loop, const struct server_options *options,
                 struct channels *channels, const struct source_readers *readers)
{
    const char *name = options->stdin_channel;
    uint64_t most;
    int status;

    source->_channels = channels;
    source->_sink = readers->sink;
    status = prepare(source, loop, options, readers);
    if (status != 0)
        return status;
    status = channels_make(channels, name, strlen(name), &source->_channel);
    if (status != 0) {
        source->_channel = NULL;
        uv_close((uv_handle_t *) &source->_answered, NULL);
        inbox_close(&source->_inbox);
        return status;
    }
    set_pace(source);
    most = channel_settings(source->_channel)->max_message;
    (void) uv_timer_init(loop, &source->_again); /* which cannot fail */
    status = input_init(&source->_input, loop, '\n', most > 0 ? (size_t) most : SIZE_MAX, &ops);
    input_resume(&source->_input);
    return status;
}

void source_stop(struct source *source)
{
    if (source->_channel == NULL || source->_stopped)
        return;
    source->_stopped = true;
    (void) uv_timer_stop(&source->_again);
    input_close(&source->_input);
}

void source_close(struct source *source)
{
    if (source->_channel == NULL)
        return;
    source_stop(source);
    uv_close((uv_handle_t *) &source->_answered, NULL);
    uv_close((uv_handle_t *) &source->_again, NULL);
    submit_forget(&source->_outstanding);
    inbox_close(&source->_inbox);
    channels_unref(source->_channels, source->_channel);
    source->_channel = NULL;
}

void source_deinit(struct source *source)
{
    if (source->_has_inbox)
        inbox_deinit(&source->_inbox);
    deflater_free(source->_publisher.deflater);
    frame_encoder_free(source->_publisher.encoder);
    free(source->_questions);
}

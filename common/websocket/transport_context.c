#include <limits.h>

#include "common/websocket/transport_output.h"
#include "common/websocket/transport_time.h"
#include "common/websocket/transport_work.h"

enum { LAST_TIMEOUT = 2000 }; /* milliseconds for a last request, if closing has no timeout */

static void set_times(struct transport_context *context, const struct transport_config *config)
{
    deadline_list_set_timeout(&context->_opening, config->opening_timeout);
    deadline_list_set_timeout(&context->_body, config->message_timeout);
    deadline_list_set_timeout(&context->_kept, config->keepalive_timeout);
    deadline_list_set_timeout(&context->_last,
                              config->closing_timeout > 0 ? config->closing_timeout : LAST_TIMEOUT);
    deadline_list_set_timeout(&context->_closing, config->closing_timeout);
    deadline_list_set_timeout(&context->_quiet, config->ping_interval);
    deadline_list_set_timeout(&context->_asked, config->ping_timeout);
    deadline_list_set_timeout(&context->_message, config->message_timeout);
}

static void init_deadlines(struct transport_context *context, const struct transport_config *config)
{
    struct deadline_list *const all[] = {&context->_opening, &context->_body,    &context->_kept,
                                         &context->_last,    &context->_closing, &context->_quiet,
                                         &context->_asked,   &context->_message};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        deadline_list_init(all[i], 0);
    set_times(context, config);
}

int transport_context_init(struct transport_context *context, uv_loop_t *loop,
                           const struct transport_ops *ops, const struct transport_config *config)
{
    int status;

    context->loop = loop;
    loop->data = context;
    context->ops = ops;
    context->encoder = NULL;
    context->deflater = NULL;
    context->decoders = NULL;
    context->_server = config->server;
    context->_hears_on = config->hears_on;
    context->_reader = NULL;
    context->_busy = context->_busy_before = 0;
    context->_read = 0;
    context->_awake = (struct awake){0};
    context->_looked = false;
    transport_work_init(context);
    list_init(&context->_dirty);
    context->_ending = false;
    init_deadlines(context, config);
    status = frame_encoder_new(&context->encoder, !config->server);
    if (status != 0)
        return status;
    status = decoder_pool_new(&context->decoders, config->server ? DECODER_SERVER : DECODER_CLIENT,
                              config->max_message);
    if (status == 0)
        decoder_pool_limit_fragments(context->decoders, config->max_fragments,
                                     config->max_empty_fragments);
    if (status == 0)
        status = deflater_new(&context->deflater, config->compression_level);
    if (status == 0)
        status = uv_timer_init(loop, &context->_tick);
    if (status != 0)
        transport_context_deinit(context);
    return status;
}

void transport_context_configure(struct transport_context *context,
                                 const struct transport_config *config)
{
    decoder_pool_limit_message(context->decoders, config->max_message);
    decoder_pool_limit_fragments(context->decoders, config->max_fragments,
                                 config->max_empty_fragments);
    if (context->_ending)
        return; /* it has times of its own */
    set_times(context, config);
    transport_time_wake(context);
}

void transport_context_close(struct transport_context *context)
{
    uv_close((uv_handle_t *) &context->_tick, NULL);
}

void transport_context_deinit(struct transport_context *context)
{
    transport_work_deinit(context);
    frame_encoder_free(context->encoder);
    decoder_pool_free(context->decoders);
    deflater_free(context->deflater);
}

bool transport_context_flush_some(struct transport_context *context, unsigned budget)
{
    struct list *end = &context->_flush_end;

    context->_reader = NULL;          /* the turn ends: all may read again */
    if (!context->_work.read_nothing) /* which says nothing of how many have much to say */
        context->_busy_before = context->_busy;
    context->_busy = 0;
    context->_read = 0;
    list_append(&context->_dirty, end); /* what is listed from here on is for the next turn */
    for (; budget > 0 && context->_dirty.next != end; budget--) {
        struct list *node = list_take_first(&context->_dirty);

        context->ops->flush(container_of(node, struct transport_output, dirty)->transport);
    }
    list_remove(end);
    return list_empty(&context->_dirty);
}

void transport_context_flush(struct transport_context *context)
{
    while (!transport_context_flush_some(context, UINT_MAX)) {
    }
}

static void abort_all(struct deadline_list *deadlines)
{
    struct deadline *deadline;

    while ((deadline = deadline_any(deadlines)) != NULL)
        transport_abort(container_of(deadline, struct transport, _deadline), UV_ECANCELED);
}

void transport_context_abort_opening(struct transport_context *context)
{
    abort_all(&context->_opening);
    abort_all(&context->_body);
    abort_all(&context->_kept);
    abort_all(&context->_last);
}

void transport_context_abort_closing(struct transport_context *context)
{
    abort_all(&context->_closing);
}

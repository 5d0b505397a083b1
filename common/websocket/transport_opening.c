/* The opening of a server's transports: the time that a request, its body and the pause before the
 * next one may take, and what becomes of them in the end. */
#include "common/websocket/transport_output.h"
#include "common/websocket/transport_time.h"

enum { TRIES = 16 }; /* transports that are looked at for one to spare */

/* In the end, all of them have the same time. */
static void start(struct transport *transport, struct deadline_list *deadlines)
{
    const struct transport_context *context = transport_context_of(transport);

    if (!context->_ending)
        transport_time_start(transport, deadlines);
}

void transport_restart_opening(struct transport *transport)
{
    start(transport, &transport_context_of(transport)->_opening);
}

void transport_expect_body(struct transport *transport)
{
    start(transport, &transport_context_of(transport)->_body);
}

void transport_await_request(struct transport *transport)
{
    start(transport, &transport_context_of(transport)->_kept);
}

struct transport *transport_context_take_kept(struct transport_context *context)
{
    for (int i = 0; i < TRIES; i++) {
        struct deadline *deadline = deadline_any(&context->_kept);
        struct transport *transport;

        if (deadline == NULL)
            return NULL;
        transport = container_of(deadline, struct transport, _deadline);
        if (!transport_output_owes(transport))
            return transport;
        transport_await_request(transport); /* it waits for our answer */
    }
    return NULL;
}

/* ---- the end ---- */

/* The transport, which is in no list, has nothing to finish but what it may owe. */
static void end_idle(struct transport *transport)
{
    if (transport_output_owes(transport))
        transport_finish(transport);
    else
        transport_abort(transport, UV_ECANCELED);
}

static void end_all(struct transport_context *context, struct deadline_list *deadlines)
{
    struct deadline *deadline;

    while ((deadline = deadline_any(deadlines)) != NULL) {
        struct transport *transport = container_of(deadline, struct transport, _deadline);

        if (context->ops->is_idle(transport))
            end_idle(transport);
        else
            transport_time_start(transport, &context->_last);
    }
}

void transport_context_end_opening(struct transport_context *context)
{
    context->_ending = true;
    end_all(context, &context->_kept);
    end_all(context, &context->_opening);
    end_all(context, &context->_body);
}

bool transport_context_is_opening(const struct transport_context *context)
{
    return !deadline_list_is_empty(&context->_kept) ||
           !deadline_list_is_empty(&context->_opening) ||
           !deadline_list_is_empty(&context->_body) || !deadline_list_is_empty(&context->_last);
}

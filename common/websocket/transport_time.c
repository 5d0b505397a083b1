#include "common/websocket/transport_time.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TICK = 250, /* milliseconds between two looks at the deadlines */
    LOOK = 1, /* milliseconds in which the loop reads what has come before a deadline is applied */
    /* Peers that came together fall due together. A tick expires so many of them; the next one
     * comes after so many milliseconds, and the loop has its turns in between. It also takes a
     * herd apart: their next deadlines are no longer the same. */
    HERD = 128,
    HERD_TICK = 1,
};

static void on_tick(uv_timer_t *timer);

static void set_tick(struct transport_context *context, uint64_t delay)
{
    awake_expect(&context->_awake, uv_now(context->loop), delay);
    (void) uv_timer_start(&context->_tick, on_tick, delay, 0);
}

void transport_time_start(struct transport *transport, struct deadline_list *deadlines)
{
    struct transport_context *context = transport_context_of(transport);

    /* The loop's own idea of now is as old as its turn, which may have been a long one. */
    uv_update_time(context->loop);
    deadline_start(deadlines, &transport->_deadline,
                   awake_clock(&context->_awake, uv_now(context->loop)));
    if (deadline_list_expires(deadlines) && !uv_is_active((uv_handle_t *) &context->_tick))
        set_tick(context, TICK);
}

void transport_time_wake(struct transport_context *context)
{
    set_tick(context, TICK);
}

/* ---- keep-alive ---- */

void transport_time_quiet(struct transport *transport)
{
    transport->_heard = false;
    transport->_asked = false;
    if (!transport->_in_message && transport_is_open(transport))
        transport_time_start(transport, &transport_context_of(transport)->_quiet);
}

/* Without frames there is no Pong: TCP acknowledgements are the sign of life. */
static void beat(struct transport *transport, const char *payload, size_t len)
{
    struct buffer *out;

    transport_time_start(transport, &transport_context_of(transport)->_quiet);
    if (transport_is_stalled(transport))
        return;
    out = transport_raw_output(transport);
    if (out == NULL || buffer_append(out, payload, len) != 0)
        transport_abort(transport, UV_ENOMEM);
}

/* RFC 6455, 5.5.2: a Ping as keep-alive. */
static void ask(struct transport *transport)
{
    const struct transport_ops *ops = transport_context_of(transport)->ops;
    char payload[FRAME_MAX_CONTROL];
    size_t len = ops->ping_payload != NULL ? ops->ping_payload(transport, payload) : 0;
    int status;

    if (transport->_raw) {
        beat(transport, payload, len);
        return;
    }
    status = transport_send(transport, FRAME_PING, payload, len);
    if (status == 0 && ops->on_frame != NULL)
        ops->on_frame(transport, true, FRAME_PING, len);
    transport->_heard = false;
    if (status != 0) {
        transport_abort(transport, status);
        return;
    }
    if (!deadline_list_expires(
            &transport_context_of(transport)->_asked)) { /* no answer is expected */
        transport_time_start(transport, &transport_context_of(transport)->_quiet);
        return;
    }
    transport->_asked = true;
    (void) transport_reads_on(transport);
    transport_time_start(transport, &transport_context_of(transport)->_asked);
}

void transport_time_message(struct transport *transport, bool completed)
{
    bool busy = decoder_is_busy(&transport->_decoder);

    if (!transport_is_open(transport))
        return;
    if (!busy && transport->_in_message) {
        transport->_in_message = false;
        transport_time_quiet(transport);
    } else if (busy && (completed || !transport->_in_message) &&
               deadline_list_expires(&transport_context_of(transport)->_message)) {
        transport->_in_message = true;
        transport_time_start(transport, &transport_context_of(transport)->_message);
    }
}

/* ---- the tick ---- */

/* The time for a request is over. A TLS handshake that had to wait for us has it once more. */
static void expire_request(struct transport *transport, struct deadline_list *deadlines)
{
    bool ready = stream_is_ready(&transport->stream);

    if (transport->_deferred) { /* what is missing may have come already */
        transport_time_start(transport, deadlines);
    } else if (!ready && !transport->_late && stream_has_waited(&transport->stream)) {
        transport->_late = true;
        transport_time_start(transport, deadlines);
    } else if (ready) {
        transport_context_of(transport)->ops->on_opening_timeout(transport);
    } else {
        transport_abort_for(transport, "handshake-timeout"); /* before TLS stands: no answer */
    }
}

static void expire_opening(struct transport *transport)
{
    expire_request(transport, &transport_context_of(transport)->_opening);
}

static void expire_body(struct transport *transport)
{
    expire_request(transport, &transport_context_of(transport)->_body);
}

static void expire_last(struct transport *transport)
{
    expire_request(transport, &transport_context_of(transport)->_last);
}

/* No further request has begun, as far as has been read. */
static void expire_kept(struct transport *transport)
{
    if (transport->_deferred || transport->_paused != 0) { /* it may have come already */
        transport_time_start(transport, &transport_context_of(transport)->_kept);
        return;
    }
    transport->_silent = true;
    transport_finish(transport);
}

/* The closing handshake takes too long; or writing has failed, and reading found out no more. */
static void expire_closing(struct transport *transport)
{
    if (transport->_writing == TRANSPORT_WRITING_FAILED || transport->_silent)
        transport_abort(transport, UV_ETIMEDOUT);
    else
        transport_abort_for(transport, "close-timeout");
}

static void expire_message(struct transport *transport)
{
    if (transport->_deferred || transport->_paused != 0) /* what is missing may have come already */
        transport_time_start(transport, &transport_context_of(transport)->_message);
    else
        transport_reject(transport, CLOSE_POLICY, "message took too long", "message-timeout");
}

/* The time to answer a Ping is over. Any other input shows that the peer is alive, too, and so does
 * reading what was sent before the Ping. While reading is paused, the Pong may lie in the socket.
 */
static void expire_asked(struct transport *transport)
{
    if (transport->_heard)
        transport_time_quiet(transport);
    else if (transport->_paused != 0 || transport->_deferred || transport_reads_on(transport))
        transport_time_start(transport, &transport_context_of(transport)->_asked);
    else
        transport_abort_for(transport, "ping-timeout");
}

static void expire_quiet(struct transport *transport)
{
    ask(transport);
}

/* The lists of deadlines, in the order in which they are looked at. A transport is in one of them
 * at most. */
static const struct {
    size_t at; /* of the list, in the context */
    void (*expire)(struct transport *transport);
    bool is_harmless; /* what expires is not at fault: it is sent a Ping */
} lists[] = {
    {offsetof(struct transport_context, _opening), expire_opening, false},
    {offsetof(struct transport_context, _body), expire_body, false},
    {offsetof(struct transport_context, _kept), expire_kept, false},
    {offsetof(struct transport_context, _last), expire_last, false},
    {offsetof(struct transport_context, _closing), expire_closing, false},
    {offsetof(struct transport_context, _message), expire_message, false},
    {offsetof(struct transport_context, _asked), expire_asked, false},
    {offsetof(struct transport_context, _quiet), expire_quiet, true},
};

enum { LISTS = sizeof lists / sizeof *lists };

static struct deadline_list *list_at(const struct transport_context *context, size_t i)
{
    return (struct deadline_list *) (void *) ((char *) (uintptr_t) context + lists[i].at);
}

/* Expires deadlines until the budget is spent; true when it is. */
static bool expire_all(struct transport_context *context, uint64_t now)
{
    unsigned budget = HERD;

    for (size_t i = 0; i < LISTS; i++) {
        struct deadline *deadline;

        for (; budget > 0 && (deadline = deadline_expired(list_at(context, i), now)) != NULL;
             --budget)
            lists[i].expire(container_of(deadline, struct transport, _deadline));
    }
    return budget == 0;
}

/* True when a deadline has passed that ends something. */
static bool is_due(const struct transport_context *context, uint64_t now)
{
    for (size_t i = 0; i < LISTS; i++) {
        if (!lists[i].is_harmless && deadline_is_due(list_at(context, i), now))
            return true;
    }
    return false;
}

static bool is_idle(const struct transport_context *context)
{
    for (size_t i = 0; i < LISTS; i++) {
        if (!deadline_list_is_idle(list_at(context, i)))
            return false;
    }
    return true;
}

/* libuv runs timers before it reads: input that has come in time may still lie in the socket. So
 * a tick that finds a deadline passed lets the loop read first, and the next tick expires it. */
static void on_tick(uv_timer_t *timer)
{
    struct transport_context *context = container_of(timer, struct transport_context, _tick);
    bool slept = awake_look(&context->_awake, uv_now(context->loop));
    uint64_t now = awake_clock(&context->_awake, uv_now(context->loop));
    bool more;

    if (slept || (!context->_looked && is_due(context, now))) {
        context->_looked = !slept;
        set_tick(context, slept ? TICK : LOOK);
        return;
    }
    more = expire_all(context, now);
    context->_looked = more; /* between two ticks of a herd the loop reads, too */
    if (more || !is_idle(context))
        set_tick(context, more ? HERD_TICK : TICK);
    else
        awake_rest(&context->_awake);
}

void transport_context_limit_closing(struct transport_context *context, uint32_t timeout)
{
    deadline_list_set_timeout(&context->_closing, timeout);
    if (!deadline_list_is_idle(&context->_closing) &&
        !uv_is_active((uv_handle_t *) &context->_tick))
        set_tick(context, TICK);
}

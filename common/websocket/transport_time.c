#include "common/websocket/transport_time.h"

enum {
    TICK = 250, /* milliseconds between two looks at the deadlines */
    LOOK = 1,   /* milliseconds in which the loop reads what has come before it is judged */
    /* Peers that came together fall due together. A tick judges so many of them; the next one
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

/* ---- keep-alive ---- */

void transport_time_quiet(struct transport *transport)
{
    transport->_heard = false;
    transport->_asked = false;
    if (!transport->_in_message && transport_is_open(transport))
        transport_time_start(transport, &transport_context_of(transport)->_quiet);
}

/* Where no frames are spoken, nobody answers: TCP has to. */
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

/* RFC 6455, 5.5.2: is there anybody? */
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
static void judge_request(struct transport *transport, struct deadline_list *deadlines)
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

static void judge_opening(struct transport *transport)
{
    judge_request(transport, &transport_context_of(transport)->_opening);
}

static void judge_body(struct transport *transport)
{
    judge_request(transport, &transport_context_of(transport)->_body);
}

static void judge_last(struct transport *transport)
{
    judge_request(transport, &transport_context_of(transport)->_last);
}

/* No further request has begun, as far as has been read. */
static void judge_kept(struct transport *transport)
{
    if (transport->_deferred || transport->_paused) { /* it may have come already */
        transport_time_start(transport, &transport_context_of(transport)->_kept);
        return;
    }
    transport->_silent = true;
    transport_finish(transport);
}

/* The closing handshake takes too long; or writing has failed, and reading found out no more. */
static void judge_closing(struct transport *transport)
{
    if (transport->_broken || transport->_silent)
        transport_abort(transport, UV_ETIMEDOUT);
    else
        transport_abort_for(transport, "close-timeout");
}

static void judge_message(struct transport *transport)
{
    if (transport->_deferred || transport->_paused) /* what is missing may have come already */
        transport_time_start(transport, &transport_context_of(transport)->_message);
    else
        transport_reject(transport, CLOSE_POLICY, "message took too long", "message-timeout");
}

/* The time to answer a ping is over. Whoever has said anything else is there, too, and whoever
 * still reads what comes before the ping. While reading is paused, the answer may lie in the
 * socket. */
static void judge_asked(struct transport *transport)
{
    if (transport->_heard)
        transport_time_quiet(transport);
    else if (transport->_paused || transport->_deferred || transport_reads_on(transport))
        transport_time_start(transport, &transport_context_of(transport)->_asked);
    else
        transport_abort_for(transport, "ping-timeout");
}

static void judge_quiet(struct transport *transport)
{
    ask(transport);
}

/* Judges the transports whose time in a list is over, until the budget is spent. */
static void judge(struct deadline_list *deadlines, uint64_t now, unsigned *budget,
                  void (*judge_one)(struct transport *transport))
{
    struct deadline *deadline;

    for (; *budget > 0 && (deadline = deadline_expired(deadlines, now)) != NULL; --*budget)
        judge_one(container_of(deadline, struct transport, _deadline));
}

/* Judges until the budget is spent; true when it is. */
static bool judge_all(struct transport_context *context, uint64_t now)
{
    unsigned budget = HERD;

    judge(&context->_opening, now, &budget, judge_opening);
    judge(&context->_body, now, &budget, judge_body);
    judge(&context->_kept, now, &budget, judge_kept);
    judge(&context->_last, now, &budget, judge_last);
    judge(&context->_closing, now, &budget, judge_closing);
    judge(&context->_message, now, &budget, judge_message);
    judge(&context->_asked, now, &budget, judge_asked);
    judge(&context->_quiet, now, &budget, judge_quiet);
    return budget == 0;
}

/* True when there is somebody to judge. Whose time for a ping has come is not judged, but asked. */
static bool is_due(const struct transport_context *context, uint64_t now)
{
    return deadline_is_due(&context->_opening, now) || deadline_is_due(&context->_body, now) ||
           deadline_is_due(&context->_kept, now) || deadline_is_due(&context->_last, now) ||
           deadline_is_due(&context->_closing, now) || deadline_is_due(&context->_message, now) ||
           deadline_is_due(&context->_asked, now);
}

static bool is_idle(const struct transport_context *context)
{
    return deadline_list_is_idle(&context->_opening) && deadline_list_is_idle(&context->_body) &&
           deadline_list_is_idle(&context->_kept) && deadline_list_is_idle(&context->_last) &&
           deadline_list_is_idle(&context->_closing) && deadline_list_is_idle(&context->_message) &&
           deadline_list_is_idle(&context->_asked) && deadline_list_is_idle(&context->_quiet);
}

/* libuv runs timers before it reads: what has come in time may still lie in the socket. So a tick
 * that finds somebody's time over lets the loop read first, and it is the next one that judges. */
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
    more = judge_all(context, now);
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

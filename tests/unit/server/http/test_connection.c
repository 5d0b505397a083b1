/* A connection with routes of its own, on a stream of memory, in place of the server's: their
 * handlers answer later, never, or when the connection has gone. */
#include "server/http/connection.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "server/http/services.h"
#include "tests/fuzz/memory_stream.h"
#include "tests/rules.h"

enum { TURNS = 20, SHORT = 20 /* milliseconds */ };

/* What owns the connection, in place of a peer. */
struct owner {
    struct transport transport;
    struct connection *connection; /* NULL once it has joined */
    struct memory_end end;
    char message[64]; /* that came as a frame */
    bool closed;
};

/* What the handlers have seen. */
static struct {
    struct request *waiting; /* that is pending */
    unsigned validated, checked, handled, cancelled;
    char body[64];
    bool check_waits, handler_waits;
} seen;

static struct {
    uv_loop_t loop;
    struct transport_context transports;
    struct server_options options;
    struct limits limits;
    struct services services;
    struct router router;
    struct connection_policy policy;
    struct owner owner;
} world;

/* ---- handlers ---- */

static void on_cancel(void *context)
{
    assert_ptr_equal(context, seen.waiting);
    seen.waiting = NULL;
    seen.cancelled++;
}

static enum request_outcome wait_for(struct request *request)
{
    assert_null(seen.waiting);
    seen.waiting = request;
    return request_wait(request, on_cancel, request);
}

static void resume(enum request_outcome outcome)
{
    struct request *request = seen.waiting;

    seen.waiting = NULL;
    request_resume(request, outcome);
}

static enum request_outcome check(struct request *request)
{
    seen.checked++;
    return seen.check_waits ? wait_for(request) : REQUEST_PASSED;
}

static enum request_outcome answer(struct request *request, const char *text)
{
    request->response.type = "text/plain";
    assert_int_equal(buffer_append(&request->response.body, text, strlen(text)), 0);
    return REQUEST_ANSWERED;
}

static enum request_outcome handle(struct request *request)
{
    seen.handled++;
    return seen.handler_waits ? wait_for(request) : answer(request, "at once");
}

static enum request_outcome take(struct request *request)
{
    request->max_body = 16;
    return REQUEST_BODY;
}

static enum request_outcome on_body(struct request *request)
{
    (void) snprintf(seen.body, sizeof seen.body, "%.*s", (int) request->body_len,
                    (const char *) request->body);
    return handle(request);
}

static enum request_outcome validate(struct request *request)
{
    const char *why;

    seen.validated++;
    return server_handshake_check(request->head, false, &request->join.handshake, &why) == 0
               ? REQUEST_PASSED
               : request_refuse(request, 400, why);
}

static enum request_outcome join(struct request *request)
{
    (void) request;
    seen.handled++;
    return REQUEST_JOIN;
}

static bool is_handshake(const struct request *request)
{
    return request->is_handshake;
}

static const struct route routes[] = {
    {.when = is_handshake, .validate = validate, .handle = join},
    {.method = "GET", .handle = handle},
    {.method = "POST", .handle = take, .on_body = on_body},
};

/* ---- the owner ---- */

static struct owner *owner_of(const struct transport *transport)
{
    return container_of(transport, struct owner, transport);
}

static void on_opening(struct transport *transport, const uint8_t *data, size_t len)
{
    struct owner *owner = owner_of(transport);
    struct connection_join wish;
    size_t used;

    if (connection_input(owner->connection, transport, data, len, &used, &wish) != CONNECTION_JOIN)
        return;
    assert_false(wish.events);
    assert_true(connection_accept(owner->connection, transport, (struct event_id){1, 2},
                                  (struct event_id){1, 3}));
    connection_free(owner->connection);
    owner->connection = NULL;
    assert_int_equal(transport_open(transport, &wish.deflate), 0);
    if (len > used)
        transport_input(transport, data + used, len - used);
}

static void on_opening_timeout(struct transport *transport)
{
    connection_expire(owner_of(transport)->connection, transport);
}

static bool is_idle(const struct transport *transport)
{
    return connection_is_idle(owner_of(transport)->connection);
}

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct owner *owner = owner_of(transport);

    (void) opcode;
    (void) snprintf(owner->message, sizeof owner->message, "%.*s", (int) len, (const char *) data);
}

static void feed_held(struct transport *transport)
{
    struct owner *owner = owner_of(transport);
    struct buffer buffered;

    if (owner->connection == NULL || !transport_is_writable(transport) ||
        !connection_take_buffered(owner->connection, transport, &buffered))
        return;
    if (buffered.len > 0)
        transport_input(transport, buffered.data, buffered.len);
    else
        on_opening(transport, NULL, 0);
    buffer_deinit(&buffered);
}

static void flush(struct transport *transport)
{
    const struct owner *owner = owner_of(transport);
    struct transport_bytes none = {.more = owner->connection != NULL &&
                                           connection_is_answering(owner->connection)};

    if (transport_flush(transport, &none) == 0)
        feed_held(transport);
}

static void on_end(struct transport *transport, const struct transport_end *end)
{
    (void) transport;
    (void) end;
}

static void on_closed(struct transport *transport)
{
    struct owner *owner = owner_of(transport);

    connection_free(owner->connection);
    owner->connection = NULL;
    owner->closed = true;
}

static const struct transport_ops ops = {
    .on_opening = on_opening,
    .on_opening_timeout = on_opening_timeout,
    .is_idle = is_idle,
    .on_message = on_message,
    .on_share = feed_held,
    .flush = flush,
    .on_drained = flush,
    .on_end = on_end,
    .on_closed = on_closed,
};

/* ---- the scene ---- */

static void turn(void)
{
    memory_end_pump(&world.owner.end);
    (void) uv_run(&world.loop, UV_RUN_NOWAIT);
    (void) transport_context_go_on(&world.transports);
    transport_context_flush(&world.transports);
}

static void turns(void)
{
    for (int i = 0; i < TURNS; i++)
        turn();
}

static void open_world(uint32_t timeout)
{
    static char name[] = "test", *arguments[] = {name, NULL};
    struct owner *owner = &world.owner;
    struct error error;

    memset(&seen, 0, sizeof seen);
    memset(&world, 0, sizeof world);
    log_init("test", LOG_ERROR);
    assert_int_equal(server_options_parse(&world.options, 1, arguments, &error), 0);
    assert_int_equal(limits_init(&world.limits, &world.options, false), 0);
    assert_int_equal(uv_loop_init(&world.loop), 0);
    assert_int_equal(transport_context_init(&world.transports, &world.loop, &ops,
                                            &(struct transport_config){.server = true,
                                                                       .max_message = 100,
                                                                       .opening_timeout = timeout}),
                     0);
    world.services = (struct services){.options = &world.options, .limits = &world.limits};
    world.router = (struct router){
        routes, sizeof routes / sizeof *routes, world.options.path, NULL, NULL, check};
    world.policy = (struct connection_policy){
        .router = &world.router, .services = &world.services, .max_header_bytes = 1000};
    memory_end_init(&owner->end);
    memory_end_offer(&owner->end, 0);
    assert_int_equal(transport_init(&owner->transport, &world.transports), 0);
    assert_int_equal(stream_open(&owner->transport.stream, -1), 0);
    assert_int_equal(connection_new(&owner->connection, &world.policy, false, NULL), 0);
    assert_int_equal(transport_start(&owner->transport), 0);
}

static void close_world(void)
{
    transport_abort(&world.owner.transport, UV_ECANCELED);
    turns();
    assert_true(world.owner.closed);
    memory_end_deinit(&world.owner.end);
    transport_context_close(&world.transports);
    (void) uv_run(&world.loop, UV_RUN_DEFAULT);
    transport_context_deinit(&world.transports);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    limits_deinit(&world.limits);
}

static void say(const char *text)
{
    memory_end_send(&world.owner.end, text, strlen(text));
    turns();
}

/* How often the server has written this. */
static unsigned count(const char *text)
{
    const struct buffer *written = &world.owner.end.written;
    const uint8_t *at = written->data, *end = written->data + written->len;
    unsigned n = 0;

    while (at != NULL && (at = memmem(at, (size_t) (end - at), text, strlen(text))) != NULL) {
        at += strlen(text);
        n++;
    }
    return n;
}

#define GET "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST "POST /ws HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
#define HANDSHAKE \
    "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define FRAME "\x81\x85\x20\x20\x20\x20HELLO" /* "hello", masked */

/* ---- tests ---- */

static void a_response_that_comes_later_is_written_then_and_the_next_request_waits(void **state)
{
    (void) state;
    open_world(0);
    seen.handler_waits = true;
    say(GET GET);
    assert_int_equal(world.owner.end.written.len, 0);
    assert_int_equal(seen.handled, 1);
    seen.handler_waits = false;
    (void) answer(seen.waiting, "later");
    resume(REQUEST_ANSWERED);
    turns();
    assert_int_equal(count("later"), 1);
    assert_int_equal(count("at once"), 1); /* the second request has gone on */
    assert_int_equal(seen.handled, 2);
    say(GET);
    assert_int_equal(count("HTTP/1.1 200"), 3);
    assert_int_equal(seen.cancelled, 0);
    close_world();
}

static void a_check_may_take_its_time_and_then_let_in_or_refuse(void **state)
{
    (void) state;
    open_world(0);
    seen.check_waits = true;
    say(GET);
    assert_int_equal(seen.handled, 0);
    resume(REQUEST_PASSED);
    turns();
    assert_int_equal(seen.handled, 1);
    assert_int_equal(count("at once"), 1);
    say(GET);
    resume(request_refuse(seen.waiting, 403, "not you"));
    turns();
    assert_int_equal(seen.handled, 1);
    assert_int_equal(count("HTTP/1.1 403"), 1);
    assert_int_equal(count("not you\n"), 1);
    assert_int_equal(seen.checked, 2);
    close_world();
}

static void a_check_and_then_a_handler_may_wait(void **state)
{
    (void) state;
    open_world(0);
    seen.check_waits = seen.handler_waits = true;
    say(GET);
    resume(REQUEST_PASSED);
    turns();
    assert_int_equal(seen.handled, 1);
    assert_int_equal(world.owner.end.written.len, 0);
    (void) answer(seen.waiting, "later");
    resume(REQUEST_ANSWERED);
    turns();
    assert_int_equal(count("later"), 1);
    close_world();
}

static void a_handshake_that_waits_is_validated_once_and_loses_no_frame(void **state)
{
    (void) state;
    for (int with_frame = 0; with_frame < 2; with_frame++) {
        open_world(0);
        seen.check_waits = true;
        say(with_frame != 0 ? HANDSHAKE FRAME : HANDSHAKE);
        assert_int_equal(world.owner.end.written.len, 0);
        resume(REQUEST_PASSED);
        turns();
        assert_int_equal(count("HTTP/1.1 101"), 1);
        assert_int_equal(count("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), 1);
        assert_null(world.owner.connection);
        if (with_frame == 0)
            say(FRAME);
        assert_string_equal(world.owner.message, "hello");
        assert_int_equal(seen.validated, 1);
        assert_int_equal(seen.checked, 1);
        close_world();
    }
}

static void a_body_is_read_when_its_check_has_passed(void **state)
{
    (void) state;
    for (int split = 0; split < 2; split++) {
        open_world(0);
        seen.check_waits = true;
        say(split != 0 ? POST "he" : POST "hello" GET);
        resume(REQUEST_PASSED);
        seen.check_waits = false;
        turns();
        if (split != 0)
            say("llo" GET);
        assert_string_equal(seen.body, "hello");
        assert_int_equal(count("at once"), 2);
        close_world();
    }
}

static void what_is_published_may_be_acknowledged_later(void **state)
{
    (void) state;
    open_world(0);
    seen.handler_waits = true;
    say(POST "hello");
    assert_int_equal(world.owner.end.written.len, 0);
    (void) answer(seen.waiting, "receipt");
    resume(REQUEST_ANSWERED);
    turns();
    assert_int_equal(count("receipt"), 1);
    assert_false(world.owner.end.finished); /* it is kept for the next request */
    close_world();
}

/* Until the loop's timer has ended what never comes. */
static void run_until_finished(void)
{
    while (!world.owner.end.finished && !world.owner.closed) {
        memory_end_pump(&world.owner.end);
        (void) uv_run(&world.loop, UV_RUN_ONCE);
        (void) transport_context_go_on(&world.transports);
        transport_context_flush(&world.transports);
    }
}

static void what_is_never_resumed_is_cancelled_when_its_time_is_up(void **state)
{
    (void) state;
    for (int of_check = 0; of_check < 2; of_check++) {
        open_world(SHORT);
        seen.check_waits = of_check != 0;
        seen.handler_waits = of_check == 0;
        say(GET GET);
        assert_non_null(seen.waiting);
        run_until_finished();
        assert_int_equal(seen.cancelled, 1);
        assert_int_equal(count("HTTP/1.1 503"), 1);
        assert_int_equal(count("Connection: close"), 1);
        assert_int_equal(seen.checked, 1); /* the second request is not read any more */
        close_world();
    }
}

static void late_receipt(struct request *request)
{
    request_wait_or(request, 504, "unknown");
}

static void a_handler_says_what_a_missing_answer_means(void **state)
{
    (void) state;
    open_world(SHORT);
    seen.handler_waits = true;
    say(POST "hello");
    late_receipt(seen.waiting);
    run_until_finished();
    assert_int_equal(count("HTTP/1.1 504 Gateway Timeout"), 1);
    assert_int_equal(count("unknown\n"), 1);
    close_world();
}

static void a_connection_that_goes_away_cancels_what_is_pending(void **state)
{
    (void) state;
    open_world(0);
    seen.handler_waits = true;
    say(GET);
    assert_non_null(seen.waiting);
    transport_abort(&world.owner.transport, UV_ECONNRESET);
    turns();
    assert_int_equal(seen.cancelled, 1);
    assert_true(world.owner.closed);
    close_world();
}

static void what_is_resumed_between_the_end_and_its_notice_is_not_written(void **state)
{
    (void) state;
    open_world(0);
    seen.handler_waits = true;
    say(GET);
    transport_abort(&world.owner.transport, UV_ECONNRESET);
    (void) answer(seen.waiting, "too late");
    resume(REQUEST_ANSWERED);
    turns();
    assert_int_equal(world.owner.end.written.len, 0);
    assert_int_equal(seen.cancelled, 0);
    close_world();
}

static void a_pending_request_that_is_refused_for_its_cost_is_cancelled(void **state)
{
    (void) state;
    open_world(0);
    seen.handler_waits = true;
    say(GET);
    connection_refuse(world.owner.connection, &world.owner.transport, 503, "too costly");
    connection_forget(world.owner.connection);
    turns();
    assert_int_equal(seen.cancelled, 1);
    assert_int_equal(count("too costly\n"), 1);
    assert_true(world.owner.end.finished);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_that_comes_later_is_written_then_and_the_next_request_waits),
        cmocka_unit_test(a_check_may_take_its_time_and_then_let_in_or_refuse),
        cmocka_unit_test(a_check_and_then_a_handler_may_wait),
        cmocka_unit_test(a_handshake_that_waits_is_validated_once_and_loses_no_frame),
        cmocka_unit_test(a_body_is_read_when_its_check_has_passed),
        cmocka_unit_test(what_is_published_may_be_acknowledged_later),
        cmocka_unit_test(what_is_never_resumed_is_cancelled_when_its_time_is_up),
        cmocka_unit_test(a_handler_says_what_a_missing_answer_means),
        cmocka_unit_test(a_connection_that_goes_away_cancels_what_is_pending),
        cmocka_unit_test(what_is_resumed_between_the_end_and_its_notice_is_not_written),
        cmocka_unit_test(a_pending_request_that_is_refused_for_its_cost_is_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

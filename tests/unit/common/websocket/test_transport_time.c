#include "common/websocket/transport_time.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/tls/tls.h"
#include "common/tls/tls_loop.h"
#include "tests/unit/tls_files.h"

enum { OPENING_TIMEOUT = 100 }; /* milliseconds: a tick is longer */

/* A server's end of a connection, and the descriptor of the client's. */
struct end {
    struct transport transport;
    int fd;
    unsigned limit_hit; /* how many had hit a limit, this one included; 0: it has not */
    bool closed;
};

static unsigned hits;

static struct end *end_of(struct transport *transport)
{
    return container_of(transport, struct end, transport);
}

static void on_limit(struct transport *transport, const char *limit, uint16_t code)
{
    assert_string_equal(limit, "handshake-timeout");
    assert_int_equal(code, 0);
    end_of(transport)->limit_hit = ++hits;
}

static void on_end(struct transport *transport, const struct transport_end *end)
{
    (void) transport;
    (void) end;
}

static void on_closed(struct transport *transport)
{
    end_of(transport)->closed = true;
}

static const struct transport_ops ops = {
    .on_limit = on_limit, .on_end = on_end, .on_closed = on_closed};

static void accept_end(struct end *end, struct transport_context *context, struct tls_loop *shared)
{
    int fds[2];

    memset(end, 0, sizeof *end);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end->fd = fds[1];
    assert_int_equal(transport_init(&end->transport, context), 0);
    assert_int_equal(stream_open(&end->transport.stream, fds[0]), 0);
    assert_int_equal(stream_accept_tls(&end->transport.stream, shared), 0);
    assert_int_equal(transport_start(&end->transport), 0);
}

/* Sends a ClientHello, and nothing more. */
static void begin_handshake(const struct end *end)
{
    struct tls_files files = {.ca = cert_file};
    struct tls_context *context;
    struct error error;
    struct tls *tls;

    assert_int_equal(tls_context_new_client(&context, &files, &error), 0);
    assert_int_equal(tls_new(&tls, context, "localhost"), 0);
    assert_int_equal(tls_handshake(tls), UV_EAGAIN);
    assert_int_equal(send(end->fd, tls_output(tls)->data, tls_output(tls)->len, 0),
                     tls_output(tls)->len);
    tls_free(tls);
    tls_context_free(context);
}

/* Other handshakes leave nothing of this turn, before anything is read in it. */
static void take_all_steps(uv_prepare_t *prepare)
{
    for (unsigned i = 0; i < TLS_LOOP_STEPS; i++)
        tls_loop_count_step(prepare->data, false);
    (void) uv_prepare_stop(prepare);
}

/* Both fall due in the same tick: the one that had to wait gets the time once more, and then it is
 * dropped like any other. */
static void test_a_handshake_that_had_to_wait_has_the_time_twice_and_no_more(void **state)
{
    struct transport_config config = {.server = true, .opening_timeout = OPENING_TIMEOUT};
    struct tls_files files = {.pairs = {{.cert = cert_file, .key = key_file}}};
    static struct transport_context context;
    static struct end waits, silent;
    struct tls_context *tls;
    struct tls_loop shared;
    struct error error;
    uv_prepare_t others;
    uv_loop_t loop;

    (void) state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(tls_context_new_server(&tls, &files, &error), 0);
    assert_int_equal(transport_context_init(&context, &loop, &ops, &config), 0);
    tls_loop_init(&shared, &loop, tls, NULL);
    accept_end(&waits, &context, &shared);
    accept_end(&silent, &context, &shared);
    begin_handshake(&waits);
    assert_int_equal(uv_prepare_init(&loop, &others), 0);
    others.data = &shared;
    assert_int_equal(uv_prepare_start(&others, take_all_steps), 0);
    while (!stream_has_waited(&waits.transport.stream) && !waits.closed)
        (void) uv_run(&loop, UV_RUN_ONCE);
    while (!waits.closed || !silent.closed)
        (void) uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(silent.limit_hit, 1);
    assert_int_equal(waits.limit_hit, 2);
    uv_close((uv_handle_t *) &others, NULL);
    tls_loop_close(&shared);
    transport_context_close(&context);
    (void) uv_run(&loop, UV_RUN_DEFAULT);
    transport_context_deinit(&context);
    tls_context_free(tls);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(close(waits.fd), 0);
    assert_int_equal(close(silent.fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_handshake_that_had_to_wait_has_the_time_twice_and_no_more),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}

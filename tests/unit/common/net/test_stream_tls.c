#include "common/net/stream_tls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/net/stream.h"
#include "common/tls/tls.h"
#include "common/tls/tls_loop.h"
#include "tests/unit/tls_files.h"

enum { PIECE = 1000 };

/* A server's stream on a real socket, and a client that reads only when it is told to. */
struct rig {
    uv_loop_t loop;
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_loop shared;
    struct stream stream;
    struct tls *client;
    int fd; /* the client's */
    bool client_eof;
    size_t got;  /* bytes of plaintext; each is checked */
    int written; /* times that on_written has run, and its last status */
    int write_status;
    bool closed;
    char input[64 * 1024];
};

static struct rig *rig_of(uv_handle_t *handle)
{
    return handle->loop->data;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void) suggested;
    *buf = uv_buf_init(rig_of(handle)->input, sizeof rig_of(handle)->input);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void) stream;
    (void) n;
    (void) buf;
}

static void on_written(uv_write_t *request, int status)
{
    struct rig *rig = request->data;

    rig->written++;
    rig->write_status = status;
}

static void on_closed(uv_handle_t *handle)
{
    rig_of(handle)->closed = true;
}

static char byte_at(size_t i)
{
    return (char) (i % 251);
}

/* The client takes what there is, and says what it has to. */
static void turn_client(struct rig *rig)
{
    struct buffer *out = tls_output(rig->client);
    char cipher[32 * 1024], plain[TLS_MAX_RECORD];
    const uint8_t *rest;
    ssize_t n;

    while ((n = recv(rig->fd, cipher, sizeof cipher, MSG_DONTWAIT)) > 0) {
        tls_feed(rig->client, (const uint8_t *) cipher, (size_t) n);
        if (tls_handshake(rig->client) == 0) {
            while ((n = tls_read(rig->client, plain, sizeof plain)) > 0) {
                for (ssize_t i = 0; i < n; i++)
                    assert_int_equal(plain[i], byte_at(rig->got++));
            }
            rig->client_eof = rig->client_eof || n == UV_EOF;
        }
        assert_int_equal(tls_take_back(rig->client, &rest), 0);
    }
    (void) tls_handshake(rig->client);
    if (out->len > 0)
        assert_int_equal(send(rig->fd, out->data, out->len, 0), out->len);
    out->len = 0;
}

static void turn(struct rig *rig)
{
    (void) uv_run(&rig->loop, UV_RUN_NOWAIT);
    turn_client(rig);
}

/* A connection on the loop, and with the contexts, of `first`. */
static void add_client(struct rig *first, struct rig *rig)
{
    int fds[2], size = 4096;

    assert_int_equal(tls_new(&rig->client, first->client_context, "localhost"), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    rig->fd = fds[1];
    assert_int_equal(stream_init(&rig->stream, &first->loop), 0);
    assert_int_equal(uv_tcp_open(&rig->stream.tcp, fds[0]), 0);
    assert_int_equal(stream_accept_tls(&rig->stream, &first->shared), 0);
    assert_int_equal(stream_read_start(&rig->stream, on_alloc, on_read), 0);
}

static void init_rig(struct rig *rig)
{
    struct tls_files server = {.pairs = {{.cert = cert_file, .key = key_file}}};
    struct tls_files client = {.ca = cert_file};
    struct error error;

    memset(rig, 0, sizeof *rig);
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    rig->loop.data = rig;
    assert_int_equal(tls_context_new_server(&rig->server_context, &server, &error), 0);
    assert_int_equal(tls_context_new_client(&rig->client_context, &client, &error), 0);
    tls_loop_init(&rig->shared, &rig->loop, rig->server_context, NULL);
    add_client(rig, rig);
}

static void shake_hands_on(struct rig *first, struct rig *rig)
{
    for (int i = 0; i < 100 && !stream_is_ready(&rig->stream); i++) {
        (void) uv_run(&first->loop, UV_RUN_NOWAIT);
        turn_client(rig);
    }
    assert_true(stream_is_ready(&rig->stream));
    assert_true(tls_is_established(rig->client));
}

static void shake_hands(struct rig *rig)
{
    shake_hands_on(rig, rig);
}

/* The loop's rig knows that a stream of it is closed; whose it is does not matter. */
static void remove_client(struct rig *rig)
{
    struct rig *first = rig_of((uv_handle_t *) &rig->stream.tcp);

    if (!uv_is_closing((uv_handle_t *) &rig->stream.tcp))
        stream_close(&rig->stream, false, on_closed);
    for (int i = 0; i < 3; i++)
        (void) uv_run(&first->loop, UV_RUN_NOWAIT);
    first->closed = false;
    tls_free(rig->client);
    assert_int_equal(close(rig->fd), 0);
}

static void deinit_rig(struct rig *rig)
{
    if (!uv_is_closing((uv_handle_t *) &rig->stream.tcp))
        stream_close(&rig->stream, false, on_closed);
    while (!rig->closed)
        (void) uv_run(&rig->loop, UV_RUN_ONCE);
    tls_loop_close(&rig->shared);
    (void) uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    tls_free(rig->client);
    tls_context_free(rig->server_context);
    tls_context_free(rig->client_context);
    assert_int_equal(close(rig->fd), 0);
}

/* Writes until the socket is full. Returns how many bytes were taken; `rest` is what is left of the
 * last piece. */
static size_t fill(struct rig *rig, char *piece, uv_buf_t *rest)
{
    size_t sent = 0;
    ssize_t n = PIECE;

    while (n == PIECE) {
        uv_buf_t buf = uv_buf_init(piece, PIECE);

        for (size_t i = 0; i < PIECE; i++)
            piece[i] = byte_at(sent + i);
        n = stream_try_write(&rig->stream, &buf, 1);
        assert_in_range(n, 0, PIECE);
        sent += (size_t) n;
    }
    *rest = uv_buf_init(piece + n, (unsigned) (PIECE - n));
    return sent;
}

/* ---- tests ---- */

static void test_written_means_that_the_socket_has_it(void **state)
{
    struct rig rig;
    char piece[PIECE];
    uv_write_t request = {.data = &rig};
    uv_buf_t rest;
    size_t sent;

    (void) state;
    init_rig(&rig);
    shake_hands(&rig);
    sent = fill(&rig, piece, &rest);
    assert_true(rest.len > 0); /* a piece is one record: it is encrypted, and not all is sent */
    assert_int_equal(stream_write(&rig.stream, &request, &rest, 1, on_written), 0);
    for (int i = 0; i < 10; i++)
        (void) uv_run(&rig.loop, UV_RUN_NOWAIT);
    assert_int_equal(rig.written, 0); /* the client has read nothing */
    while (rig.written == 0)
        turn(&rig);
    assert_int_equal(rig.write_status, 0);
    assert_int_equal(stream_finish(&rig.stream), 0);
    while (!rig.client_eof)
        turn(&rig);
    assert_int_equal(rig.got, sent + rest.len);
    deinit_rig(&rig);
}

static void test_what_is_written_waits_for_the_handshake(void **state)
{
    struct rig rig;
    char piece[PIECE];
    uv_write_t request = {.data = &rig};
    uv_buf_t bufs[3];

    (void) state;
    init_rig(&rig);
    for (size_t i = 0; i < PIECE; i++)
        piece[i] = byte_at(i);
    bufs[0] = uv_buf_init(piece, 0);
    bufs[1] = uv_buf_init(piece, 10);
    bufs[2] = uv_buf_init(piece + 10, PIECE - 10);
    assert_int_equal(stream_try_write(&rig.stream, bufs, 3), 0);
    assert_int_equal(stream_write(&rig.stream, &request, bufs, 3, on_written), 0);
    assert_int_equal(rig.written, 0);
    shake_hands(&rig);
    while (rig.got < PIECE)
        turn(&rig);
    assert_int_equal(rig.written, 1);
    assert_int_equal(rig.write_status, 0);
    deinit_rig(&rig);
}

static void test_a_write_never_ends_within_the_call(void **state)
{
    struct rig rig;
    char piece[] = {0, 1, 2};
    uv_write_t request = {.data = &rig};
    uv_buf_t buf = uv_buf_init(piece, 3);

    (void) state;
    init_rig(&rig);
    shake_hands(&rig);
    assert_int_equal(stream_write(&rig.stream, &request, &buf, 1, on_written), 0);
    assert_int_equal(rig.written, 0);
    while (rig.got < 3)
        turn(&rig);
    assert_int_equal(rig.written, 1);
    deinit_rig(&rig);
}

static void test_closing_cancels_a_write(void **state)
{
    struct rig rig;
    char piece[PIECE];
    uv_write_t request = {.data = &rig};
    uv_buf_t rest;

    (void) state;
    init_rig(&rig);
    shake_hands(&rig);
    (void) fill(&rig, piece, &rest);
    assert_int_equal(stream_write(&rig.stream, &request, &rest, 1, on_written), 0);
    stream_close(&rig.stream, false, on_closed);
    assert_int_equal(rig.written, 0);
    deinit_rig(&rig);
    assert_int_equal(rig.written, 1);
    assert_int_equal(rig.write_status, UV_ECANCELED);
}

/* As after a ticket or an alert: nothing is left to be encrypted, but not all is sent. */
static void test_finish_waits_for_what_is_being_sent(void **state)
{
    struct rig rig;
    char piece[PIECE];
    uv_write_t request = {.data = &rig};
    uv_buf_t rest;
    size_t sent;

    (void) state;
    init_rig(&rig);
    shake_hands(&rig);
    sent = fill(&rig, piece, &rest);
    assert_int_equal(stream_write(&rig.stream, &request, &rest, 1, on_written), 0);
    assert_int_equal(stream_finish(&rig.stream), 0);
    while (!rig.client_eof)
        turn(&rig);
    assert_int_equal(rig.written, 1);
    assert_int_equal(rig.got, sent + rest.len);
    deinit_rig(&rig);
}

/* ---- a storm ---- */

enum { STORM = 23 };

/* Many clients at once: each turn of the loop takes its share of steps, and all get in. */
static void test_a_storm_of_handshakes_is_bounded_in_each_turn_and_all_get_in(void **state)
{
    static struct rig rigs[STORM]; /* the first one's loop and contexts serve all */
    struct rig *first = &rigs[0];
    int turns = 0;
    bool done = false;

    (void) state;
    init_rig(first);
    for (size_t i = 1; i < STORM; i++)
        add_client(first, &rigs[i]);
    for (size_t i = 0; i < STORM; i++)
        turn_client(&rigs[i]); /* its ClientHello */
    for (; !done && turns < 1000; turns++) {
        uint64_t before = first->shared.steps;

        (void) uv_run(&first->loop, UV_RUN_NOWAIT);
        assert_in_range(first->shared.steps - before, 0, TLS_LOOP_STEPS);
        done = true;
        for (size_t i = 0; i < STORM; i++) {
            turn_client(&rigs[i]);
            done = done && stream_is_ready(&rigs[i].stream);
        }
    }
    assert_true(done);
    assert_in_range(turns, 2 * STORM / TLS_LOOP_STEPS, 4 * STORM / TLS_LOOP_STEPS);
    assert_int_equal(first->shared.steps, 2 * STORM);
    assert_true(stream_has_waited(&rigs[STORM - 1].stream));
    for (size_t i = 1; i < STORM; i++)
        remove_client(&rigs[i]);
    deinit_rig(first);
}

/* What waits for its turn may be closed, stopped and started again. */
static void test_a_handshake_that_waits_can_be_paused_and_closed(void **state)
{
    static struct rig rigs[3 * TLS_LOOP_STEPS];
    struct rig *first = &rigs[0];
    size_t count = sizeof rigs / sizeof *rigs;

    (void) state;
    init_rig(first);
    for (size_t i = 1; i < count; i++)
        add_client(first, &rigs[i]);
    for (size_t i = 0; i < count; i++)
        turn_client(&rigs[i]);
    (void) uv_run(&first->loop, UV_RUN_NOWAIT);
    for (size_t i = 1; i < count; i++) {
        stream_read_stop(&rigs[i].stream);
        if (i % 2 == 0)
            stream_close(&rigs[i].stream, false, on_closed);
    }
    for (int i = 0; i < 10; i++)
        (void) uv_run(&first->loop, UV_RUN_NOWAIT);
    for (size_t i = 1; i < count; i += 2)
        assert_int_equal(stream_read_start(&rigs[i].stream, on_alloc, on_read), 0);
    for (size_t i = 1; i < count; i += 2)
        shake_hands_on(first, &rigs[i]);
    for (size_t i = 1; i < count; i++)
        remove_client(&rigs[i]);
    deinit_rig(first);
}

static int pauses; /* to come */
static int last_read;

/* Stops reading at first; later stops and goes on within the call, as an owner does whose reason to
 * pause is over at once. */
static void on_read_with_pauses(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct rig *rig = rig_of((uv_handle_t *) stream);

    (void) buf;
    if (n == UV_ENOBUFS)
        return;
    last_read = (int) n;
    if (n < 0)
        return;
    stream_read_stop(&rig->stream);
    if (pauses-- <= 0)
        assert_int_equal(stream_read_start(&rig->stream, on_alloc, on_read_with_pauses), 0);
}

static void test_an_owner_may_pause_and_go_on_while_kept_input_is_read(void **state)
{
    static char record[] = "record";
    struct buffer *out;
    struct rig rig;

    (void) state;
    init_rig(&rig);
    shake_hands(&rig);
    pauses = 1;
    last_read = 0;
    stream_read_stop(&rig.stream);
    assert_int_equal(stream_read_start(&rig.stream, on_alloc, on_read_with_pauses), 0);
    for (int i = 0; i < 4; i++) {
        uv_buf_t buf = uv_buf_init(record, 6);
        struct tls_source source = {.bufs = &buf, .count = 1};

        assert_int_equal(tls_write(rig.client, &source), 0);
    }
    out = tls_output(rig.client);
    assert_int_equal(send(rig.fd, out->data, out->len, 0), out->len);
    out->len = 0;
    while (last_read == 0)
        (void) uv_run(&rig.loop, UV_RUN_NOWAIT);
    assert_int_equal(stream_read_start(&rig.stream, on_alloc, on_read_with_pauses), 0);
    for (int i = 0; i < 10; i++)
        (void) uv_run(&rig.loop, UV_RUN_NOWAIT);
    assert_int_equal(last_read, 6);
    deinit_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_owner_may_pause_and_go_on_while_kept_input_is_read),
        cmocka_unit_test(test_written_means_that_the_socket_has_it),
        cmocka_unit_test(test_what_is_written_waits_for_the_handshake),
        cmocka_unit_test(test_a_write_never_ends_within_the_call),
        cmocka_unit_test(test_closing_cancels_a_write),
        cmocka_unit_test(test_finish_waits_for_what_is_being_sent),
        cmocka_unit_test(test_a_storm_of_handshakes_is_bounded_in_each_turn_and_all_get_in),
        cmocka_unit_test(test_a_handshake_that_waits_can_be_paused_and_closed),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}

#include "common/tls/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tls_files.h"

/* A client and a server that talk through memory. */
struct pair {
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls *server;
    struct tls *client;
};

/* ---- the pair ---- */

static void init_pair(struct pair *pair, const char *host, bool believe)
{
    struct tls_files server = {.pairs = {{.cert = cert_file, .key = key_file}}};
    struct tls_files client = {.ca = believe ? cert_file : NULL};
    struct error error;

    assert_int_equal(tls_context_new_server(&pair->server_context, &server, &error), 0);
    assert_int_equal(tls_context_new_client(&pair->client_context, &client, &error), 0);
    assert_int_equal(tls_new(&pair->server, pair->server_context, NULL), 0);
    assert_int_equal(tls_new(&pair->client, pair->client_context, host), 0);
}

static void deinit_pair(struct pair *pair)
{
    tls_free(pair->server);
    tls_free(pair->client);
    tls_context_free(pair->server_context);
    tls_context_free(pair->client_context);
}

/* Lets the handshake of `to` take what `from` has said, at most `piece` bytes at a time. */
static int hand_over(struct tls *from, struct tls *to, size_t piece)
{
    struct buffer *out = tls_output(from);
    int status = tls_handshake(to);

    while (out->len > 0 && status == UV_EAGAIN) {
        const uint8_t *rest;
        size_t n = out->len < piece ? out->len : piece;

        tls_feed(to, out->data, n);
        status = tls_handshake(to);
        buffer_drop(out, n - tls_take_back(to, &rest));
    }
    return status;
}

static void shake_hands(struct pair *pair, size_t piece)
{
    int client = UV_EAGAIN, server = UV_EAGAIN;

    for (int i = 0; i < 10 && (client != 0 || server != 0); i++) {
        client = hand_over(pair->server, pair->client, piece);
        server = hand_over(pair->client, pair->server, piece);
    }
    assert_int_equal(client, 0);
    assert_int_equal(server, 0);
    assert_true(tls_is_established(pair->client));
    assert_true(tls_is_established(pair->server));
}

/* All that `from` has written is read by `to`. Returns the last status, and the bytes in `got`. */
static ssize_t read_all(struct tls *from, struct tls *to, struct buffer *got)
{
    struct buffer *out = tls_output(from);
    uint8_t plain[TLS_MAX_RECORD];
    const uint8_t *rest;
    ssize_t n;

    tls_feed(to, out->data, out->len);
    while ((n = tls_read(to, plain, sizeof plain)) > 0)
        assert_int_equal(buffer_append(got, plain, (size_t) n), 0);
    assert_int_equal(tls_take_back(to, &rest), 0);
    out->len = 0;
    return n;
}

/* ---- tests ---- */

static void test_handshake_comes_in_pieces_of_any_size(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 100, 100000};

    (void) state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct pair pair;

        init_pair(&pair, i % 2 == 0 ? "localhost" : "127.0.0.1", true);
        shake_hands(&pair, pieces[i]);
        assert_null(tls_error(pair.client));
        assert_null(tls_error(pair.server));
        deinit_pair(&pair);
    }
}

static void test_nothing_is_written_before_the_handshake(void **state)
{
    char text[] = "hello";
    uv_buf_t buf = uv_buf_init(text, 5);
    struct tls_source source = {.bufs = &buf, .count = 1};
    struct pair pair;

    (void) state;
    init_pair(&pair, "localhost", true);
    assert_int_equal(tls_write(pair.server, &source), UV_EPROTO);
    tls_shutdown(pair.server);
    assert_int_equal(tls_output(pair.server)->len, 0);
    deinit_pair(&pair);
}

static void test_small_buffers_share_a_record(void **state)
{
    char text[] = "0123456789";
    uv_buf_t bufs[12];
    struct tls_source source = {.bufs = bufs, .count = 12};
    struct buffer got = {0};
    struct pair pair;

    (void) state;
    init_pair(&pair, "localhost", true);
    shake_hands(&pair, 1000);
    assert_int_equal(read_all(pair.server, pair.client, &got), UV_EAGAIN); /* tickets */
    for (unsigned i = 0; i < 12; i++)
        bufs[i] = uv_buf_init(text, i == 3 || i == 11 ? 0 : 10);
    assert_int_equal(tls_source_left(&source), 100);
    assert_int_equal(tls_write(pair.server, &source), 0);
    assert_int_equal(tls_source_left(&source), 0);
    assert_int_equal(tls_write(pair.server, &source), 0); /* nothing is left: no empty record */
    assert_true(tls_output(pair.server)->len > 100);
    assert_true(tls_output(pair.server)->len < 100 + 40); /* one record's frame */
    assert_int_equal(read_all(pair.server, pair.client, &got), UV_EAGAIN);
    assert_int_equal(got.len, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(got.data[i], '0' + i % 10);
    buffer_deinit(&got);
    deinit_pair(&pair);
}

static void test_a_record_is_taken_at_a_time_and_nothing_is_lost(void **state)
{
    enum { LEN = 100000 };
    char *data = malloc(LEN);
    uv_buf_t bufs[] = {uv_buf_init(data, 1), uv_buf_init(data + 1, 16383),
                       uv_buf_init(data + 16384, 50000), uv_buf_init(data + 66384, LEN - 66384)};
    struct tls_source source = {.bufs = bufs, .count = 4};
    struct buffer got = {0};
    struct pair pair;

    (void) state;
    assert_non_null(data);
    for (size_t i = 0; i < LEN; i++)
        data[i] = (char) (i * 31 >> 3);
    init_pair(&pair, "localhost", true);
    shake_hands(&pair, 1000);
    for (size_t left = LEN; left > 0; left = tls_source_left(&source)) {
        assert_int_equal(tls_write(pair.client, &source), 0);
        assert_in_range(left - tls_source_left(&source), 1, TLS_MAX_RECORD);
    }
    assert_int_equal(read_all(pair.client, pair.server, &got), UV_EAGAIN);
    assert_int_equal(got.len, LEN);
    assert_memory_equal(got.data, data, LEN);
    buffer_deinit(&got);
    deinit_pair(&pair);
    free(data);
}

static void test_source_skips_across_buffers(void **state)
{
    char text[] = "abcdef";
    uv_buf_t bufs[] = {uv_buf_init(text, 0), uv_buf_init(text, 2), uv_buf_init(text, 0),
                       uv_buf_init(text, 4)};
    struct tls_source source = {.bufs = bufs, .count = 4};

    (void) state;
    tls_source_skip(&source, 1);
    assert_int_equal(tls_source_left(&source), 5);
    tls_source_skip(&source, 1);
    assert_int_equal(tls_source_left(&source), 4);
    assert_ptr_equal(source.bufs, &bufs[3]);
    tls_source_skip(&source, 3);
    assert_int_equal(tls_source_left(&source), 1);
    tls_source_skip(&source, 1);
    assert_int_equal(source.count, 0);
    assert_int_equal(tls_source_left(&source), 0);
}

static void test_an_end_is_told_from_a_truncation(void **state)
{
    struct buffer got = {0};
    struct pair pair;

    (void) state;
    init_pair(&pair, "localhost", true);
    shake_hands(&pair, 1000);
    tls_shutdown(pair.client);
    assert_true(tls_output(pair.client)->len > 0);
    assert_int_equal(read_all(pair.client, pair.server, &got), UV_EOF);
    assert_null(tls_error(pair.server));
    tls_shutdown(pair.client); /* once is enough */
    assert_int_equal(tls_output(pair.client)->len, 0);
    assert_int_equal(tls_cut(pair.client, UV_EOF), UV_EOF); /* the server's never came */
    assert_non_null(strstr(tls_error(pair.client), "close_notify"));
    buffer_deinit(&got);
    deinit_pair(&pair);
}

static void test_an_end_within_the_handshake_is_an_error(void **state)
{
    struct pair pair;

    (void) state;
    init_pair(&pair, "localhost", true);
    assert_int_equal(tls_handshake(pair.client), UV_EAGAIN);
    assert_int_equal(tls_cut(pair.client, UV_ECONNRESET), UV_EPROTO);
    assert_non_null(strstr(tls_error(pair.client), "during the TLS handshake"));
    assert_int_equal(tls_handshake(pair.client), UV_EPROTO);
    deinit_pair(&pair);
}

/* The client refuses, and the server hears of it. */
static void assert_refused(const char *host, bool believe, const char *why)
{
    struct pair pair;
    int client = UV_EAGAIN, server = UV_EAGAIN;

    init_pair(&pair, host, believe);
    for (int i = 0; i < 10 && (client == UV_EAGAIN || server == UV_EAGAIN); i++) {
        client = hand_over(pair.server, pair.client, 1000);
        server = hand_over(pair.client, pair.server, 1000);
    }
    assert_int_equal(client, UV_EPROTO);
    assert_int_equal(server, UV_EPROTO);
    assert_non_null(strstr(tls_error(pair.client), why));
    assert_non_null(strstr(tls_error(pair.server), "alert"));
    deinit_pair(&pair);
}

static void test_a_client_refuses_whom_it_does_not_know(void **state)
{
    (void) state;
    assert_refused("localhost", false, "--cacert FILE");
    assert_refused("other.example", true,
                   "is not for 'other.example' but for: localhost, 127.0.0.1");
    assert_refused("127.0.0.2", true, "is not for '127.0.0.2'");
    assert_refused("::1", true, "is not for '::1'");
}

static void test_a_dot_at_the_end_of_a_name_is_not_part_of_it(void **state)
{
    struct pair pair;

    (void) state;
    init_pair(&pair, "localhost.", true);
    shake_hands(&pair, 1000);
    deinit_pair(&pair);
}

static void test_a_failed_reload_changes_nothing(void **state)
{
    char away[sizeof cert_file + 8];
    const struct tls_files files = {.pairs = {{.cert = cert_file, .key = key_file}}};
    struct error error;
    struct pair pair;

    (void) state;
    (void) snprintf(away, sizeof away, "%s.away", cert_file);
    init_pair(&pair, "localhost", true);
    assert_int_equal(rename(cert_file, away), 0);
    assert_int_equal(tls_context_reload(pair.server_context, &files, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(rename(away, cert_file), 0);
    tls_free(pair.server);
    assert_int_equal(tls_new(&pair.server, pair.server_context, NULL), 0);
    assert_int_equal(tls_context_reload(pair.server_context, &files, &error), 0);
    shake_hands(&pair, 1000); /* begun with the old, which it keeps */
    deinit_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_comes_in_pieces_of_any_size),
        cmocka_unit_test(test_nothing_is_written_before_the_handshake),
        cmocka_unit_test(test_small_buffers_share_a_record),
        cmocka_unit_test(test_a_record_is_taken_at_a_time_and_nothing_is_lost),
        cmocka_unit_test(test_source_skips_across_buffers),
        cmocka_unit_test(test_an_end_is_told_from_a_truncation),
        cmocka_unit_test(test_an_end_within_the_handshake_is_an_error),
        cmocka_unit_test(test_a_client_refuses_whom_it_does_not_know),
        cmocka_unit_test(test_a_dot_at_the_end_of_a_name_is_not_part_of_it),
        cmocka_unit_test(test_a_failed_reload_changes_nothing),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}

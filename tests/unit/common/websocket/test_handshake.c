#include "client/connect/client_handshake.h"
#include "server/http/server_handshake.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 6455, 1.3 and 4.2.2 */
#define SAMPLE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SAMPLE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"

/* Parses a complete head; the caller deinitializes it. */
static void parse(struct http_head *head, enum http_head_kind kind, const char *text, size_t len)
{
    size_t used;

    http_head_init(head, kind);
    if (http_head_feed(head, (const uint8_t *) text, len, &used) != HTTP_HEAD_DONE)
        fail_msg("not a head: %s", text);
    assert_int_equal(used, len);
}

/* What the server agrees to. */
static void agree_to(const char *text, size_t len, bool compression,
                     struct server_handshake *handshake)
{
    struct http_head head;
    const char *why = NULL;

    parse(&head, HTTP_HEAD_REQUEST, text, len);
    if (server_handshake_check(&head, compression, handshake, &why) != 0)
        fail_msg("refused: %s", why);
    http_head_deinit(&head);
}

/* A request that asks for nothing special. */
static const struct client_handshake_request plain = {.authority = "h", .target = "/"};

static void the_response_is_accepted_by_the_client_whose_key_it_answers(void **state)
{
    static const struct server_handshake handshake = {.accept = SAMPLE_ACCEPT};
    struct client_handshake client = {.key = SAMPLE_KEY, .accept = SAMPLE_ACCEPT};
    struct extension_deflate deflate;
    struct buffer out = {0};
    struct http_head head;
    struct error error;

    (void) state;
    assert_int_equal(buffer_append(&out, "before", 6), 0);
    assert_int_equal(
        server_handshake_write(&out, &handshake, (struct event_id){1, 2}, (struct event_id){1, 3}),
        0);
    assert_memory_equal(out.data, "before", 6);
    buffer_drop(&out, 6);
    parse(&head, HTTP_HEAD_RESPONSE, (const char *) out.data, out.len);
    assert_int_equal(client_handshake_check_response(&client, &plain, &head, &deflate, &error), 0);
    assert_false(deflate.agreed);
    http_head_deinit(&head);
    buffer_deinit(&out);
}

/* ---- the client's side ---- */

static void keys_are_fresh_and_their_answers_are_the_servers(void **state)
{
    struct client_handshake one, other;
    struct server_handshake handshake;
    char request[512];
    int len;

    (void) state;
    assert_int_equal(client_handshake_init(&one), 0);
    assert_int_equal(client_handshake_init(&other), 0);
    assert_string_not_equal(one.key, other.key);
    len = snprintf(request, sizeof request,
                   "GET /ws HTTP/1.1\r\nHost: h\r\n" UPGRADE CONNECTION
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
                   one.key);
    agree_to(request, (size_t) len, false, &handshake);
    assert_string_equal(handshake.accept, one.accept);
}

static void the_request_is_one_that_a_server_accepts(void **state)
{
    static const struct client_handshake_request request = {.authority = "[::1]:8000",
                                                            .target = "/ws?x=1"};
    struct client_handshake client;
    struct server_handshake handshake;
    struct buffer out = {0};
    struct http_head head;

    (void) state;
    assert_int_equal(client_handshake_init(&client), 0);
    assert_int_equal(client_handshake_write_request(&client, &out, &request), 0);
    agree_to((const char *) out.data, out.len, false, &handshake);
    parse(&head, HTTP_HEAD_REQUEST, (const char *) out.data, out.len);
    assert_string_equal(handshake.accept, client.accept);
    assert_string_equal(http_head_get(&head, "Host"), "[::1]:8000");
    assert_string_equal(http_head_target(&head), "/ws?x=1");
    assert_null(http_head_get(&head, "Sec-WebSocket-Extensions"));
    http_head_deinit(&head);
    buffer_deinit(&out);
}

/* A client and a server that offer compression or not, from request to response. */
static bool agree(bool client_offers, bool server_takes)
{
    struct client_handshake_request request = {
        .authority = "h", .target = "/", .compression = client_offers};
    struct client_handshake client;
    struct server_handshake handshake;
    struct extension_deflate deflate;
    struct buffer out = {0};
    struct http_head head;
    struct error error;

    assert_int_equal(client_handshake_init(&client), 0);
    assert_int_equal(client_handshake_write_request(&client, &out, &request), 0);
    agree_to((const char *) out.data, out.len, server_takes, &handshake);
    buffer_drop(&out, out.len);
    assert_int_equal(
        server_handshake_write(&out, &handshake, (struct event_id){1, 2}, (struct event_id){1, 3}),
        0);
    parse(&head, HTTP_HEAD_RESPONSE, (const char *) out.data, out.len);
    assert_int_equal(client_handshake_check_response(&client, &request, &head, &deflate, &error),
                     0);
    http_head_deinit(&head);
    buffer_deinit(&out);
    assert_int_equal(deflate.agreed, handshake.deflate.agreed);
    return deflate.agreed;
}

static void compression_is_agreed_on_when_both_sides_want_it(void **state)
{
    (void) state;
    assert_true(agree(true, true));
    assert_false(agree(true, false));
    assert_false(agree(false, true));
    assert_false(agree(false, false));
}

#define ACCEPT "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n"

/* The verdict of the client that sent the sample key. */
static int check_response(const char *line, const char *fields, struct error *error)
{
    struct client_handshake client = {.key = SAMPLE_KEY, .accept = SAMPLE_ACCEPT};
    struct extension_deflate deflate;
    struct http_head head;
    char text[512];
    int len = snprintf(text, sizeof text, "%s\r\n%s\r\n", line, fields);
    int status;

    assert_in_range(len, 1, sizeof text - 1);
    parse(&head, HTTP_HEAD_RESPONSE, text, (size_t) len);
    *error = (struct error){""};
    status = client_handshake_check_response(&client, &plain, &head, &deflate, error);
    http_head_deinit(&head);
    return status;
}

static void a_101_must_have_each_field_right(void **state)
{
    static const struct {
        const char *fields;
        const char *word; /* of the explanation; NULL: the connection is open */
    } cases[] = {
        {UPGRADE CONNECTION ACCEPT, NULL},
        {"upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n" ACCEPT, NULL},
        {UPGRADE CONNECTION ACCEPT "Server: x\r\nDate: today\r\n", NULL},
        {CONNECTION ACCEPT, "Upgrade: websocket"},
        {"Upgrade: h2c\r\n" CONNECTION ACCEPT, "Upgrade: websocket"},
        {"Upgrade: websocket2\r\n" CONNECTION ACCEPT, "Upgrade: websocket"},
        {UPGRADE ACCEPT, "Connection: Upgrade"},
        {UPGRADE "Connection: close\r\n" ACCEPT, "Connection: Upgrade"},
        {UPGRADE CONNECTION, "Sec-WebSocket-Accept"},
        {UPGRADE CONNECTION "Sec-WebSocket-Accept:\r\n", "Sec-WebSocket-Accept"},
        {UPGRADE CONNECTION ACCEPT ACCEPT, "Sec-WebSocket-Accept"},
        {UPGRADE CONNECTION "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "key"},
        {UPGRADE CONNECTION "Sec-WebSocket-Accept: " SAMPLE_KEY "\r\n", "key"},
        {UPGRADE CONNECTION "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "=\r\n", "key"},
        {UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n",
         "Extensions"},
        {UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Protocol: chat\r\n", "subprotocol"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error;
        int status = check_response("HTTP/1.1 101 Switching Protocols", cases[i].fields, &error);

        if (status != (cases[i].word == NULL ? 0 : UV_EPROTO))
            fail_msg("wrong about: %s", cases[i].fields);
        if (cases[i].word != NULL && strstr(error.text, cases[i].word) == NULL)
            fail_msg("'%s' for: %s", error.text, cases[i].fields);
    }
}

static void another_status_is_a_refusal_that_names_it(void **state)
{
    static const struct {
        const char *line;
        const char *words;
    } cases[] = {
        {"HTTP/1.1 404 Not Found", "404 Not Found"},
        {"HTTP/1.1 200 OK", "200 OK"},
        {"HTTP/1.1 426", "426"},
        {"HTTP/1.0 503 Later", "503 Later"},
        {"HTTP/1.1 302 \x1b[2J", "302 \\x1b[2J"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error;

        assert_int_equal(check_response(cases[i].line, UPGRADE CONNECTION ACCEPT, &error),
                         UV_ECONNREFUSED);
        if (strstr(error.text, cases[i].words) == NULL)
            fail_msg("'%s' for: %s", error.text, cases[i].line);
        assert_null(strchr(error.text, '\x1b'));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_response_is_accepted_by_the_client_whose_key_it_answers),
        cmocka_unit_test(keys_are_fresh_and_their_answers_are_the_servers),
        cmocka_unit_test(the_request_is_one_that_a_server_accepts),
        cmocka_unit_test(compression_is_agreed_on_when_both_sides_want_it),
        cmocka_unit_test(a_101_must_have_each_field_right),
        cmocka_unit_test(another_status_is_a_refusal_that_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

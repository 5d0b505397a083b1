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

/* Parses a complete head; the caller deinitializes it. */
static void parse(struct http_head *head, enum http_head_kind kind, const char *text, size_t len)
{
    size_t used;

    http_head_init(head, kind);
    if (http_head_feed(head, (const uint8_t *) text, len, &used) != HTTP_HEAD_DONE)
        fail_msg("not a head: %s", text);
    assert_int_equal(used, len);
}

/* ---- the server's side ---- */

/* The verdict on a request to a server of the path "/ws". */
static struct server_handshake_verdict judge(const char *line, const char *fields)
{
    static const struct server_handshake_policy policy = {.path = "/ws"};
    struct server_handshake_verdict verdict;
    struct http_head head;
    char text[1024];
    int len = snprintf(text, sizeof text, "%s\r\n%s\r\n", line, fields);

    assert_in_range(len, 1, sizeof text - 1);
    parse(&head, HTTP_HEAD_REQUEST, text, (size_t) len);
    memset(&verdict, 0xff, sizeof verdict);
    server_handshake_check(&head, &policy, false, &verdict);
    http_head_deinit(&head);
    return verdict;
}

static void check(const char *line, const char *fields, int status)
{
    struct server_handshake_verdict verdict = judge(line, fields);

    if (verdict.status != status)
        fail_msg("%d instead of %d:\n%s\n%s", verdict.status, status, line, fields);
    if (status == 101) {
        assert_int_equal(strlen(verdict.accept), HANDSHAKE_ACCEPT_LEN);
    } else {
        assert_non_null(verdict.why);
        if (verdict.text[0] == '\0') /* else it points into the verdict, which was copied */
            assert_null(strchr(verdict.why, '\n'));
        assert_null(strchr(verdict.text, '\n'));
    }
}

#define HOST "Host: h\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: " SAMPLE_KEY "\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define ALL HOST UPGRADE CONNECTION KEY VERSION

static void the_sample_of_the_rfc_is_accepted_with_its_answer(void **state)
{
    struct server_handshake_verdict verdict = judge("GET /ws HTTP/1.1", ALL);

    (void) state;
    assert_int_equal(verdict.status, 101);
    assert_string_equal(verdict.accept, SAMPLE_ACCEPT);
}

static void each_field_of_the_upgrade_is_needed_and_judged(void **state)
{
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        {ALL, 101},
        {VERSION KEY CONNECTION UPGRADE HOST, 101},
        {HOST "upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n" KEY VERSION, 101},
        {HOST "Upgrade: h2c, websocket\r\n" CONNECTION KEY VERSION, 101},
        {HOST "Upgrade: h2c\r\n" UPGRADE CONNECTION KEY VERSION, 101},
        {HOST UPGRADE "Connection: keep-alive\r\n" CONNECTION KEY VERSION, 101},
        {ALL "Origin: http://h:8000\r\nCookie: a=b\r\n", 101},
        {ALL "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
         101},
        {ALL "Content-Length: 0\r\n", 101},
        {HOST, 426},
        {HOST CONNECTION KEY VERSION, 426},
        {HOST "Upgrade: h2c\r\n" CONNECTION KEY VERSION, 426},
        {HOST "Upgrade: websockets\r\n" CONNECTION KEY VERSION, 426},
        {HOST "Upgrade:\r\n" CONNECTION KEY VERSION, 426},
        {HOST UPGRADE KEY VERSION, 400},
        {HOST UPGRADE "Connection: close\r\n" KEY VERSION, 400},
        {HOST UPGRADE "Connection: Upgraded\r\n" KEY VERSION, 400},
        {HOST UPGRADE CONNECTION KEY, 400},
        {HOST UPGRADE CONNECTION KEY VERSION VERSION, 400},
        {HOST UPGRADE CONNECTION VERSION, 400},
        {ALL KEY, 400},
        {ALL "Sec-WebSocket-Extensions: ;\r\n", 400},
        {ALL "Content-Length: 1\r\n", 400},
        {ALL "Transfer-Encoding: chunked\r\n", 400},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check("GET /ws HTTP/1.1", cases[i].fields, cases[i].status);
}

static void only_version_13_is_spoken(void **state)
{
    static const char *const versions[] = {"0",   "8",    "12",     "14",       "113", "130",
                                           "013", "13.0", "13, 14", "8, 7, 13", "x",   ""};
    char fields[256];

    (void) state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        (void) snprintf(fields, sizeof fields,
                        HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: %s\r\n", versions[i]);
        check("GET /ws HTTP/1.1", fields, 426);
    }
}

static void a_key_is_16_bytes_in_base64_and_nothing_else(void **state)
{
    static const struct {
        const char *key;
        int status;
    } cases[] = {
        {"AAAAAAAAAAAAAAAAAAAAAA==", 101},
        {"+/+/+/+/+/+/+/+/+/+/+w==", 101},
        {"zzzzzzzzzzzzzzzzzzzzzQ==", 101},
        {"0123456789abcdefghijkg==", 101},
        {"", 400},
        {"dGhlIHNhbXBsZSBub25jZQ", 400},
        {"dGhlIHNhbXBsZSBub25jZQ=", 400},
        {"dGhlIHNhbXBsZSBub25jZR==", 400},
        {"dGhlIHNhbXBsZSBub25jZQ===", 400},
        {"dGhlIHNhbXBsZSBub25jZQAA", 400},
        {"dGhlIHNhbXBsZSBub25jZQA=", 400},
        {"dGhlIHNhbXBsZSBub25j", 400},
        {"dGhlIHNhbXBsZSBub2=jZQ==", 400},
        {"dGhlIHNhbXBsZSBub2 jZQ==", 400},
        {"dGhlIHNhbXBsZSBub2-jZQ==", 400},
        {"dGhlIHNhbXBsZSBub2_jZQ==", 400},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAA==", 400},
    };
    char fields[256];

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void) snprintf(fields, sizeof fields,
                        HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: %s\r\n", cases[i].key);
        check("GET /ws HTTP/1.1", fields, cases[i].status);
    }
}

/* RFC 9112, 3.2 */
static void a_request_needs_exactly_one_valid_host(void **state)
{
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"Host: example.com\r\n", 101},
        {"host: example.com:8000\r\n", 101},
        {"Host: [::1]:8000\r\n", 101},
        {"Host: 127.0.0.1\r\n", 101},
        {"", 400},
        {"Host:\r\n", 400},
        {"Host: h\r\nHost: h\r\n", 400},
        {"Host: h\r\nHost:\r\n", 400},
        {"Host: a, b\r\n", 400},
        {"Host: a b\r\n", 400},
        {"Host: user@h\r\n", 400},
        {"Host: http://h\r\n", 400},
        {"Host: h/ws\r\n", 400},
        {"Host: h?x\r\n", 400},
        {"Host: h#x\r\n", 400},
        {"Host: <h>\r\n", 400},
    };
    char fields[256];

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void) snprintf(fields, sizeof fields, "%s" UPGRADE CONNECTION KEY VERSION, cases[i].host);
        check("GET /ws HTTP/1.1", fields, cases[i].status);
    }
}

static void http_1_0_needs_no_host_and_gets_no_upgrade(void **state)
{
    (void) state;
    check("GET /ws HTTP/1.0", "", 426);
    check("GET /ws HTTP/1.0", ALL, 426);
    check("GET /ws HTTP/1.0", "Host: a\r\nHost: b\r\n", 400);
    check("GET /ws HTTP/1.0", "Host:\r\n", 400);
    check("GET /x HTTP/1.0", "", 404);
    check("HEAD /ws HTTP/1.0", "", 405);
}

static void only_the_one_path_is_served_with_any_query_and_in_both_forms(void **state)
{
    static const struct {
        const char *target;
        int status;
    } cases[] = {
        {"/ws", 101},
        {"/ws?", 101},
        {"/ws?x=/y?z", 101},
        {"http://h/ws", 101},
        {"HTTP://h:80/ws?x", 101},
        {"https://h/ws", 101},
        {"ws://h/ws", 101},
        {"wss://h/ws", 101},
        {"/", 404},
        {"/w", 404},
        {"/ws/", 404},
        {"/wsx", 404},
        {"/WS", 404},
        {"/%77s", 101}, /* RFC 3986, 6.2.2.2 */
        {"//ws", 404},
        {"/x/../ws", 404},
        {"/?/ws", 404},
        {"http://h", 404},
        {"http://h/", 404},
        {"http://h?/ws", 404},
        {"http://h?x/ws", 404},
        {"http://h/ws/ws", 101},
        {"/ws/a.b-c_d~e/F9", 101},
        {"/ws//a", 404},
        {"/ws/a/", 404},
        {"/ws/a/../b", 404},
        {"/ws/a%20b", 404},
        {"/http://h/ws", 404},
        {"http://ws://h/ws", 404},
        {"ftp://h/ws", 404},
        {"*", 404},
        {"/ws#f", 400},
        {"/#", 400},
    };
    char line[128];

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void) snprintf(line, sizeof line, "GET %s HTTP/1.1", cases[i].target);
        check(line, ALL, cases[i].status);
    }
}

static void the_root_may_be_the_path_also_where_a_target_leaves_it_out(void **state)
{
    static const struct server_handshake_policy policy = {.path = "/"};
    static const char *const targets[] = {"/", "/?x", "http://h", "http://h/", "http://h?x=/y"};

    (void) state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct server_handshake_verdict verdict;
        struct http_head head;
        char text[512];
        int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" ALL "\r\n", targets[i]);

        parse(&head, HTTP_HEAD_REQUEST, text, (size_t) len);
        server_handshake_check(&head, &policy, false, &verdict);
        http_head_deinit(&head);
        if (verdict.status != 101)
            fail_msg("%d for %s", verdict.status, targets[i]);
    }
}

static void only_get_is_allowed(void **state)
{
    static const char *const methods[] = {"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
    char line[64];

    (void) state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        (void) snprintf(line, sizeof line, "%s /ws HTTP/1.1", methods[i]);
        check(line, ALL, 405);
    }
    check("CONNECT h:80 HTTP/1.1", ALL, 404);
}

/* Each request is wrong in all that comes after the thing that decides, too. */
static void the_first_thing_that_is_wrong_decides(void **state)
{
    (void) state;
    check("POST /x HTTP/1.1", "", 400);    /* header fields */
    check("POST /x HTTP/1.1", HOST, 404);  /* target */
    check("POST /ws HTTP/1.1", HOST, 405); /* method */
    check("GET /ws HTTP/1.1", HOST, 426);  /* upgrade */
    check("GET /ws HTTP/1.1", HOST UPGRADE KEY KEY "Origin: x\r\n", 400);
    check("GET /ws HTTP/1.1", ALL "Origin: x\r\n", 403); /* origin */
}

/* RFC 6455, 10.2. What an origin is, test_origin.c knows better. */
static void a_stranger_origin_is_403_and_its_answer_names_the_way_in(void **state)
{
    struct server_handshake_verdict verdict;

    (void) state;
    check("GET /ws HTTP/1.1", ALL "Origin: http://h\r\n", 101);
    check("GET /ws HTTP/1.1", ALL "Origin: http://elsewhere\r\n", 403);
    check("GET /ws HTTP/1.1", ALL "Origin: http://h\r\nOrigin: http://h\r\n", 403);
    verdict = judge("GET /ws HTTP/1.1", ALL "Origin: http://elsewhere:81\r\n");
    assert_int_equal(verdict.status, 403);
    assert_non_null(strstr(verdict.text, "--origin 'http://elsewhere:81'"));
    /* One that can never be let in names none, and nothing that may be secret. */
    verdict = judge("GET /ws HTTP/1.1", ALL "Origin: http://user:secret@h\r\n");
    assert_int_equal(verdict.status, 403);
    assert_null(strstr(verdict.why, "secret"));
    assert_null(strstr(verdict.why, "--origin"));
}

/* nginx asks with HTTP/1.0 and keeps Upgrade to itself, unless it is told otherwise. */
static void a_websocket_that_a_proxy_has_lost_names_the_proxy(void **state)
{
    static const char *const fields[] = {
        HOST UPGRADE KEY,
        HOST "Connection: close\r\nSec-WebSocket-Version: 13\r\n" KEY,
    };

    (void) state;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct server_handshake_verdict verdict = judge("GET /ws HTTP/1.0", fields[i]);

        assert_int_equal(verdict.status, 426);
        assert_true(verdict.by_proxy);
        assert_false(verdict.plain);
        assert_non_null(strstr(verdict.why, "proxy speak HTTP/1.1"));
    }
    assert_true(judge("GET /ws HTTP/1.1", fields[1]).by_proxy);
    assert_false(judge("GET /ws HTTP/1.1", HOST).by_proxy);
    assert_false(judge("GET /ws HTTP/1.0", HOST).by_proxy);
}

/* A request that asks for nothing special. */
static const struct client_handshake_request plain = {.authority = "h", .target = "/"};

static void the_response_is_accepted_by_the_client_whose_key_it_answers(void **state)
{
    static const struct server_handshake_verdict verdict = {.status = 101, .accept = SAMPLE_ACCEPT};
    struct client_handshake client = {.key = SAMPLE_KEY, .accept = SAMPLE_ACCEPT};
    struct extension_deflate deflate;
    struct buffer out = {0};
    struct http_head head;
    struct error error;

    (void) state;
    assert_int_equal(buffer_append(&out, "before", 6), 0);
    assert_int_equal(server_handshake_write(&out, &verdict, (struct event_id){1, 2}), 0);
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
    struct server_handshake_verdict verdict;
    char fields[256];

    (void) state;
    assert_int_equal(client_handshake_init(&one), 0);
    assert_int_equal(client_handshake_init(&other), 0);
    assert_string_not_equal(one.key, other.key);
    (void) snprintf(fields, sizeof fields,
                    HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: %s\r\n", one.key);
    verdict = judge("GET /ws HTTP/1.1", fields);
    assert_int_equal(verdict.status, 101);
    assert_string_equal(verdict.accept, one.accept);
}

static void the_request_is_one_that_a_server_accepts(void **state)
{
    static const struct server_handshake_policy policy = {.path = "/ws"};
    static const struct client_handshake_request request = {.authority = "[::1]:8000",
                                                            .target = "/ws?x=1"};
    struct client_handshake client;
    struct server_handshake_verdict verdict;
    struct buffer out = {0};
    struct http_head head;

    (void) state;
    assert_int_equal(client_handshake_init(&client), 0);
    assert_int_equal(client_handshake_write_request(&client, &out, &request), 0);
    parse(&head, HTTP_HEAD_REQUEST, (const char *) out.data, out.len);
    server_handshake_check(&head, &policy, false, &verdict);
    assert_int_equal(verdict.status, 101);
    assert_string_equal(verdict.accept, client.accept);
    assert_string_equal(http_head_get(&head, "Host"), "[::1]:8000");
    assert_string_equal(http_head_target(&head), "/ws?x=1");
    assert_null(http_head_get(&head, "Sec-WebSocket-Extensions"));
    http_head_deinit(&head);
    buffer_deinit(&out);
}

/* A client and a server that offer compression or not, from request to response. */
static bool agree(bool client_offers, bool server_takes)
{
    struct server_handshake_policy policy = {.path = "/", .compression = server_takes};
    struct client_handshake_request request = {
        .authority = "h", .target = "/", .compression = client_offers};
    struct client_handshake client;
    struct server_handshake_verdict verdict;
    struct extension_deflate deflate;
    struct buffer out = {0};
    struct http_head head;
    struct error error;

    assert_int_equal(client_handshake_init(&client), 0);
    assert_int_equal(client_handshake_write_request(&client, &out, &request), 0);
    parse(&head, HTTP_HEAD_REQUEST, (const char *) out.data, out.len);
    server_handshake_check(&head, &policy, false, &verdict);
    http_head_deinit(&head);
    assert_int_equal(verdict.status, 101);
    buffer_drop(&out, out.len);
    assert_int_equal(server_handshake_write(&out, &verdict, (struct event_id){1, 2}), 0);
    parse(&head, HTTP_HEAD_RESPONSE, (const char *) out.data, out.len);
    assert_int_equal(client_handshake_check_response(&client, &request, &head, &deflate, &error),
                     0);
    http_head_deinit(&head);
    buffer_deinit(&out);
    assert_int_equal(deflate.agreed, verdict.deflate.agreed);
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
static int judge_response(const char *line, const char *fields, struct error *error)
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
        int status = judge_response("HTTP/1.1 101 Switching Protocols", cases[i].fields, &error);

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

        assert_int_equal(judge_response(cases[i].line, UPGRADE CONNECTION ACCEPT, &error),
                         UV_ECONNREFUSED);
        if (strstr(error.text, cases[i].words) == NULL)
            fail_msg("'%s' for: %s", error.text, cases[i].line);
        assert_null(strchr(error.text, '\x1b'));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_of_the_rfc_is_accepted_with_its_answer),
        cmocka_unit_test(each_field_of_the_upgrade_is_needed_and_judged),
        cmocka_unit_test(only_version_13_is_spoken),
        cmocka_unit_test(a_key_is_16_bytes_in_base64_and_nothing_else),
        cmocka_unit_test(a_request_needs_exactly_one_valid_host),
        cmocka_unit_test(http_1_0_needs_no_host_and_gets_no_upgrade),
        cmocka_unit_test(only_the_one_path_is_served_with_any_query_and_in_both_forms),
        cmocka_unit_test(the_root_may_be_the_path_also_where_a_target_leaves_it_out),
        cmocka_unit_test(only_get_is_allowed),
        cmocka_unit_test(the_first_thing_that_is_wrong_decides),
        cmocka_unit_test(a_stranger_origin_is_403_and_its_answer_names_the_way_in),
        cmocka_unit_test(a_websocket_that_a_proxy_has_lost_names_the_proxy),
        cmocka_unit_test(the_response_is_accepted_by_the_client_whose_key_it_answers),
        cmocka_unit_test(keys_are_fresh_and_their_answers_are_the_servers),
        cmocka_unit_test(the_request_is_one_that_a_server_accepts),
        cmocka_unit_test(compression_is_agreed_on_when_both_sides_want_it),
        cmocka_unit_test(a_101_must_have_each_field_right),
        cmocka_unit_test(another_status_is_a_refusal_that_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

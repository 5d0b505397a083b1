#include "server/http/routes.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/asked.h"
#include "tests/rules.h"

/* RFC 6455, 1.3 and 4.2.2 */
#define SAMPLE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SAMPLE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* What became of a request. */
struct verdict {
    int status;
    char why[256];
    char allow[REQUEST_MAX_ALLOW];
    char accept[HANDSHAKE_ACCEPT_LEN + 1];
    char channel[CHANNEL_NAME_MAX + 1];
    bool by_proxy;
    bool closes;
    bool has_route;
};

/* Of a request to a server whose endpoint has this path. */
static struct verdict ask(const char *path, const char *line, const char *fields)
{
    const struct server_options options = {.path = path};
    struct channels channels = {._rules = rules_keeping(&(struct history_policy){0})};
    const struct services services = {.options = &options, .channels = &channels};
    struct verdict verdict = {0};
    struct http_head head;
    struct asked asked;
    char text[1024];
    int len = snprintf(text, sizeof text, "%s\r\n%s\r\n", line, fields);
    size_t used;

    assert_in_range(len, 1, sizeof text - 1);
    http_head_init(&head, HTTP_HEAD_REQUEST);
    if (http_head_feed(&head, (const uint8_t *) text, (size_t) len, &used) != HTTP_HEAD_DONE)
        fail_msg("not a head: %s", text);
    asked_of(&asked, &head, &services, false);
    verdict.status = asked.status;
    if (asked.why != NULL)
        (void) snprintf(verdict.why, sizeof verdict.why, "%s", asked.why);
    memcpy(verdict.allow, asked.request.allow, sizeof verdict.allow);
    memcpy(verdict.accept, asked.request.join.handshake.accept, sizeof verdict.accept);
    memcpy(verdict.channel, asked.request.channel.name, sizeof verdict.channel);
    verdict.by_proxy = asked.request.response.by_proxy;
    verdict.closes = asked.request.response.closes;
    verdict.has_route = asked.route != NULL;
    response_deinit(&asked.request.response);
    http_head_deinit(&head);
    return verdict;
}

static struct verdict outcome_of(const char *line, const char *fields)
{
    return ask("/ws", line, fields);
}

static void check(const char *line, const char *fields, int status)
{
    struct verdict verdict = outcome_of(line, fields);

    if (verdict.status != status)
        fail_msg("%d instead of %d:\n%s\n%s", verdict.status, status, line, fields);
    if (status == 101)
        assert_int_equal(strlen(verdict.accept), HANDSHAKE_ACCEPT_LEN);
    else if (status >= 400)
        assert_string_not_equal(verdict.why, "");
    assert_null(strchr(verdict.why, '\n'));
}

#define HOST "Host: h\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: " SAMPLE_KEY "\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define ALL HOST UPGRADE CONNECTION KEY VERSION

static void the_sample_of_the_rfc_is_accepted_with_its_answer(void **state)
{
    struct verdict verdict = outcome_of("GET /ws HTTP/1.1", ALL);

    (void) state;
    assert_int_equal(verdict.status, 101);
    assert_string_equal(verdict.accept, SAMPLE_ACCEPT);
}

static void each_field_of_the_handshake_is_needed_and_checked(void **state)
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
    check("HEAD /ws HTTP/1.0", "", 426);
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
    static const char *const targets[] = {"/", "/?x", "http://h", "http://h/", "http://h?x=/y"};
    char line[64];

    (void) state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        (void) snprintf(line, sizeof line, "GET %s HTTP/1.1", targets[i]);
        if (ask("/", line, ALL).status != 101)
            fail_msg("not 101 for %s", targets[i]);
    }
}

static void a_handshake_is_a_get(void **state)
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
    check("POST /x HTTP/1.1", "", 400);   /* header fields */
    check("POST /x HTTP/1.1", HOST, 404); /* target */
    check("PUT /ws HTTP/1.1", HOST, 405); /* method */
    check("GET /ws HTTP/1.1", HOST, 426); /* upgrade */
    check("GET /ws HTTP/1.1", HOST UPGRADE KEY KEY "Origin: x\r\n", 400);
    check("GET /ws HTTP/1.1", ALL "Origin: x\r\n", 403); /* origin */
}

/* RFC 6455, 10.2. What an origin is, test_origin.c knows better. */
static void a_stranger_origin_is_403_and_its_answer_names_the_way_in(void **state)
{
    struct verdict verdict;

    (void) state;
    check("GET /ws HTTP/1.1", ALL "Origin: http://h\r\n", 101);
    check("GET /ws HTTP/1.1", ALL "Origin: http://elsewhere\r\n", 403);
    check("GET /ws HTTP/1.1", ALL "Origin: http://h\r\nOrigin: http://h\r\n", 403);
    verdict = outcome_of("GET /ws HTTP/1.1", ALL "Origin: http://elsewhere:81\r\n");
    assert_int_equal(verdict.status, 403);
    assert_non_null(strstr(verdict.why, "--origin 'http://elsewhere:81'"));
    /* One that can never be let in names none, and nothing that may be secret. */
    verdict = outcome_of("GET /ws HTTP/1.1", ALL "Origin: http://user:secret@h\r\n");
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
        struct verdict verdict = outcome_of("GET /ws HTTP/1.0", fields[i]);

        assert_int_equal(verdict.status, 426);
        assert_true(verdict.by_proxy);
        assert_non_null(strstr(verdict.why, "proxy speak HTTP/1.1"));
    }
    assert_true(outcome_of("GET /ws HTTP/1.1", fields[1]).by_proxy);
    assert_false(outcome_of("GET /ws HTTP/1.1", HOST).by_proxy);
    assert_false(outcome_of("GET /ws HTTP/1.0", HOST).by_proxy);
}

/* ---- which route ---- */

#define HTML "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
#define EVENTS "Accept: text/event-stream\r\n"

static void a_path_of_its_own_has_the_methods_of_its_routes_and_no_others(void **state)
{
    struct verdict verdict = outcome_of("POST /channels HTTP/1.1", HOST);

    (void) state;
    assert_int_equal(verdict.status, 405);
    assert_string_equal(verdict.allow, "GET, HEAD, OPTIONS");
    assert_int_equal(outcome_of("GET /channels HTTP/1.1", HOST).status, 200);
    assert_int_equal(outcome_of("GET /channels HTTP/1.1", HOST HTML).status, 200);
    assert_int_equal(outcome_of("HEAD /%63hannels?limit=1 HTTP/1.1", HOST).status, 200);
    assert_int_equal(outcome_of("OPTIONS /channels HTTP/1.1", HOST).status, 200);
    assert_int_equal(outcome_of("GET /channels/a HTTP/1.1", HOST).status, 404);
    verdict = outcome_of("DELETE /ws/a HTTP/1.1", HOST);
    assert_int_equal(verdict.status, 405);
    assert_string_equal(verdict.allow, "GET, HEAD, POST, OPTIONS");
}

static void a_channel_whose_path_is_taken_is_404_by_name(void **state)
{
    static const struct {
        const char *line, *fields;
    } cases[] = {
        {"GET /channels HTTP/1.1", ALL},         {"GET /%63hannels HTTP/1.1", ALL},
        {"GET /channels HTTP/1.1", HOST EVENTS}, {"POST /channels HTTP/1.1", HOST},
        {"PUT /channels HTTP/1.1", HOST},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct verdict verdict = ask("/", cases[i].line, cases[i].fields);

        if (verdict.status != 404 || strstr(verdict.why, "'channels'") == NULL)
            fail_msg("%d '%s' for: %s", verdict.status, verdict.why, cases[i].line);
    }
    assert_int_equal(ask("/", "GET /channels HTTP/1.1", HOST).status, 200);
    assert_string_equal(ask("/", "GET /channels/a HTTP/1.1", ALL).channel, "channels/a");
    assert_string_equal(ask("/", "GET /channels2 HTTP/1.1", ALL).channel, "channels2");
}

static void the_endpoint_keeps_its_own_path(void **state)
{
    (void) state;
    assert_int_equal(ask("/channels", "GET /channels HTTP/1.1", ALL).status, 101);
    assert_int_equal(ask("/channels", "GET /channels HTTP/1.1", HOST).status, 426);
}

static void a_channel_of_standard_input_or_output_must_be_one_that_clients_can_reach(void **state)
{
    struct server_options options = {.path = "/", .stdin_channel = "channels"};
    struct error error;

    (void) state;
    assert_int_equal(routes_check(&options, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "--stdin=channels"));
    options =
        (struct server_options){.path = "/", .stdin_channel = "", .stdout_channel = "channels"};
    assert_int_equal(routes_check(&options, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "--stdout=channels"));
    options.path = "/ws";
    assert_int_equal(routes_check(&options, &error), 0);
    options = (struct server_options){.path = "/", .stdin_channel = "channels/a"};
    assert_int_equal(routes_check(&options, &error), 0);
}

static void a_browser_that_asks_for_the_root_as_endpoint_gets_a_page(void **state)
{
    (void) state;
    assert_int_equal(ask("/", "GET / HTTP/1.1", HOST HTML).status, 200);
    assert_int_equal(ask("/", "HEAD / HTTP/1.1", HOST HTML).status, 200);
    assert_int_equal(ask("/", "GET / HTTP/1.1", HOST).status, 426);
    assert_int_equal(ask("/", "GET /a HTTP/1.1", HOST HTML).status, 426);
    assert_int_equal(ask("/", "GET / HTTP/1.1", ALL HTML).status, 101);
    assert_int_equal(outcome_of("GET / HTTP/1.1", HOST HTML).status, 404);
    assert_int_equal(outcome_of("GET /ws HTTP/1.1", HOST HTML).status, 426);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_of_the_rfc_is_accepted_with_its_answer),
        cmocka_unit_test(each_field_of_the_handshake_is_needed_and_checked),
        cmocka_unit_test(only_version_13_is_spoken),
        cmocka_unit_test(a_key_is_16_bytes_in_base64_and_nothing_else),
        cmocka_unit_test(a_request_needs_exactly_one_valid_host),
        cmocka_unit_test(http_1_0_needs_no_host_and_gets_no_upgrade),
        cmocka_unit_test(only_the_one_path_is_served_with_any_query_and_in_both_forms),
        cmocka_unit_test(the_root_may_be_the_path_also_where_a_target_leaves_it_out),
        cmocka_unit_test(a_handshake_is_a_get),
        cmocka_unit_test(the_first_thing_that_is_wrong_decides),
        cmocka_unit_test(a_stranger_origin_is_403_and_its_answer_names_the_way_in),
        cmocka_unit_test(a_websocket_that_a_proxy_has_lost_names_the_proxy),
        cmocka_unit_test(a_path_of_its_own_has_the_methods_of_its_routes_and_no_others),
        cmocka_unit_test(a_channel_whose_path_is_taken_is_404_by_name),
        cmocka_unit_test(the_endpoint_keeps_its_own_path),
        cmocka_unit_test(a_channel_of_standard_input_or_output_must_be_one_that_clients_can_reach),
        cmocka_unit_test(a_browser_that_asks_for_the_root_as_endpoint_gets_a_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

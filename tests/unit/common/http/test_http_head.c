#include "common/http/http_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Feeds `text` in pieces of `step` bytes until the head is more than incomplete, or the text ends.
 * `*used` are the bytes that the head took in all. */
static enum http_head_result feed(struct http_head *head, const char *text, size_t len, size_t step,
                                  size_t *used)
{
    enum http_head_result result = HTTP_HEAD_MORE;

    *used = 0;
    for (size_t at = 0; at < len && result == HTTP_HEAD_MORE; at += step) {
        size_t piece = len - at < step ? len - at : step;
        /* Memory of its own, to its last byte: nothing may be read beyond or kept by reference. */
        uint8_t *copy = malloc(piece);
        size_t taken = SIZE_MAX;

        assert_non_null(copy);
        memcpy(copy, text + at, piece);
        result = http_head_feed(head, copy, piece, &taken);
        free(copy);
        assert_in_range(taken, 0, piece);
        if (result == HTTP_HEAD_MORE)
            assert_int_equal(taken, piece);
        *used += taken;
    }
    return result;
}

/* The result of a head that comes at once; the caller deinitializes it. */
static enum http_head_result parse(struct http_head *head, enum http_head_kind kind,
                                   const char *text)
{
    size_t used;

    http_head_init(head, kind);
    return feed(head, text, strlen(text), strlen(text), &used);
}

/* ---- what a head says ---- */

static const char request[] = "GET /ws?x=1 HTTP/1.1\r\n"
                              "Host: example.com:8000\r\n"
                              "X-Empty:\r\n"
                              "X-Blank:   \t \r\n"
                              "Connection: keep-alive\r\n"
                              "X-Padded: \t a  b \t\r\n"
                              "CONNECTION:Upgrade\r\n"
                              "\r\n";

static void check_request(const struct http_head *head)
{
    size_t cursor = 0;

    assert_string_equal(http_head_method(head), "GET");
    assert_string_equal(http_head_target(head), "/ws?x=1");
    assert_int_equal(head->major, 1);
    assert_int_equal(head->minor, 1);
    assert_true(head->keep_alive);
    assert_false(head->has_body);
    assert_string_equal(http_head_get(head, "host"), "example.com:8000");
    assert_string_equal(http_head_get(head, "X-Empty"), "");
    assert_string_equal(http_head_get(head, "X-Blank"), "");
    assert_string_equal(http_head_get(head, "X-Padded"), "a  b");
    assert_string_equal(http_head_get(head, "Connection"), "keep-alive");
    assert_int_equal(http_head_count(head, "Connection"), 2);
    assert_int_equal(http_head_count(head, "Host"), 1);
    assert_int_equal(http_head_count(head, "Hos"), 0);
    assert_int_equal(http_head_count(head, "Hosts"), 0);
    assert_null(http_head_get(head, "X-None"));
    assert_string_equal(http_head_next(head, "Connection", &cursor), "keep-alive");
    assert_string_equal(http_head_next(head, "connection", &cursor), "Upgrade");
    assert_null(http_head_next(head, "Connection", &cursor));
    cursor = 0;
    assert_null(http_head_next(head, "X-None", &cursor));
    assert_true(http_head_has_token(head, "connection", "upgrade"));
}

static const char response[] = "HTTP/1.1 101 Switching  Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                               "\r\n";

static void check_response(const struct http_head *head)
{
    assert_int_equal(head->status, 101);
    assert_string_equal(http_head_reason(head), "Switching  Protocols");
    assert_string_equal(http_head_get(head, "Upgrade"), "websocket");
    assert_string_equal(http_head_get(head, "sec-websocket-accept"),
                        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* The head, followed by bytes that are not its own, cut in pieces of every size. */
static void check_in_pieces(enum http_head_kind kind, const char *text, size_t len,
                            void (*check)(const struct http_head *head))
{
    char input[512];

    memcpy(input, text, len);
    memcpy(input + len, "\x81\x00GET", 5);
    for (size_t step = 1; step <= len + 5; step++) {
        struct http_head head;
        size_t used;

        http_head_init(&head, kind);
        assert_int_equal(feed(&head, input, len + 5, step, &used), HTTP_HEAD_DONE);
        assert_int_equal(used, len);
        check(&head);
        http_head_deinit(&head);
    }
}

static void a_request_of_any_pieces_says_the_same_and_ends_where_it_ends(void **state)
{
    (void) state;
    check_in_pieces(HTTP_HEAD_REQUEST, request, sizeof request - 1, check_request);
}

static void a_response_of_any_pieces_says_the_same_and_ends_where_it_ends(void **state)
{
    (void) state;
    check_in_pieces(HTTP_HEAD_RESPONSE, response, sizeof response - 1, check_response);
}

static void a_request_may_be_cut_anywhere_in_two(void **state)
{
    size_t len = sizeof request - 1;

    (void) state;
    for (size_t cut = 1; cut < len; cut++) {
        struct http_head head;
        size_t used;

        http_head_init(&head, HTTP_HEAD_REQUEST);
        assert_int_equal(feed(&head, request, cut, cut, &used), HTTP_HEAD_MORE);
        assert_int_equal(feed(&head, request + cut, len - cut, len, &used), HTTP_HEAD_DONE);
        assert_int_equal(used, len - cut);
        check_request(&head);
        http_head_deinit(&head);
    }
}

/* What is asked for in an answer to a bad request must not be the half of something. */
static void method_and_target_are_empty_until_they_are_complete(void **state)
{
    struct http_head head;

    (void) state;
    http_head_init(&head, HTTP_HEAD_REQUEST);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        size_t used;

        assert_int_equal(http_head_feed(&head, (const uint8_t *) request + i, 1, &used),
                         i < sizeof request - 2 ? HTTP_HEAD_MORE : HTTP_HEAD_DONE);
        if (strcmp(http_head_method(&head), "GET") != 0)
            assert_true(i < 4 && *http_head_method(&head) == '\0');
        if (strcmp(http_head_target(&head), "/ws?x=1") != 0)
            assert_true(i < 12 && *http_head_target(&head) == '\0');
    }
    http_head_deinit(&head);
}

static void a_response_needs_no_reason_phrase(void **state)
{
    static const char *const heads[] = {"HTTP/1.1 404 \r\n\r\n", "HTTP/1.1 404\r\n\r\n"};

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct http_head head;

        assert_int_equal(parse(&head, HTTP_HEAD_RESPONSE, heads[i]), HTTP_HEAD_DONE);
        assert_int_equal(head.status, 404);
        assert_string_equal(http_head_reason(&head), "");
        assert_int_equal(http_head_count(&head, ""), 0);
        http_head_deinit(&head);
    }
}

static void a_head_that_has_said_nothing_yet_can_be_asked(void **state)
{
    struct http_head head;

    (void) state;
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_string_equal(http_head_method(&head), "");
    assert_string_equal(http_head_target(&head), "");
    assert_string_equal(http_head_reason(&head), "");
    assert_null(http_head_get(&head, "Host"));
    http_head_deinit(&head);
    http_head_deinit(&head); /* twice is harmless */
}

static void a_token_is_found_in_any_member_of_any_field_and_only_whole(void **state)
{
    static const struct {
        const char *values[2];
        bool found;
    } cases[] = {
        {{"upgrade"}, true},
        {{"UPGRADE"}, true},
        {{"keep-alive, Upgrade"}, true},
        {{"Upgrade,keep-alive"}, true},
        {{"a,\tUpgrade \t, b"}, true},
        {{",, ,Upgrade,,"}, true},
        {{"keep-alive", "Upgrade"}, true},
        {{"", "a, upgrade"}, true},
        {{NULL}, false},
        {{""}, false},
        {{","}, false},
        {{"Upgrade2"}, false},
        {{"xUpgrade"}, false},
        {{"keep Upgrade"}, false},
        {{"Upgrade keep"}, false},
        {{"Upgrade;q=1"}, false},
        {{"\"Upgrade\""}, false},
        {{"Upgrad", "e"}, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head;
        char text[256];
        size_t len = (size_t) snprintf(text, sizeof text, "GET / HTTP/1.1\r\nUpgrade: x\r\n");

        for (size_t j = 0; j < 2 && cases[i].values[j] != NULL; j++)
            len += (size_t) snprintf(text + len, sizeof text - len, "Connection: %s\r\n",
                                     cases[i].values[j]);
        (void) snprintf(text + len, sizeof text - len, "\r\n");
        assert_int_equal(parse(&head, HTTP_HEAD_REQUEST, text), HTTP_HEAD_DONE);
        if (http_head_has_token(&head, "connection", "upgrade") != cases[i].found)
            fail_msg("wrong about '%s', '%s'", cases[i].values[0],
                     cases[i].values[1] != NULL ? cases[i].values[1] : "");
        http_head_deinit(&head);
    }
}

/* ---- what follows a head: RFC 9112, 6.3 and 9.3 ---- */

static void a_head_tells_of_its_body_and_of_the_connections_life(void **state)
{
    static const struct {
        const char *version;
        const char *fields;
        bool has_body, keep_alive;
    } cases[] = {
        {"1.1", "", false, true},
        {"1.0", "", false, false},
        {"1.1", "Connection: close\r\n", false, false},
        {"1.1", "Connection: x, Close\r\n", false, false},
        {"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false, true},
        {"1.0", "Connection: keep-alive\r\n", false, true},
        {"1.1", "Content-Length: 0\r\n", false, true},
        {"1.1", "Content-Length: 3\r\n", true, true},
        {"1.1", "Content-Length: 3\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", true, true},
        {"1.1", "Transfer-Encoding: chunked\r\n", true, true},
        {"1.1", "Transfer-Encoding: gzip, chunked\r\n", true, true},
        {"1.1", "Transfer-Encoding: Chunked\r\nConnection: close\r\n", true, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head;
        char text[256];

        (void) snprintf(text, sizeof text, "GET / HTTP/%s\r\n%s\r\n", cases[i].version,
                        cases[i].fields);
        assert_int_equal(parse(&head, HTTP_HEAD_REQUEST, text), HTTP_HEAD_DONE);
        if (head.has_body != cases[i].has_body || head.keep_alive != cases[i].keep_alive)
            fail_msg("wrong about: %s", text);
        assert_int_equal(head.major, 1);
        assert_int_equal(head.minor, cases[i].version[2] - '0');
        http_head_deinit(&head);
    }
}

/* RFC 9112, 6.3, point 4: where the body of such a request ends, nobody can say. Taking it for no
 * body lets its bytes pass for the next request. */
static void a_transfer_coding_other_than_chunked_is_bad(void **state)
{
    static const char *const codings[] = {"gzip", "identity", "chunked, gzip", "xchunked",
                                          "chunkedx"};

    (void) state;
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        struct http_head head;
        char text[128];

        (void) snprintf(text, sizeof text, "POST / HTTP/1.1\r\nTransfer-Encoding: %s\r\n\r\n",
                        codings[i]);
        if (parse(&head, HTTP_HEAD_REQUEST, text) != HTTP_HEAD_BAD)
            fail_msg("'%s' is accepted, %s a body", codings[i], head.has_body ? "with" : "without");
        http_head_deinit(&head);
    }
}

/* ---- what is refused ---- */

static void check_bad(enum http_head_kind kind, const char *text, size_t len, int status)
{
    static const size_t steps[] = {SIZE_MAX / 2, 1, 7};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct http_head head;
        size_t used;

        http_head_init(&head, kind);
        if (feed(&head, text, len, steps[i], &used) != HTTP_HEAD_BAD)
            fail_msg("not bad: %s", text);
        if (kind == HTTP_HEAD_REQUEST && head.status != status)
            fail_msg("%d instead of %d: %s", head.status, status, text);
        assert_non_null(head.why);
        assert_null(strchr(head.why, '\n'));
        http_head_deinit(&head);
    }
}

static void what_is_malformed_is_400(void **state)
{
    static const char *const heads[] = {
        "\x16\x03\x01\x02\x01",
        "hello\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "GETT / HTTP/1.1\r\n\r\n",
        "GET ws HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / XTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHo st: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n",
        "GET / HTTP/1.1\r\nH\xc3\xb6st: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        check_bad(HTTP_HEAD_REQUEST, heads[i], strlen(heads[i]), 400);
}

static void a_nul_is_400_wherever_it_stands(void **state)
{
    static const char head[] = "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n";

    (void) state;
    for (size_t at = 0; at < sizeof head - 1; at++) {
        char text[sizeof head];

        memcpy(text, head, sizeof head);
        text[at] = '\0';
        /* In or behind the version it may be taken for another version. */
        if (at < 8 || at > 17)
            check_bad(HTTP_HEAD_REQUEST, text, sizeof head - 1, 400);
    }
}

/* RFC 9112, 5.2. Once joined, "web" and "socket" would be a word that nobody sent. */
static void a_field_folded_onto_a_second_line_is_400_wherever_it_is_cut(void **state)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nUpgrade: web\r\n socket\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: web\r\n\tsocket\r\nHost: h\r\n\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t len = strlen(heads[i]);

        for (size_t cut = 1; cut < len; cut++) {
            struct http_head head;
            enum http_head_result result;
            size_t used;

            http_head_init(&head, HTTP_HEAD_REQUEST);
            result = feed(&head, heads[i], cut, len, &used);
            if (result == HTTP_HEAD_MORE)
                result = feed(&head, heads[i] + cut, len - cut, len, &used);
            if (result != HTTP_HEAD_BAD)
                fail_msg("cut at %zu, it is '%s'", cut, http_head_get(&head, "Upgrade"));
            assert_int_equal(head.status, 400);
            http_head_deinit(&head);
        }
    }
}

/* RFC 9112, 5: field-name = token, which has a character at least. */
static void a_field_without_a_name_is_400(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: h\r\n: value\r\n\r\n";

    (void) state;
    check_bad(HTTP_HEAD_REQUEST, head, sizeof head - 1, 400);
}

static void another_version_than_1_is_505(void **state)
{
    static const char *const heads[] = {
        "GET /\r\n\r\n",          "GET / HTTP/0.9\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.7\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        check_bad(HTTP_HEAD_REQUEST, heads[i], strlen(heads[i]), 505);
}

/* llhttp also speaks RTSP and ICE, which have methods of their own and share some of HTTP's. */
static void another_protocol_is_no_http(void **state)
{
    static const char *const heads[] = {
        "GET / RTSP/1.0\r\n\r\n",
        "OPTIONS / RTSP/1.0\r\n\r\n",
        "DESCRIBE rtsp://h/ RTSP/1.0\r\n\r\n",
        "SOURCE / ICE/1.0\r\n\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct http_head head;

        if (parse(&head, HTTP_HEAD_REQUEST, heads[i]) != HTTP_HEAD_BAD)
            fail_msg("accepted: %s", heads[i]);
        http_head_deinit(&head);
    }
}

static void what_is_no_http_response_is_bad(void **state)
{
    static const char *const heads[] = {
        "SSH-2.0-OpenSSH_9.2p1\r\n", "GET / HTTP/1.1\r\n\r\n",
        "HTTP/2 101 \r\n\r\n",       "HTTP/2.0 101 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",  "HTTP/1.1 xyz OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",          "\x81\x00",
    };

    (void) state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        check_bad(HTTP_HEAD_RESPONSE, heads[i], strlen(heads[i]), 0);
}

/* ---- interim responses ---- */

#define EARLY_HINTS "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nUpgrade: h2c\r\n\r\n"

static void check_after_interim(const struct http_head *head)
{
    assert_int_equal(head->status, 101);
    assert_string_equal(http_head_reason(head), "Go");
    assert_null(http_head_get(head, "Link"));
    assert_int_equal(http_head_count(head, "Upgrade"), 1);
    assert_string_equal(http_head_get(head, "Upgrade"), "websocket");
}

static void interim_responses_are_passed_over(void **state)
{
    static const char responses[] = "HTTP/1.1 100 Continue\r\n\r\n" EARLY_HINTS EARLY_HINTS
                                    "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n";

    (void) state;
    check_in_pieces(HTTP_HEAD_RESPONSE, responses, sizeof responses - 1, check_after_interim);
}

static void interim_responses_are_bounded_in_number_and_bytes(void **state)
{
    static const char final[] = "HTTP/1.1 101 Go\r\n\r\n";
    static const char interim[] = "HTTP/1.1 102 Wait\r\n\r\n";
    char *large = malloc(3 * HTTP_HEAD_MAX_BYTES);
    char many[1024] = "";
    size_t len = 0, used;
    struct http_head head;

    (void) state;
    assert_non_null(large);
    for (unsigned i = 0; i < 17; i++, len += sizeof interim - 1)
        memcpy(many + len, interim, sizeof interim);
    memcpy(many + len, final, sizeof final);
    check_bad(HTTP_HEAD_RESPONSE, many, strlen(many), 0);
    http_head_init(&head, HTTP_HEAD_RESPONSE);
    assert_int_equal(http_head_feed(&head, (const uint8_t *) many + sizeof interim - 1,
                                    strlen(many) - (sizeof interim - 1), &used),
                     HTTP_HEAD_DONE);
    assert_int_equal(used, strlen(many) - (sizeof interim - 1));
    http_head_deinit(&head);

    len = 0;
    for (unsigned i = 0; i < 5; i++)
        len += (size_t) snprintf(large + len, HTTP_HEAD_MAX_BYTES,
                                 "HTTP/1.1 103 x\r\nX: %04000d\r\n\r\n", 0);
    check_bad(HTTP_HEAD_RESPONSE, large, len, 0);
    free(large);
}

/* ---- limits ---- */

/* A request with a target of this length; the caller frees it. */
static char *request_with_target(size_t target)
{
    char *text = malloc(target + 64);

    assert_non_null(text);
    memcpy(text, "GET /", 5);
    memset(text + 5, 'x', target - 1);
    memcpy(text + 4 + target, " HTTP/1.1\r\n\r\n", sizeof " HTTP/1.1\r\n\r\n");
    return text;
}

static void a_target_may_be_so_long_and_one_byte_more_is_414(void **state)
{
    static const size_t steps[] = {1, 1000, SIZE_MAX / 2};

    (void) state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char *fits = request_with_target(HTTP_HEAD_MAX_TARGET);
        struct http_head head;
        size_t used;

        http_head_init(&head, HTTP_HEAD_REQUEST);
        assert_int_equal(feed(&head, fits, strlen(fits), steps[i], &used), HTTP_HEAD_DONE);
        assert_int_equal(strlen(http_head_target(&head)), HTTP_HEAD_MAX_TARGET);
        http_head_deinit(&head);
        free(fits);
    }
    for (size_t target = HTTP_HEAD_MAX_TARGET + 1; target < 2 * HTTP_HEAD_MAX_BYTES; target *= 2) {
        char *longer = request_with_target(target);

        check_bad(HTTP_HEAD_REQUEST, longer, strlen(longer), 414);
        free(longer);
    }
}

/* A request of this many bytes in all; the caller frees it. */
static char *request_of(size_t len)
{
    static const char begin[] = "GET / HTTP/1.1\r\nX: ";
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, begin, sizeof begin - 1);
    memcpy(text + len - 4, "\r\n\r\n", 5);
    return text;
}

static void a_head_may_be_so_long_and_one_byte_more_is_431(void **state)
{
    static const size_t steps[] = {1, 1000, SIZE_MAX / 2, HTTP_HEAD_MAX_BYTES};

    (void) state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char *fits = request_of(HTTP_HEAD_MAX_BYTES);
        struct http_head head;
        size_t used;

        http_head_init(&head, HTTP_HEAD_REQUEST);
        assert_int_equal(feed(&head, fits, HTTP_HEAD_MAX_BYTES, steps[i], &used), HTTP_HEAD_DONE);
        assert_int_equal(used, HTTP_HEAD_MAX_BYTES);
        http_head_deinit(&head);
        free(fits);
    }
    for (size_t len = HTTP_HEAD_MAX_BYTES + 1; len < HTTP_HEAD_MAX_BYTES + 10; len++) {
        char *longer = request_of(len);

        check_bad(HTTP_HEAD_REQUEST, longer, len, 431);
        check_bad(HTTP_HEAD_RESPONSE, longer, len, 0);
        free(longer);
    }
}

static void the_limit_is_the_heads_and_not_of_what_follows(void **state)
{
    static char text[4 * HTTP_HEAD_MAX_BYTES];
    size_t len = strlen("GET / HTTP/1.1\r\n\r\n");
    struct http_head head;
    size_t used;

    (void) state;
    memset(text, 'x', sizeof text);
    memcpy(text, "GET / HTTP/1.1\r\n\r\n", len);
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(feed(&head, text, sizeof text, sizeof text, &used), HTTP_HEAD_DONE);
    assert_int_equal(used, len);
    http_head_deinit(&head);
}

/* A request with so many fields; the caller deinitializes the buffer. */
static struct buffer request_with_fields(size_t count)
{
    struct buffer text = {0};

    assert_int_equal(buffer_printf(&text, "GET / HTTP/1.1\r\n"), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(buffer_printf(&text, "X-%zu: %zu\r\n", i, i), 0);
    assert_int_equal(buffer_printf(&text, "\r\n"), 0);
    return text;
}

static void there_may_be_so_many_fields_and_one_more_is_431(void **state)
{
    struct buffer fits = request_with_fields(HTTP_HEAD_MAX_FIELDS);
    struct buffer more = request_with_fields(HTTP_HEAD_MAX_FIELDS + 1);
    struct http_head head;
    size_t used;
    char last[32];

    (void) state;
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(feed(&head, (char *) fits.data, fits.len, fits.len, &used), HTTP_HEAD_DONE);
    (void) snprintf(last, sizeof last, "x-%d", HTTP_HEAD_MAX_FIELDS - 1);
    assert_string_equal(http_head_get(&head, last), last + 2);
    http_head_deinit(&head);
    check_bad(HTTP_HEAD_REQUEST, (char *) more.data, more.len, 431);
    buffer_deinit(&fits);
    buffer_deinit(&more);
}

/* Feeds a request under limits of its own. Returns the status that it earns, 0 if it is good; and
 * the limit that it breaks. */
static int feed_limited(const char *text, size_t len, uint64_t bytes, uint64_t fields,
                        const char **limit)
{
    enum http_head_result result;
    struct http_head head;
    size_t used;
    int status;

    http_head_init(&head, HTTP_HEAD_REQUEST);
    http_head_limit(&head, bytes, fields);
    result = feed(&head, text, len, 1000, &used);
    assert_int_not_equal(result, HTTP_HEAD_MORE);
    status = result == HTTP_HEAD_DONE ? 0 : head.status;
    *limit = head.limit;
    http_head_deinit(&head);
    return status;
}

static void the_limits_can_be_set_or_lifted_and_their_breach_names_the_option(void **state)
{
    struct buffer fields = request_with_fields(1000);
    char *target = request_with_target(60000);
    char *big = request_of(100000);
    const char *limit;

    (void) state;
    assert_int_equal(feed_limited((char *) fields.data, fields.len, 0, 1000, &limit), 0);
    assert_null(limit);
    assert_int_equal(feed_limited((char *) fields.data, fields.len, 0, 999, &limit), 431);
    assert_string_equal(limit, "max-header-count");
    assert_int_equal(feed_limited((char *) fields.data, fields.len, 0, 0, &limit), 0);
    assert_int_equal(feed_limited(big, 100000, 100000, 1, &limit), 0);
    assert_int_equal(feed_limited(big, 100000, 0, 1, &limit), 0);
    assert_int_equal(feed_limited(big, 100000, 99999, 1, &limit), 431);
    assert_string_equal(limit, "max-header-bytes");
    assert_int_equal(feed_limited(target, strlen(target), 120000, 1, &limit), 0);
    assert_int_equal(feed_limited(target, strlen(target), 0, 1, &limit), 0);
    assert_int_equal(feed_limited(target, strlen(target), 119998, 1, &limit), 414);
    assert_string_equal(limit, "max-header-bytes");
    assert_int_equal(feed_limited("GET x\r\n", 7, 100, 1, &limit), 400);
    assert_null(limit);
    buffer_deinit(&fields);
    free(target);
    free(big);
}

/* RFC 9110, 12.5.1 */
static void a_media_type_is_accepted_whatever_its_parameters_but_by_no_wildcard(void **state)
{
    static const struct {
        const char *fields;
        bool accepts;
    } cases[] = {
        {"Accept: text/html\r\n", true},
        {"accept: TEXT/HTML;q=0.8\r\n", true},
        {"Accept: a/b, text/html ;q=0.8,c/d\r\n", true},
        {"Accept: a/b\r\nAccept: text/html\r\n", true},
        {"Accept: */*\r\n", false},
        {"Accept: text/*\r\n", false},
        {"Accept: text/htmlx\r\n", false},
        {"Accept: xtext/html\r\n", false},
        {"Accept:\r\n", false},
        {"X: text/html\r\n", false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head;
        char text[256];
        int len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s\r\n", cases[i].fields);
        size_t used;

        http_head_init(&head, HTTP_HEAD_REQUEST);
        assert_int_equal(http_head_feed(&head, (const uint8_t *) text, (size_t) len, &used),
                         HTTP_HEAD_DONE);
        if (http_head_accepts(&head, "text/html") != cases[i].accepts)
            fail_msg("%d for: %s", !cases[i].accepts, cases[i].fields);
        http_head_deinit(&head);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_of_any_pieces_says_the_same_and_ends_where_it_ends),
        cmocka_unit_test(a_response_of_any_pieces_says_the_same_and_ends_where_it_ends),
        cmocka_unit_test(a_request_may_be_cut_anywhere_in_two),
        cmocka_unit_test(method_and_target_are_empty_until_they_are_complete),
        cmocka_unit_test(a_response_needs_no_reason_phrase),
        cmocka_unit_test(a_head_that_has_said_nothing_yet_can_be_asked),
        cmocka_unit_test(a_token_is_found_in_any_member_of_any_field_and_only_whole),
        cmocka_unit_test(a_head_tells_of_its_body_and_of_the_connections_life),
        cmocka_unit_test(a_transfer_coding_other_than_chunked_is_bad),
        cmocka_unit_test(what_is_malformed_is_400),
        cmocka_unit_test(a_nul_is_400_wherever_it_stands),
        cmocka_unit_test(a_field_folded_onto_a_second_line_is_400_wherever_it_is_cut),
        cmocka_unit_test(a_field_without_a_name_is_400),
        cmocka_unit_test(another_version_than_1_is_505),
        cmocka_unit_test(another_protocol_is_no_http),
        cmocka_unit_test(what_is_no_http_response_is_bad),
        cmocka_unit_test(interim_responses_are_passed_over),
        cmocka_unit_test(interim_responses_are_bounded_in_number_and_bytes),
        cmocka_unit_test(a_target_may_be_so_long_and_one_byte_more_is_414),
        cmocka_unit_test(a_head_may_be_so_long_and_one_byte_more_is_431),
        cmocka_unit_test(the_limit_is_the_heads_and_not_of_what_follows),
        cmocka_unit_test(there_may_be_so_many_fields_and_one_more_is_431),
        cmocka_unit_test(the_limits_can_be_set_or_lifted_and_their_breach_names_the_option),
        cmocka_unit_test(a_media_type_is_accepted_whatever_its_parameters_but_by_no_wildcard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

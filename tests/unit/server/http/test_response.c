#include "server/http/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ALLOW "GET, HEAD, POST, OPTIONS"

/* Writes a refusal and parses it; the caller deinitializes both. */
static void write_refusal(struct buffer *out, struct http_head *head, int status, bool keep_alive,
                          bool head_only)
{
    struct response answer = {.status = status, .why = "do it right", .allow = ALLOW};
    size_t used;

    *out = (struct buffer){0};
    assert_int_equal(response_write(out, &answer, keep_alive, head_only), 0);
    http_head_init(head, HTTP_HEAD_RESPONSE);
    assert_int_equal(http_head_feed(head, out->data, out->len, &used), HTTP_HEAD_DONE);
    assert_int_equal(head->status, status);
    assert_string_equal(http_head_get(head, "Content-Length"), "12");
    assert_memory_equal(http_head_get(head, "Content-Type"), "text/plain", 10);
    if (head_only) {
        assert_int_equal(out->len, used);
    } else {
        assert_int_equal(out->len, used + 12);
        assert_memory_equal(out->data + used, "do it right\n", 12);
    }
}

static void a_refusal_has_a_body_of_its_length_and_says_whether_the_connection_goes_on(void **state)
{
    static const int statuses[] = {400, 403, 404, 405, 408, 413, 414, 426, 431, 503, 505, 499};

    (void) state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            bool keep_alive = (flags & 1) != 0;
            struct buffer out;
            struct http_head head;

            write_refusal(&out, &head, statuses[i], keep_alive, (flags & 2) != 0);
            assert_int_equal(http_head_has_token(&head, "Connection", "close"), !keep_alive);
            assert_true(*http_head_reason(&head) != '\0');
            http_head_deinit(&head);
            buffer_deinit(&out);
        }
    }
}

static void a_refusal_has_the_fields_that_its_status_asks_for(void **state)
{
    struct buffer out;
    struct http_head head;

    (void) state;
    write_refusal(&out, &head, 405, true, false);
    assert_string_equal(http_head_get(&head, "Allow"), "GET, HEAD, POST, OPTIONS");
    assert_string_equal(http_head_reason(&head), "Method Not Allowed");
    http_head_deinit(&head);
    buffer_deinit(&out);

    write_refusal(&out, &head, 426, true, false);
    assert_string_equal(http_head_get(&head, "Upgrade"), "websocket");
    assert_true(http_head_has_token(&head, "Connection", "Upgrade")); /* RFC 9110, 7.8 */
    assert_string_equal(http_head_get(&head, "Sec-WebSocket-Version"), "13");
    assert_string_equal(http_head_reason(&head), "Upgrade Required");
    http_head_deinit(&head);
    buffer_deinit(&out);

    write_refusal(&out, &head, 404, true, false);
    assert_null(http_head_get(&head, "Allow"));
    assert_null(http_head_get(&head, "Upgrade"));
    http_head_deinit(&head);
    buffer_deinit(&out);
}

/* Writes an answer to a page, and parses its head, which the caller deinitializes. */
static void write_to_page(struct http_head *head, struct response *answer)
{
    struct buffer out = {0};
    size_t used;

    answer->allow = ALLOW;
    answer->origin = "https://app.example";
    assert_int_equal(response_write(&out, answer, true, false), 0);
    http_head_init(head, HTTP_HEAD_RESPONSE);
    assert_int_equal(http_head_feed(head, out.data, out.len, &used), HTTP_HEAD_DONE);
    assert_int_equal(
        out.len - used,
        answer->status == 204 ? 0 : strtoul(http_head_get(head, "Content-Length"), NULL, 10));
    buffer_deinit(&out);
}

static void answer_with(struct response *response, const char *json)
{
    response->type = "application/json";
    assert_int_equal(buffer_append(&response->body, json, strlen(json)), 0);
}

/* Fetch, 3.2. */
static void every_answer_to_a_page_may_be_read(void **state)
{
    static const int statuses[] = {200, 204, 400, 403, 404, 405, 408, 413, 426, 429, 431, 503};

    (void) state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct response answer = {.status = statuses[i], .why = statuses[i] >= 400 ? "x" : NULL};
        struct http_head head;

        if (statuses[i] == 200)
            answer_with(&answer, "{}");
        write_to_page(&head, &answer);
        assert_string_equal(http_head_get(&head, "Access-Control-Allow-Origin"),
                            "https://app.example");
        assert_true(http_head_has_token(&head, "Access-Control-Expose-Headers", "Last-Event-ID"));
        assert_true(http_head_has_token(&head, "Vary", "Origin"));
        http_head_deinit(&head);
        response_deinit(&answer);
    }
}

static void a_preflight_says_what_may_be_sent(void **state)
{
    static const char *const fields[] = {"Authorization", "Content-Type", "Last-Event-ID",
                                         "Cache-Control", "Idempotency-Key"};
    struct response answer = {.status = 204};
    struct http_head head;

    (void) state;
    write_to_page(&head, &answer);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_true(http_head_has_token(&head, "Access-Control-Allow-Headers", fields[i]));
    assert_true(http_head_has_token(&head, "Access-Control-Allow-Methods", "POST"));
    assert_null(http_head_get(&head, "Content-Length")); /* RFC 9110, 8.6 */
    http_head_deinit(&head);
}

/* RFC 9110, 5.6.7 and 6.6.1. */
static void every_answer_has_a_date(void **state)
{
    struct response answer = {.status = 404, .why = "x"};
    struct http_head head;
    const char *date;
    struct tm at = {0};
    time_t now = time(NULL);

    (void) state;
    write_to_page(&head, &answer);
    date = http_head_get(&head, "Date");
    assert_non_null(date);
    assert_int_equal(strlen(date), 29);
    assert_non_null(strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &at));
    assert_in_range(timegm(&at), now, now + 5);
    http_head_deinit(&head);
}

/* ---- who may read it ---- */

/* The origin that the response to the beginning of a request names; or NULL. */
static const char *origin_for(const char *beginning, int status, const char *const *allowed,
                              size_t count)
{
    static char origin[64];
    const struct origin_policy origins = {.allowed = allowed, .allowed_count = count};
    struct response response = {.status = status, .why = "x"};
    struct http_head head;
    size_t used;
    bool complete;

    http_head_init(&head, HTTP_HEAD_REQUEST);
    complete = http_head_feed(&head, (const uint8_t *) beginning, strlen(beginning), &used) ==
               HTTP_HEAD_DONE;
    response_address(&response, &head, complete, &origins, false, "/ws");
    if (response.origin != NULL)
        (void) snprintf(origin, sizeof origin, "%s", response.origin);
    http_head_deinit(&head);
    return response.origin != NULL ? origin : NULL;
}

#define BEGINNING "POST /ws HTTP/1.1\r\nHost: h\r\n"

/* 503 at accept, 408, 431. */
static void a_refusal_before_the_origin_is_known_is_for_the_only_one_that_it_can_be(void **state)
{
    static const char *const any[] = {"https://a.example", "*"};
    static const char *const one[] = {"https://a.example"};
    static const char *const two[] = {"https://a.example", "https://b.example"};
    static const char *const wild[] = {"https://*.example"};

    (void) state;
    assert_string_equal(origin_for("", 503, any, 2), "*");
    assert_string_equal(origin_for(BEGINNING, 408, any, 2), "*");
    assert_string_equal(origin_for("", 503, one, 1), "https://a.example");
    assert_string_equal(origin_for(BEGINNING, 431, one, 1), "https://a.example");
    assert_null(origin_for("", 503, two, 2));
    assert_null(origin_for("", 503, wild, 1));
    assert_null(origin_for("", 503, NULL, 0));
}

static void once_the_origin_has_come_it_decides(void **state)
{
    static const char *const two[] = {"https://a.example", "https://b.example"};
    static const char *const any[] = {"*"};
    static const char *const one[] = {"https://a.example"};

    (void) state;
    assert_string_equal(origin_for(BEGINNING "Origin: https://b.example\r\nX: ", 408, two, 2),
                        "https://b.example");
    assert_null(origin_for(BEGINNING "Origin: https://c.example\r\nX: ", 408, one, 1));
    assert_string_equal(origin_for(BEGINNING "Origin: https://c.example\r\n\r\n", 404, any, 1),
                        "https://c.example");
    assert_null(origin_for(BEGINNING "\r\n", 404, any, 1)); /* it is not the request of a page */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_refusal_has_a_body_of_its_length_and_says_whether_the_connection_goes_on),
        cmocka_unit_test(a_refusal_has_the_fields_that_its_status_asks_for),
        cmocka_unit_test(every_answer_to_a_page_may_be_read),
        cmocka_unit_test(a_preflight_says_what_may_be_sent),
        cmocka_unit_test(every_answer_has_a_date),
        cmocka_unit_test(a_refusal_before_the_origin_is_known_is_for_the_only_one_that_it_can_be),
        cmocka_unit_test(once_the_origin_has_come_it_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

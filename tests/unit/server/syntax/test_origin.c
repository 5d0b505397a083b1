#include "server/syntax/origin.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Judges a request with these fields, each with its line's end. */
static enum origin_verdict verdict_by(const char *fields, const char *const *allowed, bool loopback,
                                      bool host_is_known)
{
    struct origin_policy policy = {.allowed = allowed, .host_is_known = host_is_known};
    struct http_head head;
    enum origin_verdict verdict;
    char text[512];
    size_t used;

    while (allowed != NULL && allowed[policy.allowed_count] != NULL)
        policy.allowed_count++;
    (void) snprintf(text, sizeof text, "GET /ws HTTP/1.1\r\n%s\r\n", fields);
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(http_head_feed(&head, (const uint8_t *) text, strlen(text), &used),
                     HTTP_HEAD_DONE);
    verdict = origin_check(&policy, &head, loopback);
    http_head_deinit(&head);
    return verdict;
}

static enum origin_verdict verdict_of(const char *fields, const char *const *allowed, bool loopback)
{
    return verdict_by(fields, allowed, loopback, false);
}

static void check(const char *host, const char *origin, const char *const *allowed, bool loopback,
                  enum origin_verdict expected)
{
    char fields[256];
    enum origin_verdict verdict;

    (void) snprintf(fields, sizeof fields, "Host: %s\r\nOrigin: %s\r\n", host, origin);
    verdict = verdict_of(fields, allowed, loopback);
    if (verdict != expected)
        fail_msg("'%s' at '%s', loopback %d: %d instead of %d", origin, host, loopback,
                 (int) verdict, (int) expected);
}

static void without_a_list_a_page_is_of_the_host_that_it_asks(void **state)
{
    (void) state;
    check("chat.example:80", "https://chat.example", NULL, false, ORIGIN_ADMITTED);
    check("CHAT.example", "http://chat.EXAMPLE:3000", NULL, false, ORIGIN_ADMITTED);
    check("[2001:db8::1]:8000", "http://[2001:db8::1]", NULL, false, ORIGIN_ADMITTED);
    check("chat.example", "https://evil.example", NULL, false, ORIGIN_FOREIGN);
    check("chat.example", "https://chat.example.evil.example", NULL, false, ORIGIN_FOREIGN);
    check("chat.example", "https://xchat.example", NULL, false, ORIGIN_FOREIGN);
    check("chat.example", "null", NULL, false, ORIGIN_FOREIGN);
    assert_int_equal(verdict_of("Host: chat.example\r\n", NULL, false), ORIGIN_NONE);
}

static void through_a_loopback_listener_it_is_of_this_machine(void **state)
{
    static const char *const app[] = {"https://app.example", NULL};
    static const char *const hosts[] = {"localhost", "LOCALHOST", "app.localhost",
                                        "127.0.0.1", "127.9.9.9", "[::1]"};
    static const char *const others[] = {"rebound.example",
                                         "localhost.evil.example",
                                         "127.0.0.1.evil.example",
                                         "xlocalhost",
                                         "[::2]",
                                         "10.0.0.1"};
    char origin[64];

    (void) state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        (void) snprintf(origin, sizeof origin, "http://%s:3000", hosts[i]);
        check(hosts[i], origin, NULL, true, ORIGIN_ADMITTED);
        check(hosts[i], origin, app, true, ORIGIN_ADMITTED);
        (void) snprintf(origin, sizeof origin, "http://%s", others[i]);
        check(others[i], origin, NULL, true, ORIGIN_FOREIGN);
        check(others[i], origin, app, true, ORIGIN_FOREIGN);
    }
}

static void what_is_listed_comes_in_whatever_host_it_asks_for(void **state)
{
    static const char *const list[] = {"https://a.example", "http://b.example:81", NULL};
    static const char *const hosts[] = {"a.example", "feed.example:8000", "localhost", "127.0.0.1"};

    (void) state;
    for (size_t i = 0; i < 2 * sizeof hosts / sizeof *hosts; i++) {
        const char *host = hosts[i / 2];
        bool loopback = i % 2 == 0;

        check(host, "https://a.example", list, loopback, ORIGIN_ADMITTED);
        check(host, "HTTPS://A.example", list, loopback, ORIGIN_ADMITTED);
        check(host, "http://b.example:81", list, loopback, ORIGIN_ADMITTED);
        check(host, "http://a.example", list, loopback, ORIGIN_FOREIGN);
        check(host, "https://a.example:81", list, loopback, ORIGIN_FOREIGN);
        check(host, "http://b.example", list, loopback, ORIGIN_FOREIGN);
        check(host, "https://evil.example", list, loopback, ORIGIN_FOREIGN);
        check(host, "null", list, loopback, ORIGIN_FOREIGN);
    }
    check("chat.example", "https://chat.example", list, false, ORIGIN_FOREIGN);
}

/* Where requests for other names do not come here, their pages may, beside those on the list. */
static void where_the_host_is_known_its_pages_come_in(void **state)
{
    static const char *const list[] = {"https://a.example", NULL};
    static const char own[] = "Host: chat.example\r\nOrigin: https://chat.example\r\n";
    static const char foreign[] = "Host: chat.example\r\nOrigin: https://evil.example\r\n";

    (void) state;
    assert_int_equal(verdict_by(own, list, false, false), ORIGIN_FOREIGN);
    assert_int_equal(verdict_by(own, list, false, true), ORIGIN_ADMITTED);
    assert_int_equal(verdict_by(foreign, list, false, true), ORIGIN_FOREIGN);
    assert_int_equal(verdict_by(foreign, NULL, false, true), ORIGIN_FOREIGN);
}

static void a_wildcard_stands_for_one_or_more_labels(void **state)
{
    static const char *const list[] = {"https://*.app.example", "http://*.localhost:3000", NULL};

    (void) state;
    check("x", "https://a.app.example", list, false, ORIGIN_ADMITTED);
    check("x", "https://A.B.APP.EXAMPLE", list, false, ORIGIN_ADMITTED);
    check("x", "https://a.app.example:443", list, false, ORIGIN_ADMITTED);
    check("x", "http://a.localhost:3000", list, false, ORIGIN_ADMITTED);
    check("x", "https://app.example", list, false, ORIGIN_FOREIGN);
    check("x", "https://evilapp.example", list, false, ORIGIN_FOREIGN);
    check("x", "https://a.app.example.evil.example", list, false, ORIGIN_FOREIGN);
    check("x", "http://a.app.example", list, false, ORIGIN_FOREIGN);
    check("x", "https://a.app.example:8443", list, false, ORIGIN_FOREIGN);
    check("x", "http://a.localhost", list, false, ORIGIN_FOREIGN);
    check("x", "https://.app.example", list, false, ORIGIN_BAD);
    check("x", "https://*.app.example", list, false, ORIGIN_BAD);
}

static void a_default_port_is_none(void **state)
{
    static const char *const list[] = {"https://a.example:443", "http://b.example:80",
                                       "http://c.example:443", NULL};

    (void) state;
    check("x", "https://a.example", list, false, ORIGIN_ADMITTED);
    check("x", "https://a.example:443", list, false, ORIGIN_ADMITTED);
    check("x", "http://b.example", list, false, ORIGIN_ADMITTED);
    check("x", "http://c.example:443", list, false, ORIGIN_ADMITTED);
    check("x", "http://c.example", list, false, ORIGIN_FOREIGN);
    check("x", "https://a.example:80", list, false, ORIGIN_FOREIGN);
}

/* Not even by '*'. */
static void what_is_no_origin_never_comes_in(void **state)
{
    static const char *const all[] = {"*", NULL};
    static const char *const bad[] = {
        "http://127.0.0.1:80@evil.example",
        "http://localhost@evil.example",
        "http://user@localhost",
        "http://localhost/",
        "http://localhost/x",
        "http://localhost?x",
        "http://localhost#x",
        "localhost",
        "//localhost",
        "http:localhost",
        "http:/localhost",
        "://localhost",
        "http://",
        "http://:80",
        "http://localhost:",
        "http://localhost:x",
        "http://localhost:0",
        "http://localhost:65536",
        "http://localhost:999999",
        "http://[::1",
        "http://[]",
        "http://::1",
        "http://a..b",
        "http://.a",
        "http://a b",
        "http://a, http://b",
        "NULL",
        "",
        "http://localhost http://localhost",
        "1http://localhost",
        "http://gr\xc3\xbc\xc3\x9f\x65",
        "http://localhost\\evil",
        "http://local%68ost",
        "http://*",
        "*",
        "http://[::1]x",
    };

    (void) state;
    for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
        check("localhost", bad[i / 2], all, i % 2 == 0, ORIGIN_BAD);
        check("localhost", bad[i / 2], NULL, i % 2 == 0, ORIGIN_BAD);
    }
    assert_int_equal(verdict_of("Host: a\r\nOrigin: http://a\r\nOrigin: http://a\r\n", all, true),
                     ORIGIN_BAD);
    check("x", "https://any.example", all, true, ORIGIN_ADMITTED);
    check("x", "null", all, true, ORIGIN_ADMITTED);
    check("x", "chrome-extension://abcdefghijklmnop", all, true, ORIGIN_ADMITTED);
}

static void a_host_that_is_none_is_nobodys(void **state)
{
    static const char *const hosts[] = {"localhost:x", "localhost:80:80", "", "a..b", "[::1"};

    (void) state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        check(hosts[i], "http://localhost", NULL, true, ORIGIN_FOREIGN);
    assert_int_equal(verdict_of("Origin: http://localhost\r\n", NULL, true), ORIGIN_FOREIGN);
}

static void what_can_never_match_is_not_listed(void **state)
{
    static const char *const good[] = {
        "*",
        "null",
        "https://a.example",
        "HTTP://A:1",
        "https://*.app.example",
        "http://[::1]:3000",
        "https://app.example:443",
        "http://*.localhost",
        "chrome-extension://abc",
        "http://127.0.0.1",
    };
    static const char *const bad[] = {
        "",
        "a.example",
        "https://a.example/",
        "https://a.example/x",
        "https://a.example,https://b",
        "https://a.example https://b",
        "https://*",
        "https://*:80",
        "https://*app.example",
        "https://a.*.example",
        "https://*.*.example",
        "https://*.",
        "https://app.*",
        "https://user@a.example",
        "https://a.example:",
        "https://a.example:70000",
        "*.app.example",
        "ws://a.example",
        "WSS://a.example",
        "https://*.10.0.0.1",
        "https://*.[::1]",
        "Null",
        "https://gr\xc3\xbc\xc3\x9f\x65.example",
        "http//a",
        "'https://a.example'",
    };
    struct error error;

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (origin_check_pattern(good[i], &error) != 0)
            fail_msg("%s", error.text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (origin_check_pattern(bad[i], &error) != UV_EINVAL)
            fail_msg("'%s' is taken", bad[i]);
        assert_non_null(strstr(error.text, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_list_a_page_is_of_the_host_that_it_asks),
        cmocka_unit_test(through_a_loopback_listener_it_is_of_this_machine),
        cmocka_unit_test(what_is_listed_comes_in_whatever_host_it_asks_for),
        cmocka_unit_test(where_the_host_is_known_its_pages_come_in),
        cmocka_unit_test(a_wildcard_stands_for_one_or_more_labels),
        cmocka_unit_test(a_default_port_is_none),
        cmocka_unit_test(what_is_no_origin_never_comes_in),
        cmocka_unit_test(a_host_that_is_none_is_nobodys),
        cmocka_unit_test(what_can_never_match_is_not_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/syntax/server_names.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Whether a server of this one name is asked by it in a request with this Host; NULL: none. */
static bool is_included(const char *name, const char *host, bool tls, bool loopback)
{
    struct server_names names = {&name, 1};
    struct http_head head;
    char text[512];
    size_t used;
    bool included;

    (void) snprintf(text, sizeof text, "GET / HTTP/1.%d\r\n%s%s%s\r\n", host != NULL ? 1 : 0,
                    host != NULL ? "Host: " : "", host != NULL ? host : "",
                    host != NULL ? "\r\n" : "");
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(http_head_feed(&head, (const uint8_t *) text, strlen(text), &used),
                     HTTP_HEAD_DONE);
    included = server_names_include(&names, &head, tls, loopback);
    http_head_deinit(&head);
    return included;
}

static void names_are_hosts_with_or_without_a_port(void **state)
{
    static const char *const good[] = {"feed.example",  "feed.example.", "feed_1.example:8443",
                                       "localhost",     "192.0.2.1",     "192.0.2.1:80",
                                       "[2001:db8::1]", "[::1]:443",     "a"};
    static const char *const bad[] = {"",
                                      ".:",
                                      "*",
                                      "*.example",
                                      "a b",
                                      "a/b",
                                      "http://a",
                                      "a:",
                                      ":80",
                                      "a:b",
                                      "::1",
                                      "[::1",
                                      "[]",
                                      "[::1]x",
                                      "[::1]:",
                                      "a:8000000",
                                      "[feed.example]",
                                      "a,b",
                                      "a:80:80"};

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(server_names_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(server_names_valid(bad[i]));
}

static void without_a_port_any_port_is_meant(void **state)
{
    (void) state;
    assert_true(is_included("feed.example", "feed.example", false, false));
    assert_true(is_included("feed.example", "Feed.Example.:81", false, false));
    assert_true(is_included("feed.example.", "feed.example", false, false));
    assert_false(is_included("feed.example", "xfeed.example", false, false));
    assert_false(is_included("feed.example", "feed.example.org", false, false));
}

static void a_port_is_that_of_the_scheme_where_host_has_none(void **state)
{
    (void) state;
    assert_true(is_included("a:80", "a", false, false));
    assert_false(is_included("a:80", "a", true, false));
    assert_true(is_included("a:443", "a:", true, false));
    assert_true(is_included("a:8000", "a:08000", false, false));
    assert_false(is_included("a:8000", "a:800", false, false));
}

static void on_loopback_this_machines_names_are_good(void **state)
{
    (void) state;
    assert_true(is_included("a", "localhost:8000", false, true));
    assert_true(is_included("a", "[::1]", false, true));
    assert_false(is_included("a", "localhost", false, false));
    assert_false(is_included("a", "b", false, true));
}

static void who_names_no_host_is_no_browser(void **state)
{
    (void) state;
    assert_true(is_included("a", NULL, false, false));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_hosts_with_or_without_a_port),
        cmocka_unit_test(without_a_port_any_port_is_meant),
        cmocka_unit_test(a_port_is_that_of_the_scheme_where_host_has_none),
        cmocka_unit_test(on_loopback_this_machines_names_are_good),
        cmocka_unit_test(who_names_no_host_is_no_browser),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

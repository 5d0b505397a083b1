#include "client/connect/url.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct good {
    const char *text;
    bool secure;
    const char *host;
    uint16_t port;
    const char *authority;
    const char *target;
} good[] = {
    {"ws://h/ws", false, "h", 80, "h", "/ws"},
    {"wss://h/ws", true, "h", 443, "h", "/ws"},
    {"WS://Host/Path", false, "Host", 80, "Host", "/Path"},
    {"wSs://h", true, "h", 443, "h", "/"},
    {"ws://localhost:8000/ws", false, "localhost", 8000, "localhost:8000", "/ws"},
    {"ws://h:80/", false, "h", 80, "h", "/"},
    {"ws://h:443/", false, "h", 443, "h:443", "/"},
    {"wss://h:443/", true, "h", 443, "h", "/"},
    {"wss://h:80/", true, "h", 80, "h:80", "/"},
    {"ws://h:/x", false, "h", 80, "h", "/x"},
    {"ws://h:00080/x", false, "h", 80, "h", "/x"},
    {"ws://h:1", false, "h", 1, "h:1", "/"},
    {"ws://h:65535", false, "h", 65535, "h:65535", "/"},
    {"ws://127.0.0.1:9/", false, "127.0.0.1", 9, "127.0.0.1:9", "/"},
    {"ws://[::1]/", false, "::1", 80, "[::1]", "/"},
    {"ws://[::1]:8000/ws", false, "::1", 8000, "[::1]:8000", "/ws"},
    {"wss://[2001:db8::1:2]:443", true, "2001:db8::1:2", 443, "[2001:db8::1:2]", "/"},
    {"ws://[::ffff:127.0.0.1]:81", false, "::ffff:127.0.0.1", 81, "[::ffff:127.0.0.1]:81", "/"},
    {"ws://h?a=b", false, "h", 80, "h", "/?a=b"},
    {"ws://h/?", false, "h", 80, "h", "/?"},
    {"ws://h/a/b/?c=d&e=%20/?", false, "h", 80, "h", "/a/b/?c=d&e=%20/?"},
    {"ws://h//a//b", false, "h", 80, "h", "//a//b"},
    {"ws://h/a/../b/./c", false, "h", 80, "h", "/a/../b/./c"},
    {"ws://h/%C3%a9;x=1,2", false, "h", 80, "h", "/%C3%a9;x=1,2"},
    {"ws://a_b.example-1/", false, "a_b.example-1", 80, "a_b.example-1", "/"},
};

static void a_url_is_cut_into_what_a_client_needs(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct error error = {""};
        struct url url;

        if (url_init(&url, good[i].text, &error) != 0)
            fail_msg("%s: %s", good[i].text, error.text);
        if (url.secure != good[i].secure || url.port != good[i].port ||
            strcmp(url.host, good[i].host) != 0 || strcmp(url.authority, good[i].authority) != 0 ||
            strcmp(url.target, good[i].target) != 0)
            fail_msg("%s: got host %s port %u authority %s target %s", good[i].text, url.host,
                     url.port, url.authority, url.target);
        url_deinit(&url);
        assert_null(url.host);
        url_deinit(&url); /* twice is harmless */
    }
}

static const struct bad {
    const char *text;
    const char *word; /* that the explanation has */
} bad[] = {
    {"", "ws://"},
    {"localhost:8000", "ws://"},
    {"h", "ws://"},
    {"/ws", "ws://"},
    {"//h/ws", "ws://"},
    {"ftp://h/", "http://"},
    {"wsx://h/", "ws://"},
    {"w://h/", "ws://"},
    {"ws:h", "host"},
    {"ws:///ws", "host"},
    {"ws://:80/", "host"},
    {"ws://?x", "host"},
    {"ws://h:0/", "port"},
    {"ws://h:65536/", "port"},
    {"ws://h:99999/", "port"},
    {"ws://h:123456/", "port"},
    {"ws://h:18446744073709551696/", "port"}, /* 80 modulo 2^64 */
    {"ws://h:-1/", "not a URL"},
    {"ws://h:8o/", "not a URL"},
    {"ws://h:80:80/", "not a URL"},
    {"ws://h/#", "fragment"},
    {"ws://h/ws#x", "fragment"},
    {"ws://h/a b", "not a URL"},
    {" ws://h/", "not a URL"},
    {"ws://h/\r\nX: y", "not a URL"},
    {"ws://h/\xc3\xa9", "not a URL"},
    {"ws://h\xc3\xa9/", "not a URL"},
    {"ws://h/%2", "not a URL"},
    {"ws://h/%zz", "not a URL"},
    {"ws://h%41/", "percent"},
    {"ws://::1/", "not a URL"},
    {"ws://[::1/", "not a URL"},
    {"ws://[]/", "not a URL"},
    {"ws://[h]/", "not a URL"},
    {"ws://[::1%25lo]/", "not a URL"},
    {"ws://h/<x>", "not a URL"},
};

static void what_is_no_websocket_url_is_refused_with_the_reason(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {""};
        struct url url;

        if (url_init(&url, bad[i].text, &error) != UV_EINVAL)
            fail_msg("'%s' is not refused", bad[i].text);
        if (strstr(error.text, bad[i].word) == NULL)
            fail_msg("'%s' is refused with: %s", bad[i].text, error.text);
        assert_non_null(strstr(error.text, bad[i].text));
        url_deinit(&url);
    }
}

static void a_user_is_decoded_and_kept_out_of_what_people_see(void **state)
{
    static const struct {
        const char *text, *user, *shown;
    } cases[] = {
        {"ws://me:pw@h/ws", "me:pw", "ws://h/ws"},
        {"ws://me@h/ws", "me:", "ws://h/ws"},
        {"ws://m%65:p%40%3A@h:81/a@b?c@d", "me:p@:", "ws://h:81/a@b?c@d"},
        {"ws://@h/", NULL, "ws://h/"},
        {"ws://h/a@b", NULL, "ws://h/a@b"},
        {"ws://me:pw@h/?a=b&token=t@k", "me:pw", "ws://h/?a=b&token=***"},
        {"ws://h/?access_token=tk", NULL, "ws://h/?access_token=***"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        struct url url;

        if (url_init(&url, cases[i].text, &error) != 0)
            fail_msg("%s: %s", cases[i].text, error.text);
        assert_string_equal(url.text, cases[i].shown);
        if (cases[i].user == NULL)
            assert_null(url.user);
        else
            assert_string_equal(url.user, cases[i].user);
        url_deinit(&url);
    }
}

static void what_is_refused_does_not_show_its_password(void **state)
{
    static const char *const cases[] = {
        "ftp://me:pw@h/",  "ws://me:pw@h/ x",    "ws://me:pw%0a@h/", "ws://me:pw%00@h/",
        "ws://me:pw@h/#f", "//me:pw@h",          "me:pw@h",          "ws://me:pw@x@h/",
        "ws://me:a/pw@h/", "ws://me:a?pw@h",     "ws:/me:pw@h",      "ws://me:a#pw@h",
        "ftp://h/?key=pw", "ws://h/?a&key=pw x", "ws://h/?key=pw#f",
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        struct url url;

        if (url_init(&url, cases[i], &error) != UV_EINVAL)
            fail_msg("'%s' is not refused", cases[i]);
        assert_null(strstr(error.text, "pw"));
    }
}

/* What is asked of the server has all that people do not see. */
static void what_is_masked_is_still_sent(void **state)
{
    struct error error = {""};
    struct url url;
    char *text = NULL;

    (void) state;
    assert_int_equal(url_init(&url, "ws://me:pw@h/a?token=s3", &error), 0);
    assert_string_equal(url.target, "/a?token=s3");
    assert_string_equal(url.href, "ws://h/a?token=s3");
    assert_int_equal(url_resolve(&text, &url, "", &error), 0);
    assert_string_equal(text, "ws://h/a?token=s3");
    free(text);
    url_deinit(&url);
}

static void what_hands_type_is_completed(void **state)
{
    static const struct {
        const char *typed, *meant;
    } cases[] = {
        {"localhost:8000/ws", "ws://localhost:8000/ws"},
        {"localhost:8000", "ws://localhost:8000"},
        {"feed.example", "ws://feed.example"},
        {"feed.example/ws?a=b://c", "ws://feed.example/ws?a=b://c"},
        {"[::1]:8000/ws", "ws://[::1]:8000/ws"},
        {"me:pw@h:1/ws", "ws://me:pw@h:1/ws"},
        {":8000", "ws://localhost:8000/ws"},
        {":8000/", "ws://localhost:8000/"},
        {":8000/ws/news", "ws://localhost:8000/ws/news"},
        {":8000?a", "ws://localhost:8000?a"},
        {"ws:8000/ws", "ws://ws:8000/ws"},
        {"ws://h", "ws://h"},
        {"wss://h/x", "wss://h/x"},
        {"http://h", "http://h"},
        {"ftp://h", "ftp://h"},
        {"ws:h", "ws:h"},
        {"ws:/h", "ws:/h"},
        {"wss:", "wss:"},
        {"/ws", "/ws"},
        {"//h/ws", "//h/ws"},
        {"?x", "?x"},
        {"", ""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = url_complete(cases[i].typed);

        assert_string_equal(text, cases[i].meant);
        free(text);
    }
}

/* RFC 3986, 5.4, in our schemes. */
static void a_redirection_is_resolved_as_rfc_3986_has_it(void **state)
{
    static const struct {
        const char *reference, *to;
    } cases[] = {
        {"g", "ws://a/b/c/g"},
        {"./g", "ws://a/b/c/g"},
        {"g/", "ws://a/b/c/g/"},
        {"/g", "ws://a/g"},
        {"//g", "ws://g"},
        {"?y", "ws://a/b/c/d;p?y"},
        {"", "ws://a/b/c/d;p?q"},
        {"../../g", "ws://a/g"},
        {"../../../g", "ws://a/g"},
        {"g#s", "ws://a/b/c/g"},
        {"http://x/y", "ws://x/y"},
        {"HTTPS://x:1/y?z", "wss://x:1/y?z"},
        {"wss://u:p@x/", "wss://x/"},
        {"mailto:x@y", "mailto:x@y"},
    };
    struct error error = {""};
    struct url base;

    (void) state;
    assert_int_equal(url_init(&base, "ws://u:p@a/b/c/d;p?q", &error), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;

        assert_int_equal(url_resolve(&text, &base, cases[i].reference, &error), 0);
        assert_string_equal(text, cases[i].to);
        free(text);
    }
    {
        char *text = NULL;

        assert_int_equal(url_resolve(&text, &base, "ws://x y", &error), UV_EINVAL);
    }
    url_deinit(&base);
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"ws://h/a", "ws://H:80/b?c", true}, {"ws://h/", "ws://h:81/", false},
        {"ws://h/", "wss://h:80/", false},   {"ws://h/", "ws://h.x/", false},
        {"ws://u:p@h/", "ws://h/", true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error;
        struct url a, b;

        assert_int_equal(url_init(&a, cases[i].a, &error), 0);
        assert_int_equal(url_init(&b, cases[i].b, &error), 0);
        assert_int_equal(url_same_origin(&a, &b), cases[i].same);
        url_deinit(&a);
        url_deinit(&b);
    }
}

/* RFC 3986, 3.2.2: an IP literal stands in brackets in a Host field, whatever its version. */
static void an_ip_literal_of_the_future_is_refused_or_keeps_its_brackets(void **state)
{
    struct error error;
    struct url url;
    bool right;

    (void) state;
    right =
        url_init(&url, "ws://[v7.x]:81/", &error) != 0 || strcmp(url.authority, "[v7.x]:81") == 0;
    url_deinit(&url);
    assert_true(right);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_cut_into_what_a_client_needs),
        cmocka_unit_test(what_is_no_websocket_url_is_refused_with_the_reason),
        cmocka_unit_test(a_user_is_decoded_and_kept_out_of_what_people_see),
        cmocka_unit_test(what_is_refused_does_not_show_its_password),
        cmocka_unit_test(what_is_masked_is_still_sent),
        cmocka_unit_test(what_hands_type_is_completed),
        cmocka_unit_test(a_redirection_is_resolved_as_rfc_3986_has_it),
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(an_ip_literal_of_the_future_is_refused_or_keeps_its_brackets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

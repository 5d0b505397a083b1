#include "client/connect/proxy.h"

#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_proxy_is_a_url_of_which_most_may_be_left_out(void **state)
{
    static const struct {
        const char *text;
        enum proxy_kind kind;
        const char *host;
        uint16_t port;
        const char *user; /* "" for none */
    } cases[] = {
        {"h", PROXY_HTTP, "h", 1080, ""},
        {"h:80", PROXY_HTTP, "h", 80, ""},
        {"http://h:3128", PROXY_HTTP, "h", 3128, ""},
        {"HTTP://h:80/", PROXY_HTTP, "h", 80, ""},
        {"https://h", PROXY_HTTPS, "h", 443, ""},
        {"https://h:443", PROXY_HTTPS, "h", 443, ""},
        {"socks5h://h", PROXY_SOCKS5H, "h", 1080, ""},
        {"socks5://h", PROXY_SOCKS5, "h", 1080, ""},
        {"SOCKS://h:7", PROXY_SOCKS5, "h", 7, ""},
        {"socks4a://me@h", PROXY_SOCKS4A, "h", 1080, "me:"},
        {"me:pw@h", PROXY_HTTP, "h", 1080, "me:pw"},
        {"socks5h://me:p%40:w@[::1]:9", PROXY_SOCKS5H, "::1", 9, "me:p@:w"},
        {"http://[::1]", PROXY_HTTP, "::1", 1080, ""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        struct proxy proxy;

        if (proxy_init(&proxy, cases[i].text, &error) != 0)
            fail_msg("%s: %s", cases[i].text, error.text);
        assert_int_equal(proxy.kind, cases[i].kind);
        assert_string_equal(proxy.host, cases[i].host);
        assert_int_equal(proxy.port, cases[i].port);
        assert_string_equal(proxy.user != NULL ? proxy.user : "", cases[i].user);
        assert_null(strstr(proxy.text, "pw"));
        proxy_deinit(&proxy);
        assert_null(proxy.host);
    }
}

static void empty_is_none(void **state)
{
    struct error error;
    struct proxy proxy;

    (void) state;
    assert_int_equal(proxy_init(&proxy, "", &error), 0);
    assert_int_equal(proxy.kind, PROXY_NONE);
}

static void what_is_no_proxy_is_refused_and_keeps_its_secret(void **state)
{
    static const char *const bad[] = {"ftp://me:pw@h", "socks4://me:pw@h", "socks6://me:pw@h",
                                      "http://me:pw@", "me:pw@h:x",        "me:pw@h h",
                                      "me:pw@h:0",     "http://",          "http://me:a/pw@h:1"};

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {""};
        struct proxy proxy;

        if (proxy_init(&proxy, bad[i], &error) == 0)
            fail_msg("%s is taken", bad[i]);
        assert_null(strstr(error.text, "pw"));
        assert_true(error.text[0] != '\0');
    }
}

/* curl's meaning, since 7.86. */
static void who_goes_without(void **state)
{
    static const struct {
        const char *list;
        const char *host;
        bool excepted;
    } cases[] = {
        {"", "h.example", false},
        {"*", "h.example", true},
        {"a,*", "h.example", true},
        {"*.example", "h.example", false},
        {"h.example", "h.example", true},
        {"H.EXAMPLE", "h.example", true},
        {"example", "h.example", true},
        {".example", "h.example", true},
        {".example", "example", true},
        {"ample", "h.example", false},
        {"x, example", "h.example", true},
        {"x example", "h.example", true},
        {"example.", "h.example", true},
        {"example", "h.example.", true},
        {"h.example.org", "h.example", false},
        {".", "h.example", false},
        {",,", "h.example", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.11", false},
        {"2.1", "192.0.2.1", false},
        {"192.0.2.0/24", "192.0.2.77", true},
        {"192.0.2.0/24", "192.0.3.77", false},
        {"192.0.2.0/23", "192.0.3.77", true},
        {"192.0.2.0/31", "192.0.2.2", false},
        {"0.0.0.0/0", "192.0.2.2", true},
        {"192.0.2.0/33", "192.0.2.0", false},
        {"192.0.2.0/", "192.0.2.0", false},
        {"192.0.2.0/x", "192.0.2.0", false},
        {"0.0.0.0/0", "h.example", false},
        {"::1", "::1", true},
        {"[::1]", "::1", true},
        {"0:0::1", "::1", true},
        {"2001:db8::/32", "2001:db8:1::2", true},
        {"2001:db8::/32", "2001:db9::2", false},
        {"0.0.0.0/0", "::1", false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (proxy_is_excepted(cases[i].list, cases[i].host) != cases[i].excepted)
            fail_msg("'%s' and %s", cases[i].list, cases[i].host);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_is_a_url_of_which_most_may_be_left_out),
        cmocka_unit_test(empty_is_none),
        cmocka_unit_test(what_is_no_proxy_is_refused_and_keeps_its_secret),
        cmocka_unit_test(who_goes_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

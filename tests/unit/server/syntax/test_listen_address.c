#include "server/syntax/listen_address.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct listen_address parse(const char *text)
{
    struct listen_address where;
    struct error error = {""};

    if (listen_address_parse(text, &where, &error) != 0)
        fail_msg("%s: %s", text, error.text);
    return where;
}

static void an_address_is_cut_into_host_and_port(void **state)
{
    static const struct {
        const char *text, *host, *port;
    } cases[] = {
        {"127.0.0.1:8000", "127.0.0.1", "8000"},
        {"localhost:0", "localhost", "0"},
        {"h:65535", "h", "65535"},
        {"[::1]:80", "::1", "80"},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", "1"},
        {"[::]:8080", "::", "8080"},
        {"8080", "localhost", "8080"},
        {":8080", "localhost", "8080"},
        {"0", "localhost", "0"},
        {"8080,tls=off", "localhost", "8080"},
        {"[::1]:80,tls=on", "::1", "80"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listen_address where = parse(cases[i].text);

        assert_int_equal(where.kind, LISTEN_ADDRESS_TCP);
        assert_string_equal(where.host, cases[i].host);
        assert_string_equal(where.port, cases[i].port);
        assert_string_equal(where.text, cases[i].text);
    }
}

static const char *const no_addresses[] = {
    "",
    ":",
    "h",
    "h:",
    "h:-1",
    "h:+1",
    "h: 1",
    "h:1 ",
    "h:http",
    "h:65536",
    "h:99999",
    "h:100000",
    "h:000080",
    "65536",
    ":65536",
    "-1",
    "::1:80",
    "::1",
    "[::1]",
    "[::1]:",
    "[::1:80",
    "[]:80",
    "[:80",
    "[::1]x:80",
    "[::1]80",
    "a:b:80",
    ",tls=on",
    "h:80,",
    "h:80,tls",
    "h:80,tls=",
    "h:80,tls=yes",
    "h:80,tls=on,",
    "h:80,mode=0660",
    "h:80,group=x",
    "fd:3,mode=0660",
    "fd:2",
    "fd:",
    "unix:",
    "unix:,tls=on",
    "unix:/a,mode=",
    "unix:/a,mode=8",
    "unix:/a,mode=1777",
    "unix:/a,mode=-1",
    "unix:/a,mode=rw",
    "unix:/a,group=",
    "unix:/a,user=x",
    "unix:/a,b",
};

static void what_is_no_address_is_refused_by_name(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof no_addresses / sizeof *no_addresses; i++) {
        struct listen_address where;
        struct error error = {""};
        char quoted[64];

        if (listen_address_parse(no_addresses[i], &where, &error) != UV_EINVAL)
            fail_msg("'%s' is accepted", no_addresses[i]);
        (void) snprintf(quoted, sizeof quoted, "'%s'", no_addresses[i]);
        if (strstr(error.text, quoted) == NULL)
            fail_msg("'%s' is not named: %s", no_addresses[i], error.text);
    }
}

static void an_address_may_be_a_path_or_a_descriptor(void **state)
{
    struct listen_address where = parse("unix:/run/a:80");

    (void) state;
    assert_int_equal(where.kind, LISTEN_ADDRESS_UNIX);
    assert_string_equal(where.path, "/run/a:80");
    assert_int_equal(where.mode, 0660);
    assert_string_equal(where.group, "");
    assert_int_equal(where.tls, LISTEN_ADDRESS_TLS_DEFAULT);
    where = parse("fd:17,tls=off");
    assert_int_equal(where.kind, LISTEN_ADDRESS_INHERITED);
    assert_int_equal(where.fd, 17);
    assert_int_equal(where.tls, LISTEN_ADDRESS_TLS_OFF);
}

static void settings_may_come_in_any_order(void **state)
{
    struct listen_address where = parse("unix:/run/a,group=www-data,tls=on,mode=600");

    (void) state;
    assert_string_equal(where.path, "/run/a");
    assert_int_equal(where.mode, 0600);
    assert_string_equal(where.group, "www-data");
    assert_int_equal(where.tls, LISTEN_ADDRESS_TLS_ON);
}

static void a_host_may_have_255_bytes_and_no_more(void **state)
{
    struct listen_address where;
    struct error error;
    char text[256 + 4];

    (void) state;
    memset(text, 'h', 256);
    memcpy(text + 255, ":80", 4);
    where = parse(text);
    assert_int_equal(strlen(where.host), 255);
    text[255] = 'h';
    memcpy(text + 256, ":80", 4);
    assert_int_equal(listen_address_parse(text, &where, &error), UV_EINVAL);
}

static void only_what_needs_no_resolver_to_be_this_machine_is_local(void **state)
{
    static const struct {
        const char *text;
        bool local;
    } cases[] = {
        {"9000", true},           {"localhost:1", true}, {"127.8.9.1:1", true},
        {"[::1]:1", true},        {"unix:/s", true},     {"0.0.0.0:1", false},
        {"192.0.2.1:1", false},   {"[::]:1", false},     {"127.example.org:1", false},
        {"example.org:1", false}, {"fd:3", false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listen_address where;
        struct error error;

        assert_int_equal(listen_address_parse(cases[i].text, &where, &error), 0);
        if (listen_address_is_local(&where) != cases[i].local)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_needs_no_resolver_to_be_this_machine_is_local),
        cmocka_unit_test(an_address_is_cut_into_host_and_port),
        cmocka_unit_test(what_is_no_address_is_refused_by_name),
        cmocka_unit_test(an_address_may_be_a_path_or_a_descriptor),
        cmocka_unit_test(settings_may_come_in_any_order),
        cmocka_unit_test(a_host_may_have_255_bytes_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

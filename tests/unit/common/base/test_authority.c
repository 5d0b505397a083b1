#include "common/base/authority.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void host_and_port_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *host, *port;
        bool brackets;
    } cases[] = {
        {"", "", NULL, false},
        {"a.example", "a.example", NULL, false},
        {"a.example:80", "a.example", "80", false},
        {"a.example:", "a.example", "", false},
        {":80", "", "80", false},
        {"[::1]", "::1", NULL, true},
        {"[::1]:8080", "::1", "8080", true},
        {"[]:1", "", "1", true},
        {"[a", NULL, NULL, false},
        {"[::1", NULL, NULL, false},
        {"[::1]x", NULL, NULL, false},
        {"[::1]80", NULL, NULL, false},
        {"::1", NULL, NULL, false},
        {"a:b:c", NULL, NULL, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct authority authority;
        bool valid = authority_split(cases[i].text, strlen(cases[i].text), &authority);

        assert_int_equal(valid, cases[i].host != NULL);
        if (!valid)
            continue;
        assert_int_equal(authority.brackets, cases[i].brackets);
        assert_int_equal(authority.host_len, strlen(cases[i].host));
        assert_memory_equal(authority.host, cases[i].host, authority.host_len);
        assert_int_equal(authority.port != NULL, cases[i].port != NULL);
        if (authority.port == NULL || cases[i].port == NULL)
            continue;
        assert_int_equal(authority.port_len, strlen(cases[i].port));
        assert_memory_equal(authority.port, cases[i].port, authority.port_len);
    }
}

static void only_so_many_characters_are_looked_at(void **state)
{
    struct authority authority;

    (void) state;
    assert_true(authority_split("host:80", 4, &authority));
    assert_null(authority.port);
    assert_true(authority_split("host:80", 6, &authority));
    assert_int_equal(authority.port_len, 1);
    assert_false(authority_split("[::1]:80", 4, &authority));
    assert_int_equal(authority_host_len("[::1]:80:more", 13), 5);
    assert_int_equal(authority_host_len("host:80:more", 12), 4);
    assert_int_equal(authority_host_len("[::1", 4), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_and_port_are_taken_apart),
        cmocka_unit_test(only_so_many_characters_are_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

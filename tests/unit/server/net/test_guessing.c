#include "server/net/guessing.h"

#include <arpa/inet.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};

    if (strchr(text, ':') != NULL)
        assert_int_equal(uv_ip6_addr(text, 1, (struct sockaddr_in6 *) &address), 0);
    else if (*text != '\0')
        assert_int_equal(uv_ip4_addr(text, 1, (struct sockaddr_in *) &address), 0);
    return address;
}

static bool refuse(struct guessing *guessing, const char *text, uint64_t now)
{
    struct sockaddr_storage address = address_of(text);

    return guessing_failed(guessing, (const struct sockaddr *) &address, now);
}

static bool is_blocked(struct guessing *guessing, const char *text, uint64_t now, uint64_t most)
{
    struct sockaddr_storage address = address_of(text);

    return guessing_is_blocked(guessing, (const struct sockaddr *) &address, now, most);
}

static void so_many_failures_block_an_address_for_the_rest_of_their_minute(void **state)
{
    struct guessing guessing;

    (void) state;
    assert_int_equal(guessing_init(&guessing), 0);
    for (uint64_t i = 0; i < 3; i++) {
        assert_false(is_blocked(&guessing, "192.0.2.1", 1000 + i, 3));
        assert_true(refuse(&guessing, "192.0.2.1", 1000 + i));
    }
    assert_true(is_blocked(&guessing, "192.0.2.1", 1000 + GUESSING_MINUTE - 1, 3));
    assert_false(is_blocked(&guessing, "192.0.2.1", 1002, 4));
    assert_false(is_blocked(&guessing, "192.0.2.1", 1002, 0)); /* no limit */
    assert_false(is_blocked(&guessing, "192.0.2.2", 1002, 3));
    assert_false(is_blocked(&guessing, "192.0.2.1", 1000 + GUESSING_MINUTE, 3));
    assert_int_equal(guessing.count, 0);
    guessing_deinit(&guessing);
}

static void a_network_of_ipv6_is_one_address_and_this_machine_is_none(void **state)
{
    struct guessing guessing;

    (void) state;
    assert_int_equal(guessing_init(&guessing), 0);
    assert_true(refuse(&guessing, "2001:db8::1", 0));
    assert_true(refuse(&guessing, "2001:db8::2", 0));
    assert_true(is_blocked(&guessing, "2001:db8::3", 1, 2));
    assert_false(is_blocked(&guessing, "2001:db8:0:1::1", 1, 2));
    assert_false(refuse(&guessing, "127.0.0.1", 0));
    assert_false(refuse(&guessing, "::1", 0));
    assert_false(refuse(&guessing, "", 0));
    assert_int_equal(guessing.count, 1);
    guessing_deinit(&guessing);
}

static void addresses_are_bounded_and_the_oldest_goes_first(void **state)
{
    struct guessing guessing;
    char text[32];

    (void) state;
    assert_int_equal(guessing_init(&guessing), 0);
    for (unsigned i = 0; i < GUESSING_MAX + 100; i++) {
        (void) snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        assert_true(refuse(&guessing, text, i / 100));
    }
    assert_true(guessing.count <= GUESSING_MAX + 1);
    assert_false(is_blocked(&guessing, "10.0.0.1", 700, 1));
    assert_true(is_blocked(&guessing, text, 700, 1));
    guessing_deinit(&guessing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_failures_block_an_address_for_the_rest_of_their_minute),
        cmocka_unit_test(a_network_of_ipv6_is_one_address_and_this_machine_is_none),
        cmocka_unit_test(addresses_are_bounded_and_the_oldest_goes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

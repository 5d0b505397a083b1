#include "common/net/cidr.h"

#include <netinet/in.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool contains(const char *block, const char *address)
{
    struct sockaddr_storage storage = {0};
    struct cidr cidr;

    assert_int_equal(cidr_parse(block, &cidr), 0);
    if (uv_ip4_addr(address, 0, (struct sockaddr_in *) (void *) &storage) != 0)
        assert_int_equal(uv_ip6_addr(address, 0, (struct sockaddr_in6 *) (void *) &storage), 0);
    return cidr_contains(&cidr, (const struct sockaddr *) &storage);
}

static void a_block_has_its_addresses_and_no_others(void **state)
{
    (void) state;
    assert_true(contains("10.0.0.0/8", "10.255.255.255"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("192.0.2.16/29", "192.0.2.23"));
    assert_false(contains("192.0.2.16/29", "192.0.2.24"));
    assert_false(contains("192.0.2.16/29", "192.0.2.15"));
    assert_true(contains("192.0.2.7", "192.0.2.7"));
    assert_false(contains("192.0.2.7", "192.0.2.6"));
    assert_true(contains("0.0.0.0/0", "203.0.113.9"));
    assert_true(contains("fd00::/8", "fdff::1"));
    assert_false(contains("fd00::/8", "fe80::1"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(contains("::/0", "2001:db8::1"));
}

static void a_mapped_address_is_the_ipv4_address(void **state)
{
    (void) state;
    assert_true(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
}

static void what_is_no_block_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0/8",
        "10.0.0.1/8",
        "::1/129",
        "::1/0",
        "fd00::1/8",
        "10.0.0.0/8/8",
        "localhost",
        "10.0.0.0 /8",
        "10.0.0.0/8 ",
        "10.0.0.0/+8",
        "fe80::1%lo",
        "[::1]",
        "unix",
        "00010.00000.00000.00000000000000000000000000000000/8",
    };
    struct cidr block;

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (cidr_parse(texts[i], &block) != UV_EINVAL)
            fail_msg("'%s' is taken for a block", texts[i]);
    }
}

static void an_address_of_another_family_is_in_none(void **state)
{
    struct sockaddr address = {.sa_family = AF_UNIX};
    struct cidr block;

    (void) state;
    assert_int_equal(cidr_parse("::/0", &block), 0);
    assert_false(cidr_contains(&block, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_has_its_addresses_and_no_others),
        cmocka_unit_test(a_mapped_address_is_the_ipv4_address),
        cmocka_unit_test(what_is_no_block_is_refused),
        cmocka_unit_test(an_address_of_another_family_is_in_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

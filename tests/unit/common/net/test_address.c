#include "common/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct sockaddr *address(const char *text)
{
    static struct sockaddr_storage storage;
    struct sockaddr_in *v4 = (struct sockaddr_in *) (void *) &storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) (void *) &storage;

    memset(&storage, 0, sizeof storage);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(4711);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(4711);
    } else {
        storage.ss_family = strcmp(text, "unix") == 0 ? AF_UNIX : AF_UNSPEC;
    }
    return (const struct sockaddr *) &storage;
}

static void what_only_this_machine_has_is_loopback(void **state)
{
    static const char *const local[] = {"127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1",
                                        "unix"};
    static const char *const other[] = {
        "0.0.0.0", "128.0.0.1", "192.0.2.1", "::", "::2", "fe80::1", "::ffff:192.0.2.1", "unknown"};

    (void) state;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        assert_true(address_is_loopback(address(local[i])));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_false(address_is_loopback(address(other[i])));
}

static void the_key_is_the_ipv4_address_or_the_ipv6_network(void **state)
{
    unsigned char one[ADDRESS_KEY_LEN], other[ADDRESS_KEY_LEN];

    (void) state;
    assert_true(address_key(address("192.0.2.1"), one));
    assert_true(address_key(address("::ffff:192.0.2.1"), other));
    assert_memory_equal(one, other, ADDRESS_KEY_LEN);
    assert_true(address_key(address("::ffff:192.0.2.2"), other));
    assert_memory_not_equal(one, other, ADDRESS_KEY_LEN);
    assert_true(address_key(address("2001:db8::1"), one));
    assert_true(address_key(address("2001:db8::2"), other));
    assert_memory_equal(one, other, ADDRESS_KEY_LEN);
    assert_true(address_key(address("2001:db8:0:1::1"), other));
    assert_memory_not_equal(one, other, ADDRESS_KEY_LEN);
    assert_false(address_key(address("127.0.0.1"), one));
    assert_false(address_key(address("::1"), one));
    assert_false(address_key(address("unix"), one));
    assert_false(address_key(address("unknown"), one));
}

static void a_client_is_named_by_address_and_port(void **state)
{
    char name[ADDRESS_NAME_SIZE];

    (void) state;
    assert_string_equal(address_client_name(address("192.0.2.1"), name, sizeof name),
                        "192.0.2.1 port 4711");
    assert_string_equal(address_client_name(address("2001:db8::1"), name, sizeof name),
                        "2001:db8::1 port 4711");
    assert_string_equal(address_client_name(address("unix"), name, sizeof name), "a Unix socket");
    assert_string_equal(address_client_name(address("?"), name, sizeof name), "unknown");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_this_machine_has_is_loopback),
        cmocka_unit_test(the_key_is_the_ipv4_address_or_the_ipv6_network),
        cmocka_unit_test(a_client_is_named_by_address_and_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

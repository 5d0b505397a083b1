#include "server/http/forwarded.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static enum forwarded_result find(const char *peer, const char *fields, struct forwarded *found)
{
    struct trusted_proxies proxies = {.count = 0};
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct http_head head;
    enum forwarded_result result;
    char text[8192];
    size_t used;
    int len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%s\r\n", fields);

    assert_true(len > 0 && (size_t) len < sizeof text);
    assert_int_equal(trusted_proxies_add(&proxies, "10.0.0.0/8"), 0);
    assert_int_equal(trusted_proxies_add(&proxies, "fd00::/8"), 0);
    assert_int_equal(trusted_proxies_add(&proxies, "unix"), 0);
    if (strcmp(peer, "unix") != 0 &&
        uv_ip4_addr(peer, 0, (struct sockaddr_in *) (void *) &address) != 0)
        assert_int_equal(uv_ip6_addr(peer, 0, (struct sockaddr_in6 *) (void *) &address), 0);
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(http_head_feed(&head, (const uint8_t *) text, (size_t) len, &used),
                     HTTP_HEAD_DONE);
    result = forwarded_find(&head, &proxies, (struct sockaddr *) &address, found);
    http_head_deinit(&head);
    return result;
}

/* The client that is found, "unknown", or "not". */
static void is(const char *peer, const char *fields, const char *client)
{
    struct forwarded found;
    char text[INET6_ADDRSTRLEN] = "not";

    switch (find(peer, fields, &found)) {
    case FORWARDED_NOT:
        break;
    case FORWARDED_UNKNOWN:
        (void) snprintf(text, sizeof text, "unknown");
        break;
    case FORWARDED_CLIENT:
        assert_int_equal(uv_ip_name((struct sockaddr *) &found.client, text, sizeof text), 0);
        break;
    }
    if (strcmp(text, client) != 0)
        fail_msg("from %s, %s: %s, not %s", peer, fields, text, client);
}

static void a_connection_that_is_no_trusted_proxys_speaks_for_itself(void **state)
{
    (void) state;
    is("192.0.2.1", "X-Forwarded-For: 198.51.100.1\r\n", "not");
    is("192.0.2.1", "Forwarded: for=198.51.100.1\r\n", "not");
    is("10.0.0.1", "", "not");
    is("unix", "", "not");
}

static void the_client_is_the_last_address_that_is_no_trusted_proxys(void **state)
{
    (void) state;
    is("10.0.0.1", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1");
    is("unix", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1");
    is("fd00::1", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1");
    is("10.0.0.1", "X-Forwarded-For: 1.1.1.1, 198.51.100.1, 10.0.0.3 ,10.0.0.2\r\n",
       "198.51.100.1");
    is("10.0.0.1", "X-Forwarded-For: 1.1.1.1, 198.51.100.1\r\nX-Forwarded-For: 10.0.0.3\r\n",
       "198.51.100.1");
    is("10.0.0.1", "X-Forwarded-For: 10.0.0.4, 10.0.0.3\r\n", "10.0.0.4");
    is("10.0.0.1", "X-Forwarded-For: 198.51.100.1, , \r\n", "198.51.100.1");
    is("10.0.0.1", "X-Forwarded-For: 198.51.100.1:4711\r\n", "198.51.100.1");
    is("10.0.0.1", "Forwarded: for=1.1.1.1, For=\"[2001:db8::1]:4711\";proto=https\r\n",
       "2001:db8::1");
    is("10.0.0.1", "Forwarded: by=10.0.0.1;for=198.51.100.1;host=\"a,b;c\\\"d\", for=10.0.0.9\r\n",
       "198.51.100.1");
}

static void forwarded_wins_over_what_it_has_replaced(void **state)
{
    (void) state;
    is("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=198.51.100.1\r\n", "198.51.100.1");
    is("10.0.0.1", "Forwarded: proto=http\r\nX-Forwarded-For: 1.1.1.1\r\n", "unknown");
}

static void what_has_no_address_is_unknown_and_never_what_stands_before_it(void **state)
{
    (void) state;
    is("10.0.0.1", "X-Forwarded-For: 198.51.100.1, unknown\r\n", "unknown");
    is("10.0.0.1", "X-Forwarded-For: 198.51.100.1, 1.2.3\r\n", "unknown");
    is("10.0.0.1", "X-Forwarded-For: 198.51.100.1, ::1%lo\r\n", "unknown");
    is("10.0.0.1", "Forwarded: for=198.51.100.1, for=_hidden\r\n", "unknown");
    is("10.0.0.1", "Forwarded: for=198.51.100.1, for=\"[::1\"\r\n", "unknown");
    is("10.0.0.1", "Forwarded: for=198.51.100.1, for=\"10.0.0.1\r\n", "unknown");
    is("10.0.0.1", "Forwarded: for=198.51.100.1, for\r\n", "unknown");
    is("10.0.0.1", "Forwarded: for=198.51.100.1, for=\"1.1.1.1\"x\r\n", "unknown");
    is("10.0.0.1",
       "X-Forwarded-For: 198.51.100.1, "
       "11111111111111111111111111111111111111111111111111111111111111111111111111111111\r\n",
       "unknown");
}

static void a_list_of_more_than_32_proxies_is_not_read_to_its_end(void **state)
{
    char fields[4096];
    size_t len = (size_t) snprintf(fields, sizeof fields, "X-Forwarded-For: 198.51.100.1");

    (void) state;
    for (int i = 0; i < 31; i++)
        len += (size_t) snprintf(fields + len, sizeof fields - len, ", 10.0.0.1");
    memcpy(fields + len, "\r\n", 3);
    is("10.0.0.1", fields, "198.51.100.1");
    memcpy(fields + len, ", 10.0.0.1\r\n", 13);
    is("10.0.0.1", fields, "unknown");
}

static void https_is_known_from_the_element_of_the_client(void **state)
{
    struct forwarded found;

    (void) state;
    (void) find("10.0.0.1", "Forwarded: for=198.51.100.1;proto=https, for=10.0.0.2;proto=http\r\n",
                &found);
    assert_true(found.secure);
    (void) find("10.0.0.1", "Forwarded: for=1.1.1.1;proto=https, for=198.51.100.1\r\n", &found);
    assert_false(found.secure);
    (void) find("10.0.0.1", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n",
                &found);
    assert_true(found.secure);
    (void) find("192.0.2.1", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n",
                &found);
    assert_false(found.secure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_is_no_trusted_proxys_speaks_for_itself),
        cmocka_unit_test(the_client_is_the_last_address_that_is_no_trusted_proxys),
        cmocka_unit_test(forwarded_wins_over_what_it_has_replaced),
        cmocka_unit_test(what_has_no_address_is_unknown_and_never_what_stands_before_it),
        cmocka_unit_test(a_list_of_more_than_32_proxies_is_not_read_to_its_end),
        cmocka_unit_test(https_is_known_from_the_element_of_the_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

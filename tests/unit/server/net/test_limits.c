#include "server/net/limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct server_options options;
static struct limits limits;
static struct limits_amount most; /* in a second */

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address = {0};

    if (strcmp(text, "unix") == 0) {
        address.ss_family = AF_UNIX;
    } else if (strchr(text, ':') != NULL) {
        address.ss_family = AF_INET6;
        assert_int_equal(
            inet_pton(AF_INET6, text, &((struct sockaddr_in6 *) (void *) &address)->sin6_addr), 1);
    } else {
        address.ss_family = AF_INET;
        assert_int_equal(
            inet_pton(AF_INET, text, &((struct sockaddr_in *) (void *) &address)->sin_addr), 1);
    }
    return address;
}

static const char *arrive(const char *text, struct limits_address **entry)
{
    struct sockaddr_storage address = address_of(text);

    return limits_arrive(&limits, (const struct sockaddr *) &address, entry);
}

static const char *say(struct limits_address *entry, struct limits_rate **own, uint64_t now,
                       uint64_t messages, uint64_t bytes)
{
    return limits_check_messages(&(struct limits_client){entry, own}, now, &most,
                                 &(struct limits_amount){messages, bytes});
}

static int set_up(void **state)
{
    (void) state;
    options = (struct server_options){.max_connections_per_address = 1};
    return limits_init(&limits, &options, true);
}

static int tear_down(void **state)
{
    (void) state;
    limits_deinit(&limits);
    return 0;
}

static void addresses_are_counted_ipv6_by_its_network_and_mapped_as_ipv4(void **state)
{
    static const struct {
        const char *first, *second;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},        {"192.0.2.1", "192.0.2.2", false},
        {"2001:db8::1", "2001:db8::2", true},    {"2001:db8::1", "2001:db8:0:1::1", false},
        {"::ffff:192.0.2.1", "192.0.2.1", true}, {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct limits_address *first, *second;
        const char *limit;

        assert_null(arrive(cases[i].first, &first));
        assert_non_null(first);
        limit = arrive(cases[i].second, &second);
        if (cases[i].same) {
            assert_string_equal(limit, "max-connections-per-address");
        } else {
            assert_null(limit);
            limits_depart(&limits, second);
        }
        limits_depart(&limits, first);
        assert_null(arrive(cases[i].first, &first));
        limits_depart(&limits, first);
    }
}

static void through_loopback_and_unix_sockets_each_connection_is_a_client(void **state)
{
    static const char *const local[] = {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1",
                                        "unix"};

    (void) state;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        struct limits_address *first, *second;

        assert_null(arrive(local[i], &first));
        assert_null(arrive(local[i], &second));
        assert_null(first);
        limits_depart(&limits, second);
        limits_depart(&limits, first);
    }
}

static const char *move(const char *text, struct limits_address **entry)
{
    struct sockaddr_storage address = address_of(text);

    return limits_move(&limits, (const struct sockaddr *) &address, entry);
}

static void a_connection_that_is_another_clients_counts_there_alone(void **state)
{
    struct limits_address *proxied, *other;

    (void) state;
    assert_null(arrive("127.0.0.1", &proxied)); /* the proxy's, which counts nowhere */
    assert_null(proxied);
    assert_null(move("192.0.2.1", &proxied));
    assert_null(move("192.0.2.1", &proxied)); /* it is there already */
    assert_string_equal(arrive("192.0.2.1", &other), "max-connections-per-address");
    assert_null(move("192.0.2.2", &proxied));
    assert_null(arrive("192.0.2.1", &other));
    assert_string_equal(move("192.0.2.1", &proxied), "max-connections-per-address");
    limits_depart(&limits, other);
    assert_string_equal(arrive("192.0.2.2", &other), "max-connections-per-address"); /* unmoved */
    assert_null(move("127.0.0.1", &proxied));
    assert_null(proxied);
    assert_null(arrive("192.0.2.2", &other));
    limits_depart(&limits, other);
    limits_depart(&limits, proxied);
    assert_int_equal(limits._connections, 0);
}

static void a_rate_is_that_of_all_connections_of_an_address(void **state)
{
    struct limits_address *entry, *same;
    struct limits_rate *own = NULL;
    uint64_t now = uv_hrtime() / 1000000;

    (void) state;
    options.max_connections_per_address = 0;
    most = (struct limits_amount){3, 100};
    assert_null(arrive("192.0.2.1", &entry));
    assert_null(arrive("192.0.2.1", &same));
    assert_ptr_equal(entry, same);
    for (int i = 0; i < 3; i++)
        assert_null(say(entry, &own, now, 1, 9));
    assert_string_equal(say(same, &own, now, 1, 9), "max-messages-per-second");
    assert_null(say(same, &own, now + 1000, 1, 100));
    assert_string_equal(say(entry, &own, now + 1000, 1, 1), "max-bytes-per-second");
    /* A loop whose turn began in the second before is in this one, too. */
    assert_string_equal(say(entry, &own, now, 1, 1), "max-bytes-per-second");
    assert_null(own);
    limits_depart(&limits, same);
    limits_depart(&limits, entry);
}

static void a_client_that_comes_back_in_the_same_second_is_known(void **state)
{
    struct limits_address *entry;
    uint64_t now = uv_hrtime() / 1000000 + 1000; /* that second is not over while this runs */

    (void) state;
    most = (struct limits_amount){1, 0};
    assert_null(arrive("192.0.2.1", &entry));
    assert_null(say(entry, NULL, now, 1, 1));
    limits_depart(&limits, entry);
    assert_null(arrive("192.0.2.1", &entry));
    assert_string_equal(say(entry, NULL, now, 1, 1), "max-messages-per-second");
    limits_depart(&limits, entry);
}

static void an_address_is_forgotten_when_its_second_is_over(void **state)
{
    struct limits_address *entry;
    uint64_t now = uv_hrtime() / 1000000 - 1000;

    (void) state;
    most = (struct limits_amount){1, 0};
    assert_null(arrive("192.0.2.1", &entry));
    assert_null(say(entry, NULL, now, 1, 1));
    limits_depart(&limits, entry);
    assert_null(limits._addresses);
}

static void a_connection_without_an_address_has_a_rate_of_its_own(void **state)
{
    struct limits_rate *one = NULL, *other = NULL;

    (void) state;
    most = (struct limits_amount){1, 0};
    assert_null(say(NULL, &one, 5000, 1, 1));
    assert_null(say(NULL, &other, 5000, 1, 1));
    assert_string_equal(say(NULL, &one, 5999, 1, 1), "max-messages-per-second");
    assert_null(say(NULL, &one, 6000, 1, 1));
    free(one);
    free(other);
}

static void messages_count_as_their_shares_of_the_limits_of_their_channels(void **state)
{
    struct limits_rate *own = NULL;

    (void) state;
    most = (struct limits_amount){4, 0};
    assert_null(say(NULL, &own, 5000, 2, 9)); /* half of what may be sent in a second */
    most = (struct limits_amount){100, 0};
    assert_null(say(NULL, &own, 5000, 50, 9));
    assert_string_equal(say(NULL, &own, 5000, 1, 9), "max-messages-per-second");
    most = (struct limits_amount){0, 0}; /* where there is no limit, none is used up */
    assert_null(say(NULL, &own, 5000, 1000, 9));
    most = (struct limits_amount){UINT32_MAX, UINT32_MAX};
    assert_null(say(NULL, &own, 6000, UINT32_MAX, UINT32_MAX));
    assert_string_equal(say(NULL, &own, 6000, UINT32_MAX, 1), "max-messages-per-second");
    free(own);
}

static void what_fits_into_no_second_is_known_by_its_size(void **state)
{
    (void) state;
    most = (struct limits_amount){3, 100};
    assert_null(limits_check_size(&most, &(struct limits_amount){3, 100}));
    assert_string_equal(limits_check_size(&most, &(struct limits_amount){4, 1}),
                        "max-messages-per-second");
    assert_string_equal(limits_check_size(&most, &(struct limits_amount){1, 101}),
                        "max-bytes-per-second");
    most = (struct limits_amount){0};
    assert_null(limits_check_size(&most, &(struct limits_amount){UINT64_MAX, UINT64_MAX}));
}

static void few_are_told_that_they_are_too_many(void **state)
{
    (void) state;
    options = (struct server_options){.max_connections = 10};
    for (int i = 0; i < 16; i++)
        assert_true(limits_may_refuse(&limits));
    assert_false(limits_may_refuse(&limits));
    limits_refused(&limits);
    assert_true(limits_may_refuse(&limits));
    options.max_connections = 1600;
    for (int i = 16; i < 100; i++)
        assert_true(limits_may_refuse(&limits));
    assert_false(limits_may_refuse(&limits));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            addresses_are_counted_ipv6_by_its_network_and_mapped_as_ipv4, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            through_loopback_and_unix_sockets_each_connection_is_a_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_is_another_clients_counts_there_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rate_is_that_of_all_connections_of_an_address, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_comes_back_in_the_same_second_is_known,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_is_forgotten_when_its_second_is_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_connection_without_an_address_has_a_rate_of_its_own,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            messages_count_as_their_shares_of_the_limits_of_their_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fits_into_no_second_is_known_by_its_size, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(few_are_told_that_they_are_too_many, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

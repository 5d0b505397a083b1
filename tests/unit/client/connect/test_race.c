#include "client/connect/race.h"

#include <netinet/in.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/list.h"

/* RFC 8305, 4 */
static void families_take_turns_and_keep_their_order(void **state)
{
    static const struct {
        const char *given; /* a letter for each address: capitals are IPv6 */
        const char *tried;
    } cases[] = {
        {"", ""},         {"a", "a"},       {"abc", "abc"},     {"AB", "AB"},
        {"Aa", "Aa"},     {"ABab", "AaBb"}, {"abAB", "aAbB"},   {"ABCa", "AaBC"},
        {"aABC", "aABC"}, {"abcA", "aAbc"}, {"ABCDa", "AaBCD"}, {"abABCc", "aAbBcC"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage addresses[8] = {0};
        size_t count = 0;

        for (const char *c = cases[i].given; *c != '\0'; c++) {
            addresses[count].ss_family = *c >= 'a' ? AF_INET : AF_INET6;
            ((struct sockaddr_in *) &addresses[count++])->sin_port = (in_port_t) *c;
        }
        race_interleave(addresses, count);
        for (size_t k = 0; k < count; k++) {
            if (((struct sockaddr_in *) &addresses[k])->sin_port != cases[i].tried[k])
                fail_msg("%s: number %zu is not %c", cases[i].given, k, cases[i].tried[k]);
        }
    }
}

struct result {
    int value;
    unsigned calls;
};

static void on_end(void *owner, int result)
{
    struct result *got = owner;

    got->value = result;
    got->calls++;
}

static void run(uv_loop_t *loop)
{
    assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(loop), 0);
}

static struct sockaddr_storage loopback(uint16_t port)
{
    struct sockaddr_storage address = {0};

    assert_int_equal(uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *) &address), 0);
    return address;
}

static void when_all_have_failed_it_says_why(void **state)
{
    struct sockaddr_storage addresses[] = {loopback(1), {.ss_family = AF_UNIX}};
    struct result result = {0};
    uv_loop_t loop;

    (void) state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_non_null(race_start(&loop, addresses, 2, &result, on_end));
    assert_int_equal(result.calls, 0);
    run(&loop);
    assert_int_equal(result.calls, 1);
    assert_true(result.value < 0);
}

static void a_race_that_is_called_off_says_nothing(void **state)
{
    struct sockaddr_storage addresses[] = {loopback(1), loopback(2)};
    struct result result = {0};
    uv_loop_t loop;

    (void) state;
    assert_int_equal(uv_loop_init(&loop), 0);
    race_cancel(race_start(&loop, addresses, 2, &result, on_end));
    run(&loop);
    assert_int_equal(result.calls, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_take_turns_and_keep_their_order),
        cmocka_unit_test(when_all_have_failed_it_says_why),
        cmocka_unit_test(a_race_that_is_called_off_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

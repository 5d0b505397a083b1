#include "server/config/server_options.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/option_help.h"

enum { MAX_ARGS = 2 * (SERVER_OPTIONS_MAX_LISTENS + 1) };

static int parse(const char *const words[], struct server_options *options, struct error *error)
{
    char program[] = "wsbroadcastd";
    char *arguments[MAX_ARGS + 2] = {program};
    int count = 1;

    for (; words[count - 1] != NULL; count++)
        arguments[count] = (char *) (uintptr_t) words[count - 1];
    *error = (struct error){""};
    return server_options_parse(options, count, arguments, error);
}

static void without_arguments_the_defaults_hold(void **state)
{
    static const char *const none[] = {NULL};
    struct server_options options;
    struct error error;

    (void) state;
    memset(&options, 0xff, sizeof options);
    assert_int_equal(parse(none, &options, &error), 0);
    assert_int_equal(options.listen_count, 0);
    assert_int_equal(options.workers, 1);
    assert_string_equal(options.path, "/ws");
    assert_string_equal(options.prefix, "Message: ");
    assert_int_equal(options.origin_count, 0);
    assert_int_equal(options.max_message, 1024 * 1024);
    assert_int_equal(options.max_lag, 16 * 1024 * 1024);
    assert_int_equal(options.max_channels, 10000);
    assert_false(options.listed_channels);
    assert_int_equal(options.handshake_timeout, 10000);
    assert_int_equal(options.ping_interval, 20000);
    assert_int_equal(options.max_connections, 0);
    assert_false(options.no_compression);
    assert_int_equal(options.compression_level, 6);
    assert_int_equal(options.log_level, LOG_INFO);
    assert_false(options.help);
    assert_false(options.version);
}

static void every_option_is_stored(void **state)
{
    static const char *const words[] = {
        "-l",       "0.0.0.0:80", "--listen=[::]:80", "--path", "/a/%20b",
        "--prefix", "\xc3\xa9: ", "--max-message",    "16M",    "--log-level",
        "debug",    "-V",         "--help",           NULL,
    };
    struct server_options options;
    struct error error;

    (void) state;
    assert_int_equal(parse(words, &options, &error), 0);
    assert_int_equal(options.listen_count, 2);
    assert_string_equal(options.listens[0], "0.0.0.0:80");
    assert_string_equal(options.listens[1], "[::]:80");
    assert_string_equal(options.path, "/a/%20b");
    assert_string_equal(options.prefix, "\xc3\xa9: ");
    assert_int_equal(options.max_message, 16 * 1024 * 1024);
    assert_int_equal(options.log_level, LOG_DEBUG);
    assert_true(options.version);
    assert_true(options.help);
}

static void limits_can_be_met_or_lifted_and_the_prefix_may_be_empty(void **state)
{
    static const char *const none[] = {"--max-message", "0", "--prefix", "", "--path", "/", NULL};
    static const char *const most[] = {"--max-message", "1G", NULL};
    struct server_options options;
    struct error error;

    (void) state;
    assert_int_equal(parse(none, &options, &error), 0);
    assert_int_equal(options.max_message, 0);
    assert_string_equal(options.prefix, "");
    assert_string_equal(options.path, "/");
    assert_int_equal(parse(most, &options, &error), 0);
    assert_int_equal(options.max_message, 1 << 30);
}

/* Every limit has an option of its name, takes 0 for none, and is stored in its member. */
static void each_limit_is_stored_in_its_own_place(void **state)
{
#define LIMIT(name, member) \
    { \
        "--" name, offsetof(struct server_options, member) \
    }
    static const struct {
        const char *option;
        size_t at;
    } limits[] = {
        LIMIT("max-message", max_message),
        LIMIT("max-lag", max_lag),
        LIMIT("max-fragments", max_fragments),
        LIMIT("max-empty-fragments", max_empty_fragments),
        LIMIT("max-header-bytes", max_header_bytes),
        LIMIT("max-header-count", max_header_count),
        LIMIT("max-connections", max_connections),
        LIMIT("max-connections-per-address", max_connections_per_address),
        LIMIT("max-messages-per-second", max_messages_per_second),
        LIMIT("max-bytes-per-second", max_bytes_per_second),
        LIMIT("max-control-per-second", max_control_per_second),
        LIMIT("min-read-rate", min_read_rate),
        LIMIT("handshake-timeout", handshake_timeout),
        LIMIT("close-timeout", close_timeout),
        LIMIT("message-timeout", message_timeout),
        LIMIT("idle-timeout", idle_timeout),
        LIMIT("ping-interval", ping_interval),
        LIMIT("ping-timeout", ping_timeout),
    };
#undef LIMIT

    (void) state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        bool time = strstr(limits[i].option, "timeout") != NULL ||
                    strstr(limits[i].option, "interval") != NULL;
        const char *const three[] = {limits[i].option, "3", NULL};
        const char *const zero[] = {limits[i].option, "0", NULL};
        struct server_options options;
        struct error error;
        uint64_t stored;

        if (parse(three, &options, &error) != 0)
            fail_msg("%s", error.text);
        memcpy(&stored, (char *) &options + limits[i].at, sizeof stored);
        if (stored != (time ? 3000 : 3))
            fail_msg("%s is stored elsewhere", limits[i].option);
        assert_int_equal(parse(zero, &options, &error), 0);
        memcpy(&stored, (char *) &options + limits[i].at, sizeof stored);
        assert_int_equal(stored, 0);
    }
}

static void origins_are_listed_as_given(void **state)
{
    static const char *const words[] = {"--origin",
                                        "https://a.example",
                                        "--origin=http://b:81",
                                        "--origin",
                                        "null",
                                        "--origin",
                                        "*",
                                        NULL};
    struct server_options options;
    struct error error;

    (void) state;
    assert_int_equal(parse(words, &options, &error), 0);
    assert_int_equal(options.origin_count, 4);
    assert_string_equal(options.origins[0], "https://a.example");
    assert_string_equal(options.origins[1], "http://b:81");
    assert_string_equal(options.origins[2], "null");
    assert_string_equal(options.origins[3], "*");
}

static void an_error_names_the_option_and_what_was_given(void **state)
{
    static const struct {
        const char *words[4];
        const char *option;
        const char *given;
    } cases[] = {
        {{"-l", "80000"}, "--listen", "80000"},
        {{"--listen", "h:65536"}, "--listen", "h:65536"},
        {{"--path", ""}, "--path", "''"},
        {{"--path", "ws"}, "--path", "ws"},
        {{"--path", "/a b"}, "--path", "/a b"},
        {{"--path", "/a?b"}, "--path", "/a?b"},
        {{"--path", "/a#b"}, "--path", "/a#b"},
        {{"--path", "/\xc3\xa9"}, "--path", "/\xc3\xa9"},
        {{"--path", "/a\n"}, "--path", "/a\n"},
        {{"--path", "/a\x7f"}, "--path", "/a\x7f"},
        {{"--prefix", "\xff"}, "--prefix", "UTF-8"},
        {{"--max-message", "1T"}, "--max-message", "1T"},
        {{"--max-message", "1073741825"}, "--max-message", "1073741825"},
        {{"--max-message", "-1"}, "--max-message", "-1"},
        {{"--log-level", "loud"}, "--log-level", "loud"},
        {{"--origin", "example.org"}, "--origin", "example.org"},
        {{"--origin", "https://example.org/"}, "--origin", "https://example.org/"},
        {{"--origin", ""}, "--origin", "''"},
        {{"--compression-level", "0"}, "--compression-level", "1 to 9"},
        {{"--compression-level", "10"}, "--compression-level", "1 to 9"},
        {{"--ping-interval", "-1"}, "--ping-interval", "-1"},
        {{"--max-connections", "many"}, "--max-connections", "many"},
        {{"--workers", "0"}, "--workers", "'0'"},
        {{"--workers", "1025"}, "--workers", "1 to 1024"},
        {{"--workers", "all"}, "--workers", "'auto'"},
        {{"--listen", "unix:"}, "--listen", "'unix:'"},
        {{"--listen", "fd:2"}, "--listen", "'fd:2'"},
        {{"--no-such"}, "--no-such", ""},
        {{"operand"}, "operand", ""},
        {{"--", "-V"}, "-V", ""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server_options options;
        struct error error;

        if (parse(cases[i].words, &options, &error) != UV_EINVAL)
            fail_msg("'%s %s' is accepted", cases[i].words[0], cases[i].words[1]);
        if (strstr(error.text, cases[i].option) == NULL ||
            strstr(error.text, cases[i].given) == NULL)
            fail_msg("'%s %s' is refused with: %s", cases[i].words[0], cases[i].words[1],
                     error.text);
    }
}

static void there_is_room_for_so_many_addresses_and_not_one_more(void **state)
{
    const char *words[MAX_ARGS + 1] = {NULL};
    struct server_options options;
    struct error error;

    (void) state;
    for (size_t i = 0; i < SERVER_OPTIONS_MAX_LISTENS; i++) {
        words[2 * i] = "-l";
        words[2 * i + 1] = "h:0";
    }
    assert_int_equal(parse(words, &options, &error), 0);
    assert_int_equal(options.listen_count, SERVER_OPTIONS_MAX_LISTENS);
    words[MAX_ARGS - 2] = "-l";
    words[MAX_ARGS - 1] = "h:0";
    assert_int_equal(parse(words, &options, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "--listen"));
}

static void workers_are_counted_or_as_many_as_there_are_cpus(void **state)
{
    static const char *const four[] = {"-w", "4", NULL}, *const automatic[] = {"-w", "auto", NULL};
    struct server_options options;
    struct error error;
    cpu_set_t cpus;

    (void) state;
    assert_int_equal(parse(four, &options, &error), 0);
    assert_int_equal(options.workers, 4);
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    assert_int_equal(parse(automatic, &options, &error), 0);
    assert_int_equal(options.workers, CPU_COUNT(&cpus));
}

static void help_fits_80_columns_and_shows_every_option(void **state)
{
    (void) state;
    check_help(&server_options_table);
}

static void a_port_is_an_address_of_this_machine(void **state)
{
    static const char *const two[] = {"-p", "8080", "--port=0", NULL};
    static const char *const bad[] = {"-p", ":8080", NULL};
    struct server_options options;
    struct error error;

    (void) state;
    assert_int_equal(parse(two, &options, &error), 0);
    assert_int_equal(options.listen_count, 2);
    assert_string_equal(options.listens[0], "8080");
    assert_string_equal(options.listens[1], "0");
    assert_int_equal(parse(bad, &options, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "--port"));
}

static void certificates_and_keys_come_in_pairs(void **state)
{
    static const char *const pairs[] = {"--tls-cert", "a",        "--tls-cert", "b",
                                        "--tls-key",  "c",        "--tls-key",  "d",
                                        "-l",         "0,tls=on", NULL};
    static const char *const odd[] = {"--tls-cert", "a", "--tls-key", "c", "--tls-key", "d", NULL};
    static const char *const none[] = {"-l", "8080,tls=on", NULL};
    struct server_options options;
    struct error error;

    (void) state;
    assert_int_equal(parse(pairs, &options, &error), 0);
    assert_int_equal(options.tls_cert_count, 2);
    assert_string_equal(options.tls_certs[1], "b");
    assert_string_equal(options.tls_keys[1], "d");
    assert_int_equal(parse(odd, &options, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "in pairs"));
    assert_int_equal(parse(none, &options, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "tls=on needs"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_arguments_the_defaults_hold),
        cmocka_unit_test(every_option_is_stored),
        cmocka_unit_test(limits_can_be_met_or_lifted_and_the_prefix_may_be_empty),
        cmocka_unit_test(each_limit_is_stored_in_its_own_place),
        cmocka_unit_test(origins_are_listed_as_given),
        cmocka_unit_test(an_error_names_the_option_and_what_was_given),
        cmocka_unit_test(there_is_room_for_so_many_addresses_and_not_one_more),
        cmocka_unit_test(workers_are_counted_or_as_many_as_there_are_cpus),
        cmocka_unit_test(a_port_is_an_address_of_this_machine),
        cmocka_unit_test(certificates_and_keys_come_in_pairs),
        cmocka_unit_test(help_fits_80_columns_and_shows_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "client/options/client_options.h"

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

enum { MAX_ARGS = 24 };

static int parse(const char *const words[], struct client_options *options, struct error *error)
{
    char program[] = "wsrecv";
    char *arguments[MAX_ARGS + 2] = {program};
    int count = 1;

    for (; words[count - 1] != NULL; count++)
        arguments[count] = (char *) (uintptr_t) words[count - 1];
    *error = (struct error){""};
    return client_options_init(options, count, arguments, error);
}

static void assert_message(const struct client_options *options, size_t i, const char *text)
{
    const struct buffer *content = &options->messages.items[i].content;

    assert_int_equal(content->len, strlen(text));
    assert_memory_equal(content->data, text, content->len);
}

static void without_arguments_the_defaults_hold(void **state)
{
    static const char *const none[] = {NULL};
    struct client_options options;
    struct error error;

    (void) state;
    memset(&options, 0xff, sizeof options);
    assert_int_equal(parse(none, &options, &error), 0);
    assert_string_equal(options.url, "ws://localhost:8000/ws");
    assert_int_equal(options.messages.count, 0);
    assert_int_equal(options.count, 0);
    assert_int_equal(options.max_message, 16 * 1024 * 1024);
    assert_int_equal(options.timeout, 0);
    assert_int_equal(options.ping_interval, 20000);
    assert_int_equal(options.ping_timeout, 20000);
    assert_int_equal(options.connect_timeout, 30000);
    assert_int_equal(options.idle_timeout, 0);
    assert_int_equal(options.max_redirs, 10);
    assert_false(options.reconnect || options.retry_all_errors || options.ipv4 || options.ipv6);
    assert_false(options.raw || options.send || options.echo || options.no_compression ||
                 options.quiet || options.help || options.version);
    client_options_deinit(&options);
}

static void every_option_is_stored(void **state)
{
    static const char *const words[] = {"-r",
                                        "--count=3",
                                        "-m",
                                        "one",
                                        "ws://h/",
                                        "-s",
                                        "--timeout",
                                        "1.5",
                                        "--message",
                                        "two \xc3\xa9",
                                        "-q",
                                        "-h",
                                        "-V",
                                        "-m",
                                        "",
                                        "--echo",
                                        "--no-compression",
                                        "--max-message",
                                        "2M",
                                        NULL};
    struct client_options options;
    struct error error;

    (void) state;
    assert_int_equal(parse(words, &options, &error), 0);
    assert_string_equal(options.url, "ws://h/");
    assert_int_equal(options.messages.count, 3);
    assert_message(&options, 0, "one");
    assert_message(&options, 1, "two \xc3\xa9");
    assert_message(&options, 2, "");
    assert_int_equal(options.count, 3);
    assert_int_equal(options.timeout, 1500);
    assert_int_equal(options.max_message, 2 * 1024 * 1024);
    assert_true(options.raw && options.send && options.echo && options.no_compression &&
                options.quiet && options.help && options.version);
    client_options_deinit(&options);
    assert_int_equal(options.messages.count, 0);
    client_options_deinit(&options); /* twice is harmless */
}

static void since_is_all_or_a_number_or_an_id(void **state)
{
    static const struct {
        const char *argument;
        struct client_since since;
    } cases[] = {
        {"all", {.kind = CLIENT_SINCE_ALL}},
        {"1", {.kind = CLIENT_SINCE_LAST, .count = 1}},
        {"18446744073709551615", {.kind = CLIENT_SINCE_LAST, .count = UINT64_MAX}},
        {"00112233445566aa-7",
         {.kind = CLIENT_SINCE_ID, .id = {.epoch = 0x00112233445566aa, .sequence = 7}}},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const words[] = {"--since", cases[i].argument, NULL};
        struct client_options options;
        struct error error;

        assert_int_equal(parse(words, &options, &error), 0);
        assert_int_equal(options.since.kind, cases[i].since.kind);
        assert_int_equal(options.since.count, cases[i].since.count);
        if (options.since.kind == CLIENT_SINCE_ID) {
            assert_int_equal(options.since.id.epoch, cases[i].since.id.epoch);
            assert_int_equal(options.since.id.sequence, cases[i].since.id.sequence);
        }
        client_options_deinit(&options);
    }
}

/* LeakSanitizer sees to it that the messages before the error are freed. */
static void an_error_names_the_option_and_leaves_nothing_behind(void **state)
{
    static const struct {
        const char *words[6];
        const char *option;
    } cases[] = {
        {{"-m", "x", "-n", "0"}, "--count"},
        {{"-m", "x", "-n", "-1"}, "--count"},
        {{"-m", "x", "-n", "1K"}, "--count"},
        {{"-m", "x", "--count=18446744073709551616"}, "--count"},
        {{"-m", "x", "--max-message", "2G"}, "--max-message"},
        {{"-m", "x", "--timeout", "0"}, "--timeout"},
        {{"-m", "x", "--timeout", "soon"}, "--timeout"},
        {{"-m", "x", "-m", "\xff"}, "--message"},
        {{"-m", "x", "-m"}, "-m"},
        {{"-m", "x", "--message-file", "/dev/null/x"}, "--message-file"},
        {{"--message-binary"}, "--message-binary"},
        {{"-m", "x", "--no-such"}, "--no-such"},
        {{"-m", "x", "ws://a/", "ws://b/"}, "more than one URL"},
        {{"-H", "Authorization: a", "-u", "a:b"}, "--user"},
        {{"-H", "X: y", "-H", "Authorization:"}, "--header"},
        {{"-m", "x", "--exec", ""}, "--exec"},
        {{"-m", "x", "--exec", " \n"}, "--exec"},
        {{"-H", "X: y", "-H", "Host:"}, "--header"},
        {{"-H", "X: y", "-H", "Upgrade: z"}, "--header"},
        {{"-H", "Host: a", "-H", "host: b"}, "--header"},
        {{"-H", "X: y", "--query", "z"}, "--query"},
        {{"-H", "X: y", "--query", "=z"}, "--query"},
        {{"-H", "X: y", "--sni", "a b"}, "--sni"},
        {{"--subprotocol", "a", "--subprotocol", "a"}, "--subprotocol"},
        {{"--resolve", "h:1:::1", "--resolve", "h"}, "--resolve"},
        {{"--connect-to", "a:1:b:2", "--connect-to", "a:1:b"}, "--connect-to"},
        {{"-H", "X: y", "--user-file=x", "--bearer-file=y"}, "--user-file"},
        {{"-H", "X: y", "--retries", "3"}, "--retries"},
        {{"-m", "x", "--since", "0"}, "--since"},
        {{"-m", "x", "--since", "everything"}, "--since"},
        {{"-m", "x", "--since", "18446744073709551616"}, "--since"},
        {{"-m", "x", "--since", "00112233445566aa-9223372036854775808"}, "--since"},
        {{"-m", "x", "--state-file", "f", "--echo"}, "--state-file"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client_options options;
        struct error error;

        if (parse(cases[i].words, &options, &error) == 0)
            fail_msg("case %zu is accepted", i);
        if (strstr(error.text, cases[i].option) == NULL)
            fail_msg("case %zu is refused with: %s", i, error.text);
    }
}

static void help_fits_80_columns_and_shows_every_option(void **state)
{
    (void) state;
    check_help(&client_options_table);
}

/* The help is where a script's author looks the exit status up. */
static void help_lists_every_exit_status(void **state)
{
    static const int all[] = {
        CLIENT_OK,      CLIENT_OUTPUT,  CLIENT_USAGE,    CLIENT_CONNECT, CLIENT_TLS,
        CLIENT_REFUSED, CLIENT_LOST,    CLIENT_PROTOCOL, CLIENT_CLOSED,  CLIENT_RETRIES,
        CLIENT_GAP,     CLIENT_TIMEOUT, OPTION_STATUS_N,
    };

    (void) state;
    assert_int_equal(client_options_table.status_count, sizeof all / sizeof *all);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(client_options_table.statuses[i].status, all[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_arguments_the_defaults_hold),
        cmocka_unit_test(every_option_is_stored),
        cmocka_unit_test(since_is_all_or_a_number_or_an_id),
        cmocka_unit_test(an_error_names_the_option_and_leaves_nothing_behind),
        cmocka_unit_test(help_fits_80_columns_and_shows_every_option),
        cmocka_unit_test(help_lists_every_exit_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

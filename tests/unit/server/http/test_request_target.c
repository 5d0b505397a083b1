#include "server/http/request_target.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_text(struct request_target_text text, const char *expected)
{
    if (expected == NULL) {
        assert_null(text.data);
        return;
    }
    assert_non_null(text.data);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

static void check_channel(const char *text, const char *endpoint, int status, const char *name)
{
    struct request_target target;
    struct request_target_channel channel;
    int found;

    assert_int_equal(request_target_parse(&target, text), 0);
    found = request_target_channel(&target, endpoint, &channel);
    if (found != status)
        fail_msg("'%s' of '%s': %d instead of %d", text, endpoint, found, status);
    if (status == 0) {
        assert_string_equal(channel.name, name);
        assert_int_equal(channel.len, strlen(name));
    }
}

static void a_channel_is_what_is_beneath_the_endpoint(void **state)
{
    (void) state;
    check_channel("/ws", "/ws", 0, "");
    check_channel("/ws?a=/b", "/ws", 0, "");
    check_channel("/ws/a", "/ws", 0, "a");
    check_channel("/ws/a/b.c/~d_e-F0?x", "/ws", 0, "a/b.c/~d_e-F0");
    check_channel("http://h/ws/a", "/ws", 0, "a");
    check_channel("/", "/", 0, "");
    check_channel("/a/b", "/", 0, "a/b");
    check_channel("http://h", "/", 0, "");
    check_channel("ws://h?x", "/", 0, "");
    check_channel("/ws/ws", "/ws", 0, "ws");
    check_channel("/ws/...", "/ws", 0, "...");
    check_channel("/ws/a/.b", "/ws", 0, "a/.b");
}

static void what_is_elsewhere_is_none(void **state)
{
    (void) state;
    check_channel("/", "/ws", UV_ENOENT, NULL);
    check_channel("/w", "/ws", UV_ENOENT, NULL);
    check_channel("/wsx", "/ws", UV_ENOENT, NULL);
    check_channel("/wsx/a", "/ws", UV_ENOENT, NULL);
    check_channel("/WS/a", "/ws", UV_ENOENT, NULL);
    check_channel("//ws/a", "/ws", UV_ENOENT, NULL);
}

/* RFC 3986, 6.2.2. */
static void what_is_encoded_is_the_same(void **state)
{
    (void) state;
    check_channel("/ws/%61%2D%2e%5f%7e%41%30", "/ws", 0, "a-._~A0");
    check_channel("/%77s/a", "/ws", 0, "a");
    check_channel("/ws", "/%77%73", 0, "");
    check_channel("/a%2Fb/x", "/a%2fb", 0, "x");
    check_channel("/a/b/x", "/a%2Fb", UV_ENOENT, NULL);
    check_channel("/w%", "/ws", UV_ENOENT, NULL);
    check_channel("/ws/a%3Ab%40c", "/ws", 0, "a:b@c");
    check_channel("/ws/gr%C3%BC%c3%9fe/%F0%9F%8C%8D", "/ws", 0,
                  "gr\xc3\xbc\xc3\x9f"
                  "e/\xf0\x9f\x8c\x8d");
}

static void names_are_of_pchar_without_what_patterns_need(void **state)
{
    static const char *const good[] = {"a+b", "a:b", "a@b", "a$b",     "!",
                                       "&",   "'",   "(a)", "\xc3\xa4"};
    static const char *const bad[] = {
        "",     "/",        "a/",       "/a",   "a//b", ".",        "..",          "a/.",
        "a/..", "../a",     "./a",      "a b",  "a%20", "%61",      "a,b",         "a;b",
        "a=b",  "*",        "a\"b",     "a<b",  "a>b",  "a?b",      "a#b",         "[a]",
        "a^b",  "a`b",      "{a}",      "a|b",  "a\\b", "%",        "a\nb",        "a\x7f",
        "\x01", "\xc2\x85", "\xc2\x9f", "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80"};

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!channel_name_is_valid(good[i], strlen(good[i])))
            fail_msg("'%s' is said to be invalid", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (channel_name_is_valid(bad[i], strlen(bad[i])))
            fail_msg("'%s' is said to be valid", bad[i]);
    }
    assert_false(channel_name_is_valid("a\0b", 3));
}

static void what_is_no_name_is_none_when_encoded_either(void **state)
{
    static const char *const targets[] = {
        "/ws/",      "/ws/a/../b", "/ws/a%2fb",  "/ws/a%2Fb", "/ws/%2e",      "/ws/%2E%2e/a",
        "/ws/a%20b", "/ws/%2A",    "/ws/%2c",    "/ws/%3B",   "/ws/%3D",      "/ws/%00",
        "/ws/a%0ab", "/ws/%7f",    "/ws/%C2%85", "/ws/%ff",   "/ws/%C3",      "/ws/%",
        "/ws/%6",    "/ws/%6g",    "/ws/%25",    "/ws/%2561", "/ws/\xc3\xbc", "/ws/a%3Fb",
        "/ws/*",     "/ws/a,b",    "/ws/a//b",   "/ws//a",
    };

    (void) state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        check_channel(targets[i], "/ws", UV_EINVAL, NULL);
    check_channel("//", "/", UV_EINVAL, NULL);
}

/* Decoded. */
static void a_name_has_128_bytes_at_most(void **state)
{
    char name[CHANNEL_NAME_MAX + 1], target[3 * CHANNEL_NAME_MAX + 8];

    (void) state;
    memset(name, 'a', sizeof name);
    assert_true(channel_name_is_valid(name, 1));
    assert_true(channel_name_is_valid(name, CHANNEL_NAME_MAX));
    assert_false(channel_name_is_valid(name, CHANNEL_NAME_MAX + 1));
    memcpy(target, "/ws/", 5);
    for (size_t i = 0; i < CHANNEL_NAME_MAX; i++)
        memcpy(target + 4 + 3 * i, "%61", 4);
    name[CHANNEL_NAME_MAX] = '\0';
    check_channel(target, "/ws", 0, name);
    memcpy(target + strlen(target), "a", 2);
    check_channel(target, "/ws", UV_EINVAL, NULL);
}

static void what_is_decoded_fits_or_is_cut(void **state)
{
    static const char text[] = "a%20%C3%bc%%4%zz";
    char out[32];

    (void) state;
    assert_int_equal(
        request_target_decode((struct request_target_text){text, sizeof text - 1}, out, 32), 10);
    assert_memory_equal(out, "a \xc3\xbc%%4%zz", 10);
    assert_int_equal(
        request_target_decode((struct request_target_text){text, sizeof text - 1}, out, 2), 2);
    assert_int_equal(request_target_decode((struct request_target_text){NULL, 0}, out, 2), 0);
}

static void a_path_is_the_same_however_it_is_encoded(void **state)
{
    struct request_target target;

    (void) state;
    assert_int_equal(request_target_parse(&target, "/%63hannels?x"), 0);
    assert_true(request_target_is(&target, "/channels"));
    assert_false(request_target_is(&target, "/channel"));
    assert_false(request_target_is(&target, "/channels/"));
    assert_int_equal(request_target_parse(&target, "/a%2fb"), 0);
    assert_false(request_target_is(&target, "/a/b"));
}

static void other_forms_of_a_target_have_no_path(void **state)
{
    struct request_target target;

    (void) state;
    assert_int_equal(request_target_parse(&target, "*"), UV_EINVAL);
    assert_int_equal(request_target_parse(&target, "h:80"), UV_EINVAL);
    assert_int_equal(request_target_parse(&target, "ftp://h/ws"), UV_EINVAL);
    assert_int_equal(request_target_parse(&target, ""), UV_EINVAL);
}

static void check_parameter(const char *text, const char *name, int status, const char *expected)
{
    struct request_target target;
    struct request_target_text value;

    assert_int_equal(request_target_parse(&target, text), 0);
    assert_int_equal(request_target_parameter(&target, name, &value), status);
    if (status == 0)
        check_text(value, expected);
}

static void a_parameter_is_found_wherever_it_stands(void **state)
{
    (void) state;
    check_parameter("/ws?a=1&bc=2&d", "a", 0, "1");
    check_parameter("/ws?a=1&bc=2&d", "bc", 0, "2");
    check_parameter("/ws?a=1&bc=2&d", "d", 0, "");
    check_parameter("/ws?a=1&bc=2&d", "b", 0, NULL);
    check_parameter("/ws?a=1&bc=2&d", "c", 0, NULL);
    check_parameter("/ws?a=1&bc=2&d", "1", 0, NULL);
    check_parameter("/ws?a=", "a", 0, "");
    check_parameter("/ws?a=b=c", "a", 0, "b=c");
    check_parameter("/ws?&&a=1&&", "a", 0, "1");
    check_parameter("/ws?", "a", 0, NULL);
    check_parameter("/ws", "a", 0, NULL);
    check_parameter("/a=1", "a", 0, NULL);
    check_parameter("http://h?a=1", "a", 0, "1");
    check_parameter("/ws?a=1&a=1", "a", UV_EINVAL, NULL);
    check_parameter("/ws?a&x&a", "a", UV_EINVAL, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_is_what_is_beneath_the_endpoint),
        cmocka_unit_test(what_is_elsewhere_is_none),
        cmocka_unit_test(what_is_encoded_is_the_same),
        cmocka_unit_test(names_are_of_pchar_without_what_patterns_need),
        cmocka_unit_test(what_is_no_name_is_none_when_encoded_either),
        cmocka_unit_test(what_is_decoded_fits_or_is_cut),
        cmocka_unit_test(a_path_is_the_same_however_it_is_encoded),
        cmocka_unit_test(a_name_has_128_bytes_at_most),
        cmocka_unit_test(other_forms_of_a_target_have_no_path),
        cmocka_unit_test(a_parameter_is_found_wherever_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "common/resource.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_text(struct resource_text text, const char *expected)
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
    struct resource target;
    struct resource_text channel = {NULL, 0};
    int found;

    assert_int_equal(resource_parse(&target, text), 0);
    found = resource_channel(&target, endpoint, &channel);
    if (found != status)
        fail_msg("'%s' of '%s': %d instead of %d", text, endpoint, found, status);
    if (status == 0)
        check_text(channel, name);
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

static void names_that_could_be_written_in_two_ways_are_refused(void **state)
{
    static const char *const names[] = {
        "",    "/",    "a/",  "/a",  "a//b", ".",   "..",  "a/.", "a/..", "../a", "./a",
        "a b", "a%20", "%61", "a+b", "a:b",  "a@b", "a$b", "a,b", "a;b",  "a=b",  "\xc3\xa4"};

    (void) state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (resource_channel_is_valid(names[i], strlen(names[i])))
            fail_msg("'%s' is said to be valid", names[i]);
    }
    check_channel("/ws/", "/ws", UV_EINVAL, NULL);
    check_channel("/ws/a/../b", "/ws", UV_EINVAL, NULL);
    check_channel("/ws/a%2fb", "/ws", UV_EINVAL, NULL);
    check_channel("//", "/", UV_EINVAL, NULL);
}

static void a_name_has_128_bytes_at_most(void **state)
{
    char name[RESOURCE_MAX_CHANNEL + 1];

    (void) state;
    memset(name, 'a', sizeof name);
    assert_true(resource_channel_is_valid(name, 1));
    assert_true(resource_channel_is_valid(name, RESOURCE_MAX_CHANNEL));
    assert_false(resource_channel_is_valid(name, RESOURCE_MAX_CHANNEL + 1));
}

static void other_forms_of_a_target_have_no_path(void **state)
{
    struct resource target;

    (void) state;
    assert_int_equal(resource_parse(&target, "*"), UV_EINVAL);
    assert_int_equal(resource_parse(&target, "h:80"), UV_EINVAL);
    assert_int_equal(resource_parse(&target, "ftp://h/ws"), UV_EINVAL);
    assert_int_equal(resource_parse(&target, ""), UV_EINVAL);
}

static void check_parameter(const char *text, const char *name, int status, const char *expected)
{
    struct resource target;
    struct resource_text value;

    assert_int_equal(resource_parse(&target, text), 0);
    assert_int_equal(resource_parameter(&target, name, &value), status);
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
        cmocka_unit_test(names_that_could_be_written_in_two_ways_are_refused),
        cmocka_unit_test(a_name_has_128_bytes_at_most),
        cmocka_unit_test(other_forms_of_a_target_have_no_path),
        cmocka_unit_test(a_parameter_is_found_wherever_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

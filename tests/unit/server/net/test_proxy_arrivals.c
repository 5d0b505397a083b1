#include "server/net/proxy_arrivals.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct scene {
    uv_loop_t loop;
    struct proxy_arrivals arrivals;
    int ready;       /* the socket that was handed on; -1: none */
    char client[64]; /* and whose it is said to be */
    int sockets[2];  /* the proxy's end, and ours */
};

static void on_ready(void *owner, int fd, const struct proxy_arrival *arrival,
                     const struct sockaddr *client)
{
    struct scene *scene = owner;

    assert_true(arrival->tls);
    scene->ready = fd;
    if (client == NULL)
        (void) snprintf(scene->client, sizeof scene->client, "unknown");
    else
        assert_int_equal(uv_ip_name(client, scene->client, sizeof scene->client), 0);
}

static void begin(struct scene *scene, uint64_t timeout)
{
    *scene = (struct scene){.ready = -1};
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    proxy_arrivals_init(&scene->arrivals, &scene->loop, timeout, on_ready, scene);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, scene->sockets), 0);
    assert_int_equal(proxy_arrivals_add(&scene->arrivals, scene->sockets[1],
                                        &(struct proxy_arrival){.tls = true}),
                     0);
}

static void say(struct scene *scene, const char *text)
{
    assert_int_equal(write(scene->sockets[0], text, strlen(text)), strlen(text));
    (void) uv_run(&scene->loop, UV_RUN_NOWAIT);
}

static bool is_closed(const struct scene *scene)
{
    char byte;
    ssize_t len = read(scene->sockets[0], &byte, 1);

    return len == 0 || (len < 0 && errno == ECONNRESET);
}

static void end(struct scene *scene)
{
    proxy_arrivals_close(&scene->arrivals);
    (void) uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    (void) close(scene->sockets[0]);
    if (scene->ready >= 0)
        (void) close(scene->ready);
}

static void a_connection_is_handed_on_behind_its_header_and_not_a_byte_further(void **state)
{
    struct scene scene;
    char rest[16] = "";

    (void) state;
    begin(&scene, 0);
    say(&scene, "PROXY TCP4 192.0.2.1 192.0");
    assert_int_equal(scene.ready, -1);
    say(&scene, ".2.2 1 2\r\nGET /");
    assert_int_equal(scene.ready, scene.sockets[1]);
    assert_string_equal(scene.client, "192.0.2.1");
    assert_int_equal(read(scene.ready, rest, sizeof rest - 1), 5);
    assert_string_equal(rest, "GET /");
    end(&scene);
}

static void a_header_that_says_nobody_leaves_the_connections_own_address(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene, 0);
    say(&scene, "PROXY UNKNOWN\r\n");
    assert_string_equal(scene.client, "unknown");
    end(&scene);
}

static void what_is_no_header_is_closed(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene, 0);
    say(&scene, "GET / HTTP/1.1\r\n");
    assert_int_equal(scene.ready, -1);
    assert_true(is_closed(&scene));
    end(&scene);
}

static void a_connection_that_ends_within_its_header_is_closed(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene, 0);
    say(&scene, "PROXY ");
    assert_int_equal(shutdown(scene.sockets[0], SHUT_WR), 0);
    (void) uv_run(&scene.loop, UV_RUN_NOWAIT);
    assert_true(is_closed(&scene));
    end(&scene);
}

static void a_header_that_does_not_come_in_time_is_not_waited_for(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene, 20);
    say(&scene, "PROXY ");
    (void) uv_run(&scene.loop, UV_RUN_DEFAULT); /* ends when nothing waits any more */
    assert_int_equal(scene.ready, -1);
    assert_true(is_closed(&scene));
    end(&scene);
}

static void what_waits_is_closed_with_the_rest(void **state)
{
    struct scene scene;

    (void) state;
    begin(&scene, 1000);
    say(&scene, "PROXY ");
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_handed_on_behind_its_header_and_not_a_byte_further),
        cmocka_unit_test(a_header_that_says_nobody_leaves_the_connections_own_address),
        cmocka_unit_test(what_is_no_header_is_closed),
        cmocka_unit_test(a_connection_that_ends_within_its_header_is_closed),
        cmocka_unit_test(a_header_that_does_not_come_in_time_is_not_waited_for),
        cmocka_unit_test(what_waits_is_closed_with_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

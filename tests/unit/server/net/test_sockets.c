#include "server/net/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WORKERS = 3 };

static uv_loop_t loop;
static struct sockets sockets;

static int set_up(void **state)
{
    (void) state;
    return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void) state;
    sockets_deinit(&sockets);
    return uv_loop_close(&loop);
}

static struct error open_on(const char *listen, size_t workers, int expected)
{
    struct server_options options = {.listens = {listen}, .listen_count = 1};
    struct error error = {""};

    assert_int_equal(sockets_init(&sockets, &options, workers, &loop, &error), expected);
    return error;
}

static struct sockaddr_in name_of(int fd)
{
    struct sockaddr_in name;
    socklen_t len = sizeof name;

    assert_int_equal(getsockname(fd, (struct sockaddr *) &name, &len), 0);
    return name;
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void every_worker_has_a_socket_of_the_port_that_0_stood_for(void **state)
{
    (void) state;
    (void) open_on("127.0.0.1:0", WORKERS, 0);
    assert_int_equal(sockets.count, WORKERS);
    assert_int_not_equal(name_of(sockets.list[0].fd).sin_port, 0);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(sockets.list[i].worker, i);
        assert_false(sockets.list[i].shared);
        assert_int_equal(name_of(sockets.list[i].fd).sin_port,
                         name_of(sockets.list[0].fd).sin_port);
        assert_int_equal(option_of(sockets.list[i].fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    }
}

/* Who is alone lets nobody in beside it. */
static void a_single_worker_shares_its_port_with_nobody(void **state)
{
    (void) state;
    (void) open_on("127.0.0.1:0", 1, 0);
    assert_int_equal(sockets.count, 1);
    assert_int_equal(option_of(sockets.list[0].fd, SOL_SOCKET, SO_REUSEPORT), 0);
}

static void connections_are_accepted_with_tcp_nodelay(void **state)
{
    struct sockaddr_in name;
    int client, accepted;

    (void) state;
    (void) open_on("127.0.0.1:0", 1, 0);
    name = name_of(sockets.list[0].fd);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *) &name, sizeof name), 0);
    accepted = accept4(sockets.list[0].fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_not_equal(option_of(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
    (void) close(accepted);
    (void) close(client);
}

static void what_was_taken_is_not_closed(void **state)
{
    int fd;

    (void) state;
    (void) open_on("127.0.0.1:0", 1, 0);
    fd = sockets_take(&sockets.list[0]);
    sockets_deinit(&sockets);
    sockets = (struct sockets){.list = NULL};
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(close(fd), 0);
}

static void a_port_that_others_would_share_is_in_use(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    char listen_on[32];
    struct error error;

    (void) state;
    assert_int_equal(setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    assert_int_equal(bind(other, (struct sockaddr *) &name, sizeof name), 0);
    assert_int_equal(listen(other, 1), 0);
    (void) snprintf(listen_on, sizeof listen_on, "127.0.0.1:%u", ntohs(name_of(other).sin_port));
    error = open_on(listen_on, WORKERS, UV_EADDRINUSE);
    assert_non_null(strstr(error.text, listen_on));
    (void) close(other);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_LOOP(every_worker_has_a_socket_of_the_port_that_0_stood_for),
        WITH_LOOP(a_single_worker_shares_its_port_with_nobody),
        WITH_LOOP(connections_are_accepted_with_tcp_nodelay),
        WITH_LOOP(what_was_taken_is_not_closed),
        WITH_LOOP(a_port_that_others_would_share_is_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

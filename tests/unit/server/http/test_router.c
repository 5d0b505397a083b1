#include "server/http/router.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char called[64]; /* a letter for each handler, in order */

static enum request_outcome note(const char *letter, enum request_outcome outcome)
{
    size_t len = strlen(called);

    assert_true(len + 1 < sizeof called);
    called[len] = *letter;
    called[len + 1] = '\0';
    return outcome;
}

static enum request_outcome validate(struct request *request)
{
    (void) request;
    return note("v", REQUEST_PASSED);
}

static enum request_outcome check(struct request *request)
{
    (void) note("c", REQUEST_PASSED);
    if (http_head_get(request->head, "X-Stranger") != NULL)
        return request_refuse(request, 403, "no");
    return REQUEST_PASSED;
}

static enum request_outcome handle(struct request *request)
{
    (void) request;
    return note("h", REQUEST_ANSWERED);
}

static bool wants(const struct request *request)
{
    return request_accepts(request, "text/plain");
}

/* A listener of its own may have a table of its own, with channels or without. */
static const struct route table[] = {
    {.method = "GET", .path = "/health", .handle = handle, .unchecked = true},
    {.method = "GET", .path = "/", .when = wants, .handle = handle},
    {.method = "GET", .validate = validate, .handle = handle},
};

static const struct router clients = {table, 3, "/", NULL, NULL, check};
static const struct router admin = {table, 1, NULL, NULL, NULL, check};

/* Asks the router; the number of the route, or -1 with the status of the refusal. */
static int find(const struct router *router, const char *text, int *status)
{
    struct request request;
    struct http_head head;
    const struct route *route;
    enum router_step step = ROUTER_VALIDATE;
    size_t used;

    called[0] = '\0';
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(http_head_feed(&head, (const uint8_t *) text, strlen(text), &used),
                     HTTP_HEAD_DONE);
    request_init(&request, &head, NULL);
    assert_int_equal(request_check(&request, false), REQUEST_PASSED);
    route = router_find(router, &request);
    if (route != NULL)
        assert_int_equal(router_run(router, route, &request, &step), REQUEST_ANSWERED);
    *status = request.response.status;
    request_deinit(&request);
    http_head_deinit(&head);
    return route != NULL ? (int) (route - table) : -1;
}

#define REQUEST(line, fields) line " HTTP/1.1\r\nHost: h\r\n" fields "\r\n"

static void a_route_is_found_by_method_path_and_what_it_wants(void **state)
{
    int status;

    (void) state;
    assert_int_equal(find(&clients, REQUEST("GET /health", ""), &status), 0);
    assert_int_equal(find(&clients, REQUEST("HEAD /health?x", ""), &status), 0);
    assert_int_equal(find(&clients, REQUEST("GET /", "Accept: text/plain\r\n"), &status), 1);
    assert_int_equal(find(&clients, REQUEST("GET /", ""), &status), 2);
    assert_int_equal(find(&clients, REQUEST("GET /a", "Accept: text/plain\r\n"), &status), 2);
    assert_int_equal(find(&clients, REQUEST("POST /a", ""), &status), -1);
    assert_int_equal(status, 405);
    assert_int_equal(find(&clients, REQUEST("GET /a//b", ""), &status), -1);
    assert_int_equal(status, 404);
}

static void a_router_without_an_endpoint_has_no_channels(void **state)
{
    int status;

    (void) state;
    assert_int_equal(find(&admin, REQUEST("GET /health", ""), &status), 0);
    assert_int_equal(find(&admin, REQUEST("POST /health", ""), &status), -1);
    assert_int_equal(status, 405);
    assert_int_equal(find(&admin, REQUEST("GET /ws", ""), &status), -1);
    assert_int_equal(status, 404);
}

static void what_a_route_validates_comes_before_the_check_and_both_before_its_handler(void **state)
{
    int status;

    (void) state;
    (void) find(&clients, REQUEST("GET /a", ""), &status);
    assert_string_equal(called, "vch");
    (void) find(&clients, REQUEST("GET /a", "X-Stranger: 1\r\n"), &status);
    assert_string_equal(called, "vc");
    assert_int_equal(status, 403);
    (void) find(&clients, REQUEST("GET /health", "X-Stranger: 1\r\n"), &status);
    assert_string_equal(called, "h");
}

static void a_channel_is_shadowed_by_a_path_that_belongs_to_routes_alone(void **state)
{
    (void) state;
    assert_true(router_shadows(&clients, "health"));
    assert_false(router_shadows(&clients, ""));
    assert_false(router_shadows(&clients, "health/a"));
    assert_false(router_shadows(&admin, "health"));
    assert_false(router_shadows(&(struct router){table, 3, "/ws", NULL, NULL, check}, "health"));
    assert_false(router_shadows(&(struct router){table, 3, "/health", NULL, NULL, check}, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_is_found_by_method_path_and_what_it_wants),
        cmocka_unit_test(a_router_without_an_endpoint_has_no_channels),
        cmocka_unit_test(what_a_route_validates_comes_before_the_check_and_both_before_its_handler),
        cmocka_unit_test(a_channel_is_shadowed_by_a_path_that_belongs_to_routes_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/http/request.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A request, and what a handler of it waits for. */
struct scene {
    struct request request;
    struct http_head head;
    unsigned resumed, cancelled;
    enum request_outcome outcome;
};

static struct scene *scene_of(struct request *request)
{
    return (struct scene *) (void *) request; /* its first member */
}

static void on_resumed(struct request *request, enum request_outcome outcome)
{
    scene_of(request)->resumed++;
    scene_of(request)->outcome = outcome;
}

static void on_cancel(void *context)
{
    ((struct scene *) context)->cancelled++;
}

static enum request_outcome wait(struct request *request)
{
    return request_wait(request, on_cancel, scene_of(request));
}

static enum request_outcome resume_within(struct request *request)
{
    (void) wait(request);
    request->response.status = 204;
    request_resume(request, REQUEST_ANSWERED);
    return REQUEST_PENDING;
}

static int setup(void **state)
{
    static const char text[] = "GET /ws?a=1&info HTTP/1.1\r\nHost: h\r\n"
                               "Accept: application/json;q=1, text/html\r\n\r\n";
    static struct scene scene;
    size_t used;

    scene = (struct scene){0};
    http_head_init(&scene.head, HTTP_HEAD_REQUEST);
    assert_int_equal(http_head_feed(&scene.head, (const uint8_t *) text, sizeof text - 1, &used),
                     HTTP_HEAD_DONE);
    request_init(&scene.request, &scene.head, on_resumed);
    *state = &scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;

    request_deinit(&scene->request);
    http_head_deinit(&scene->head);
    return 0;
}

static void a_pending_request_goes_on_when_it_is_resumed(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(request_run(&scene->request, wait), REQUEST_PENDING);
    assert_true(request_is_pending(&scene->request));
    request_resume(&scene->request, REQUEST_PASSED);
    assert_int_equal(scene->resumed, 1);
    assert_int_equal(scene->outcome, REQUEST_PASSED);
    assert_false(request_is_pending(&scene->request));
    request_cancel(&scene->request); /* too late: nothing is waited for */
    assert_int_equal(scene->cancelled, 0);
}

static void what_is_resumed_within_its_handler_was_never_pending(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(request_run(&scene->request, resume_within), REQUEST_ANSWERED);
    assert_int_equal(scene->resumed, 0);
    assert_int_equal(scene->request.response.status, 204);
    assert_false(request_is_pending(&scene->request));
}

static void a_pending_request_is_cancelled_once_when_it_ends(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(request_run(&scene->request, wait), REQUEST_PENDING);
    request_deinit(&scene->request);
    request_deinit(&scene->request);
    assert_int_equal(scene->cancelled, 1);
    assert_int_equal(scene->resumed, 0);
}

static void when_the_time_is_up_the_answer_is_503_or_what_the_handler_has_said(void **state)
{
    struct scene *scene = *state;

    (void) request_run(&scene->request, wait);
    request_expire(&scene->request);
    assert_int_equal(scene->cancelled, 1);
    assert_int_equal(scene->request.response.status, 503);
    assert_true(scene->request.response.closes);
    (void) request_run(&scene->request, wait);
    request_wait_or(&scene->request, 504, "unknown");
    request_expire(&scene->request);
    assert_int_equal(scene->request.response.status, 504);
    assert_string_equal(scene->request.response.why, "unknown");
    assert_int_equal(scene->resumed, 0);
}

static void it_says_what_its_head_asks_for(void **state)
{
    struct scene *scene = *state;
    struct request *request = &scene->request;

    assert_int_equal(request_check(request, true), REQUEST_PASSED);
    assert_true(request->local_only);
    assert_true(request_has_method(request, "GET"));
    assert_true(request_accepts(request, "application/json"));
    assert_true(request_accepts(request, "text/html"));
    assert_false(request_accepts(request, "text/event-stream"));
    assert_true(request_has_parameter(request, "info"));
    assert_false(request_has_parameter(request, "inf"));
}

static void a_name_that_is_not_the_servers_is_421_and_names_the_option(void **state)
{
    static const char *const list[] = {"example.org"};
    struct scene *scene = *state;
    struct server_names names = {list, 1};

    assert_int_equal(request_check(&scene->request, false), REQUEST_PASSED);
    assert_int_equal(request_check_name(&scene->request, &names, false, true), REQUEST_ANSWERED);
    assert_int_equal(scene->request.response.status, 421);
    assert_non_null(strstr(scene->request.response.why, "--server-name 'h'"));
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_pending_request_goes_on_when_it_is_resumed),
        SCENE(what_is_resumed_within_its_handler_was_never_pending),
        SCENE(a_pending_request_is_cancelled_once_when_it_ends),
        SCENE(when_the_time_is_up_the_answer_is_503_or_what_the_handler_has_said),
        SCENE(it_says_what_its_head_asks_for),
        SCENE(a_name_that_is_not_the_servers_is_421_and_names_the_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

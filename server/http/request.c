#include "server/http/request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/escape.h"

void request_init(struct request *request, const struct http_head *head,
                  void (*resumed)(struct request *request, enum request_outcome outcome))
{
    *request = (struct request){
        .head = head,
        .target = {.path = "", .query = ""},
        .is_handshake = server_handshake_is_asked_for(head),
        .response = {.status = 200},
        .identity = {NULL, PRINCIPAL_NEVER},
        ._resumed = resumed,
    };
}

void request_deinit(struct request *request)
{
    request_cancel(request);
    response_deinit(&request->response);
    principal_unref(request->identity.principal);
    request->identity = (struct identity){NULL, PRINCIPAL_NEVER};
}

/* ---- what every request needs ---- */

/* RFC 9112, 3.2: exactly one Host field, with a value that can be one. */
static bool host_is_valid(const struct http_head *head)
{
    const char *host = http_head_get(head, "Host");

    if (http_head_count(head, "Host") != 1)
        return head->minor == 0 && host == NULL;
    return *host != '\0' && strpbrk(host, " \t\"#/<>?@\\^`{|},") == NULL;
}

/* The end of a malformed request cannot be relied on. */
static enum request_outcome refuse_malformed(struct request *request, const char *why)
{
    request->response.closes = true;
    return request_refuse(request, 400, why);
}

enum request_outcome request_check(struct request *request, bool local_only)
{
    const char *target = http_head_target(request->head);

    request->local_only = local_only;
    if (!host_is_valid(request->head))
        return refuse_malformed(request, "the request needs exactly one valid Host field");
    if (strchr(target, '#') != NULL)
        return refuse_malformed(request, "a request target must not contain a fragment ('#')");
    if (request_target_parse(&request->target, target) != 0)
        request->target = (struct request_target){.path = "", .query = ""};
    return REQUEST_PASSED;
}

enum request_outcome request_check_name(struct request *request, const struct server_names *names,
                                        bool tls, bool loopback)
{
    const char *host = http_head_get(request->head, "Host");
    struct response *response = &request->response;
    char shown[96];

    if (server_names_include(names, request->head, tls, loopback))
        return REQUEST_PASSED;
    (void) snprintf(response->text, sizeof response->text,
                    "this server is not known as '%s': if that is its name, start it with "
                    "--server-name '%s' as well",
                    escape_text(shown, sizeof shown, host, strlen(host)), shown);
    return request_refuse(request, 421, response->text);
}

bool request_has_method(const struct request *request, const char *method)
{
    return strcmp(http_head_method(request->head), method) == 0;
}

bool request_accepts(const struct request *request, const char *type)
{
    return http_head_accepts(request->head, type);
}

bool request_has_parameter(const struct request *request, const char *name)
{
    struct request_target_text value;

    return request_target_parameter(&request->target, name, &value) != 0 || value.data != NULL;
}

enum request_outcome request_refuse(struct request *request, int status, const char *why)
{
    response_refuse(&request->response, status, why);
    return REQUEST_ANSWERED;
}

/* ---- pending ---- */

enum request_outcome request_wait(struct request *request, void (*cancel)(void *context),
                                  void *context)
{
    assert(!request->_waits);
    request->_waits = true;
    request->_cancel = cancel;
    request->_context = context;
    request->_late_status = 503;
    request->_late = "the answer took too long: try again later";
    return REQUEST_PENDING;
}

void request_wait_or(struct request *request, int status, const char *why)
{
    request->_late_status = status;
    request->_late = why;
}

void request_resume(struct request *request, enum request_outcome outcome)
{
    assert(request->_waits && outcome != REQUEST_PENDING);
    request->_waits = false;
    if (request->_runs)
        request->_outcome = outcome; /* request_run goes on with it */
    else
        request->_resumed(request, outcome);
}

enum request_outcome request_run(struct request *request, request_handler_cb handler)
{
    enum request_outcome outcome;

    request->_runs = true;
    outcome = handler(request);
    request->_runs = false;
    if (outcome == REQUEST_PENDING && !request->_waits)
        return request->_outcome;
    return outcome;
}

void request_cancel(struct request *request)
{
    if (!request->_waits)
        return;
    request->_waits = false;
    if (request->_cancel != NULL)
        request->_cancel(request->_context);
}

void request_expire(struct request *request)
{
    request_cancel(request);
    response_deinit(&request->response);
    request->response = (struct response){.closes = true};
    response_refuse(&request->response, request->_late_status, request->_late);
}

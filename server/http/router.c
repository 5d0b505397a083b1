#include "server/http/router.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/http/http_response.h"

/* ---- which route ---- */

/* The path that the route is for; NULL: the endpoint and its channels, or, if `*none`, nothing. */
static const char *path_of(const struct router *router, const struct route *route, bool *none)
{
    const char *path = route->own_path    ? router->own_path
                       : route->page_path ? router->page_path
                                          : route->path;

    *none = (route->own_path || route->page_path) && (path == NULL || path[0] == '\0');
    return path;
}

static bool is_at(const struct route *route, const char *path, const struct request_target *target)
{
    size_t len = strlen(path);

    if (!route->beneath)
        return request_target_is(target, path);
    return target->path_len > len + 1 && memcmp(target->path, path, len) == 0 &&
           target->path[len] == '/';
}

/* True if the route's path belongs to it alone. The endpoint keeps its own path, whatever the table
 * has there. */
static bool is_exclusive(const struct router *router, const struct route *route)
{
    struct request_target target;
    bool none;
    const char *path = path_of(router, route, &none);

    return path != NULL && !none && route->when == NULL &&
           (router->endpoint == NULL || request_target_parse(&target, path) != 0 ||
            !request_target_is(&target, router->endpoint));
}

static bool is_owned(const struct router *router, const struct request_target *target)
{
    for (size_t i = 0; i < router->count; i++) {
        const struct route *route = &router->routes[i];

        bool none;

        if (is_exclusive(router, route) && is_at(route, path_of(router, route, &none), target))
            return true;
    }
    return false;
}

/* True if the route is for the target of the request. */
static bool is_for(const struct router *router, const struct route *route,
                   const struct request *request, bool owned, bool is_channel)
{
    bool none;
    const char *path = path_of(router, route, &none);

    if (none)
        return false;
    if (path == NULL)
        return is_channel && !owned;
    return is_at(route, path, &request->target) &&
           (route->when != NULL || is_exclusive(router, route));
}

static bool has_method(const struct route *route, const struct request *request)
{
    return route->method == NULL || request_has_method(request, route->method) ||
           (strcmp(route->method, "GET") == 0 && request_has_method(request, "HEAD"));
}

/* Lists the methods of the target, each once, in the order of the table. Without one that has
 * routes, the methods of the channels are listed. */
static void list_methods(const struct router *router, struct request *request, bool owned)
{
    size_t len = 0;

    for (size_t i = 0; i < router->count; i++) {
        const struct route *route = &router->routes[i];
        char *allow = request->allow;

        if (route->method == NULL || strstr(allow, route->method) != NULL ||
            !is_for(router, route, request, owned, true) || len >= sizeof request->allow)
            continue;
        len += (size_t) snprintf(allow + len, sizeof request->allow - len, "%s%s%s",
                                 len > 0 ? ", " : "", route->method,
                                 strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
    }
    request->response.allow = request->allow;
}

/* ---- there is none ---- */

static void refuse_method(struct request *request)
{
    struct response *response = &request->response;

    (void) snprintf(response->text, sizeof response->text,
                    "the method is not allowed here: use one of %s", request->allow);
    response_refuse(response, 405, response->text);
}

static void refuse_shadowed(struct request *request)
{
    struct response *response = &request->response;

    (void) snprintf(response->text, sizeof response->text,
                    "there is no channel '%s': its path is reserved; choose another name",
                    request->channel.name);
    response_refuse(response, 404, response->text);
}

static void refuse_path(const struct router *router, struct request *request)
{
    struct response *response = &request->response;

    if (router->endpoint != NULL)
        (void) snprintf(response->text, sizeof response->text,
                        "nothing is served at this path: the path of the endpoint is %s",
                        router->endpoint);
    else
        (void) snprintf(response->text, sizeof response->text, "nothing is served at this path");
    response_refuse(response, 404, response->text);
}

static void refuse_name(struct request *request)
{
    (void) request_refuse(request, 404,
                          "not a valid channel name: use 1 to 128 bytes of letters, digits and "
                          "-._~!$&'()+:@ (other UTF-8 characters as %XX), with / between parts");
}

/* `found` is how the target fits the endpoint, as of request_target_channel. */
static void refuse(const struct router *router, struct request *request, bool owned, int found)
{
    if (owned && found == 0)
        refuse_shadowed(request);
    else if (owned || found == 0)
        refuse_method(request);
    else if (found == UV_EINVAL)
        refuse_name(request);
    else
        refuse_path(router, request);
}

/* ---- all of it ---- */

/* True for what only a channel can answer. */
static bool subscribes(const struct request *request)
{
    return request->is_handshake || request_accepts(request, HTTP_RESPONSE_EVENTS);
}

const struct route *router_find(const struct router *router, struct request *request)
{
    bool owned = is_owned(router, &request->target);
    int found = UV_ENOENT;

    if (router->endpoint != NULL)
        found = request_target_channel(&request->target, router->endpoint, &request->channel);
    list_methods(router, request, owned);
    for (size_t i = 0; i < router->count; i++) {
        const struct route *route = &router->routes[i];

        if (owned && found == 0 && subscribes(request))
            break; /* it would get something else than what it waits for */
        if (is_for(router, route, request, owned, found == 0) && has_method(route, request) &&
            (route->when == NULL || route->when(request)))
            return route;
    }
    refuse(router, request, owned, found);
    return NULL;
}

enum request_outcome router_run(const struct router *router, const struct route *route,
                                struct request *request, enum router_step *step)
{
    // cppcheck-suppress uninitvar; each step has its handler, or NULL
    const request_handler_cb handlers[] = {
        [ROUTER_VALIDATE] = route->validate,
        [ROUTER_CHECK] = route->unchecked ? NULL : router->check,
        [ROUTER_HANDLE] = route->handle,
        [ROUTER_ON_BODY] = route->on_body,
    };

    request->needs = route->needs;
    for (;; ++*step) {
        enum request_outcome outcome = REQUEST_PASSED;

        if (handlers[*step] != NULL)
            outcome = request_run(request, handlers[*step]);
        if (outcome != REQUEST_PASSED || *step >= ROUTER_HANDLE)
            return outcome;
    }
}

bool router_shadows(const struct router *router, const char *name)
{
    for (size_t i = 0; i < router->count && router->endpoint != NULL; i++) {
        const struct route *route = &router->routes[i];
        struct request_target target;
        struct request_target_channel channel;
        bool none;

        if (is_exclusive(router, route) &&
            request_target_parse(&target, path_of(router, route, &none)) == 0 &&
            request_target_channel(&target, router->endpoint, &channel) == 0 &&
            strcmp(channel.name, name) == 0)
            return true;
    }
    return false;
}

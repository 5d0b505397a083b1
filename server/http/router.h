/* Which handler a request is for. A router has a table of routes, in order of precedence, and what
 * is checked before their handlers are called; it knows none of them itself. A listener may have a
 * router of its own.
 *
 * A route is for one path, or for the endpoint and the channels beneath it. A path that has a route
 * without `when` belongs to the routes for that path alone: no channel is reached there. A route
 * with `when` takes the requests that it wants, and leaves the others. */
#ifndef WS_SERVER_HTTP_ROUTER_H
#define WS_SERVER_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "server/http/request.h"

struct route {
    const char *method; /* "GET" is HEAD, too; NULL: any method */
    const char *path;   /* this path exactly; NULL: the endpoint and its channels */
    bool beneath;       /* what is beneath the path, and not the path itself */
    bool own_path;      /* `path` is that of the router's own_path, if it has one */
    bool page_path;     /* the same for the router's page_path */
    bool any_name;      /* also for a Host that is no name of this server: a load balancer asks by
                           address */
    bool (*when)(const struct request *request); /* only for such requests; NULL: for all */
    bool unchecked;                              /* the router's check is left out: what it shows is
                                                    no secret, and it changes nothing */
    enum request_needs needs;                    /* for the router's check */
    request_handler_cb validate; /* before the check: is the request well-formed? May be NULL */
    request_handler_cb handle;
    request_handler_cb on_body; /* after REQUEST_BODY, when the body has come */
};

struct router {
    const struct route *routes;
    size_t count;
    const char *endpoint;     /* its path; NULL: there are no channels here */
    const char *own_path;     /* of the route that has none in the table; NULL or "": none has */
    const char *page_path;    /* the same of those for the page */
    request_handler_cb check; /* may this client do this? NULL: any may */
};

/* The route that the request is for, with the methods and the channel of its target filled in. NULL
 * if there is none, and the response says so. */
const struct route *router_find(const struct router *router, struct request *request);

/* The steps of a request: validate, check, handle; and on_body, when the body has come. */
enum router_step {
    ROUTER_VALIDATE,
    ROUTER_CHECK,
    ROUTER_HANDLE,
    ROUTER_ON_BODY,
};

/* Goes through the steps from `*step` on, as long as they pass; `*step` is then the one that did
 * not. A request that was pending and has passed goes on with the step after it. */
enum request_outcome router_run(const struct router *router, const struct route *route,
                                struct request *request, enum router_step *step);

/* True if a channel of this name (decoded) cannot be reached, as its path has routes of its own. */
bool router_shadows(const struct router *router, const char *name);

#endif

/* What the routes of the listeners for clients make of a request, without a connection, channels or
 * workers: a handshake and a refusal are taken to their end, other requests up to their handler. */
#ifndef WS_TESTS_ASKED_H
#define WS_TESTS_ASKED_H

#include <stdbool.h>
#include <string.h>

#include "server/http/routes.h"
#include "server/http/services.h"

struct asked {
    int status;      /* 101: it joins; 200: its handler would be called; else a refusal */
    const char *why; /* of a refusal; borrowed from `request` */
    const struct route *route;
    struct request request; /* not to be moved */
};

static inline enum request_outcome asked_pass(struct request *request)
{
    (void) request;
    return REQUEST_PASSED;
}

/* Takes the request through its steps. `loopback`: it came through a listener that only this
 * machine reaches. There is nothing to be freed but the head. */
static inline void asked_of(struct asked *asked, const struct http_head *head,
                            const struct services *services, bool loopback)
{
    const struct router router = routes_of(services->options);
    const struct server_names names = {services->options->server_names,
                                       services->options->server_name_count};
    struct request *request = &asked->request;
    enum router_step step = ROUTER_VALIDATE;
    enum request_outcome outcome;
    struct route route;

    request_init(request, head, NULL);
    request->services = services;
    asked->route = NULL;
    outcome = request_check(request, loopback && names.count == 0);
    if (outcome == REQUEST_PASSED)
        outcome = request_check_name(request, &names, false, loopback);
    if (outcome == REQUEST_PASSED)
        asked->route = router_find(&router, request);
    if (asked->route != NULL) {
        route = *asked->route;
        if (route.validate == NULL && !route.unchecked)
            route.handle = asked_pass;
        outcome = router_run(&router, &route, request, &step);
    }
    asked->status = outcome == REQUEST_JOIN ? 101 : request->response.status;
    asked->why = request->response.why;
}

#endif

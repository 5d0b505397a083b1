#include "server/http/routes.h"

#include <string.h>
#include <uv.h>

#include "server/http/access.h"
#include "server/http/assets.h"
#include "server/http/authorize.h"
#include "server/http/endpoint_page.h"
#include "server/http/health.h"
#include "server/http/http_publish.h"
#include "server/http/query.h"
#include "server/http/subscribe.h"

#define PAGE_FILE(at) \
    { \
        .method = "GET", .path = (at), .when = assets_is_served_to, .handle = assets_file, \
        .unchecked = true \
    }

/* The first route that fits takes the request. */
static const struct route routes[] = {
    /* paths of their own */
    {.method = "GET",
     .path = "/channels",
     .needs = REQUEST_NEEDS_IDENTITY,
     .handle = query_channels},
    {.method = "OPTIONS",
     .path = "/channels",
     .needs = REQUEST_NEEDS_NOTHING,
     .handle = access_options},

    {.method = "GET",
     .own_path = true,
     .any_name = true,
     .handle = health_public,
     .unchecked = true},

    /* what browsers load: the module is for every page, the others are for the server's own */
    {.method = "GET",
     .page_path = true,
     .when = assets_page_is_wanted,
     .handle = assets_page,
     .unchecked = true},
    {.method = "GET", .path = "/wsbroadcast.js", .handle = assets_file, .unchecked = true},
    {.method = "GET", .path = "/wsbroadcast.d.ts", .handle = assets_file, .unchecked = true},
    PAGE_FILE("/wsbroadcast/page.css"),
    PAGE_FILE("/wsbroadcast/page.js"),
    PAGE_FILE("/wsbroadcast/rows.js"),
    PAGE_FILE("/wsbroadcast/json.js"),
    PAGE_FILE("/wsbroadcast/icon.svg"),

    /* the endpoint, and the channels beneath it */
    {.when = subscribe_is_handshake, .validate = subscribe_validate, .handle = subscribe_websocket},
    {.method = "GET", .when = subscribe_is_lost, .handle = subscribe_lost, .unchecked = true},
    {.method = "GET", .when = query_is_for_info, .handle = query_info},
    {.method = "GET", .when = subscribe_is_for_events, .handle = subscribe_events},
    {.method = "GET", .when = query_is_for_messages, .handle = query_messages},
    {.method = "GET",
     .path = "/",
     .when = endpoint_page_is_wanted,
     .handle = endpoint_page_show,
     .unchecked = true},
    {.method = "GET", .handle = subscribe_required, .unchecked = true},
    {.method = "POST",
     .needs = REQUEST_NEEDS_PUBLISH,
     .handle = http_publish_begin,
     .on_body = http_publish_body},
    {.method = "OPTIONS", .needs = REQUEST_NEEDS_NOTHING, .handle = access_options},
};

/* Where it comes from, and as whom. */
static enum request_outcome check_request(struct request *request)
{
    enum request_outcome outcome = access_check(request);

    return outcome == REQUEST_PASSED ? authorize_check(request) : outcome;
}

struct router routes_of(const struct server_options *options)
{
    return (struct router){
        .routes = routes,
        .count = sizeof routes / sizeof *routes,
        .endpoint = options->path,
        .own_path = options->health_path,
        .page_path = options->page != NULL ? options->page : "/",
        .check = check_request,
    };
}

static int check(const struct router *router, const char *option, const char *channel,
                 struct error *error)
{
    if (channel == NULL || !router_shadows(router, channel))
        return 0;
    return error_set(error, UV_EINVAL,
                     "--%s=%s: clients cannot reach this channel with --path %s, as its path is "
                     "reserved: choose another name, or another --path",
                     option, channel, router->endpoint);
}

int routes_check(const struct server_options *options, struct error *error)
{
    struct router router = routes_of(options);
    int status = check(&router, "stdin", options->stdin_channel, error);

    return status == 0 ? check(&router, "stdout", options->stdout_channel, error) : status;
}

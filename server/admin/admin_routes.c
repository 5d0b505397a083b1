#include "server/admin/admin_routes.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "server/admin/admin_connections.h"
#include "server/admin/admin_control.h"
#include "server/admin/admin_metrics.h"
#include "server/http/assets.h"
#include "server/http/health.h"
#include "server/http/query.h"
#include "server/http/services.h"
#include "server/syntax/server_names.h"

/* ---- who may ----  */

/* Names lead here by DNS rebinding, addresses do not. */
static bool is_host_own(const struct request *request)
{
    const struct server_options *options = request->services->options;
    const struct server_names names = {options->server_names, options->server_name_count};
    const char *host = http_head_get(request->head, "Host");

    return origin_host_is_loopback(host) || server_names_is_address(host) ||
           (names.count > 0 && server_names_include(&names, request->head, false, false));
}

static bool has_token(const struct request *request)
{
    static const char scheme[] = "Bearer ";
    const char *token = request->services->admin_token;
    const char *given = http_head_get(request->head, "Authorization");
    size_t len;

    if (token == NULL)
        return true;
    if (given == NULL || http_head_count(request->head, "Authorization") != 1 ||
        strncasecmp(given, scheme, sizeof scheme - 1) != 0)
        return false;
    given += sizeof scheme - 1;
    len = strlen(token);
    return strlen(given) == len && CRYPTO_memcmp(given, token, len) == 0;
}

/* Pages of others, and names that are not this server's, get nothing. */
static enum request_outcome check_page(struct request *request)
{
    const char *site = http_head_get(request->head, "Sec-Fetch-Site");

    if (!is_host_own(request))
        return request_refuse(request, 403,
                              "Host must be localhost, an address, or a --server-name here");
    if (http_head_get(request->head, "Origin") != NULL &&
        origin_check(&(struct origin_policy){.host_is_known = true}, request->head, false) !=
            ORIGIN_ADMITTED)
        return request_refuse(request, 403, "pages of other origins may not use this address");
    if (site != NULL && strcasecmp(site, "cross-site") == 0)
        return request_refuse(request, 403, "pages of other sites may not use this address");
    return REQUEST_PASSED;
}

static enum request_outcome check(struct request *request)
{
    enum request_outcome outcome = check_page(request);

    if (outcome != REQUEST_PASSED || has_token(request))
        return outcome;
    return request_refuse(request, 401,
                          "send the token of --admin-token-file as 'Authorization: Bearer TOKEN'");
}

/* ---- the table ---- */

/* The dashboard is no secret; what it shows it asks for, with the token. */
#define DASHBOARD_FILE(at) \
    { \
        .method = "GET", .path = (at), .handle = assets_file, .unchecked = true \
    }

static const struct route routes[] = {
    {.method = "GET", .path = "/", .handle = assets_dashboard, .unchecked = true},
    DASHBOARD_FILE("/wsbroadcast/dashboard.css"),
    DASHBOARD_FILE("/wsbroadcast/dashboard.js"),
    DASHBOARD_FILE("/wsbroadcast/icon.svg"),
    {.method = "GET",
     .path = "/metrics",
     .validate = check_page,
     .handle = admin_metrics,
     .unchecked = true},
    {.method = "GET", .path = "/health/live", .handle = health_live, .unchecked = true},
    {.method = "GET", .path = "/health/ready", .handle = health_ready, .unchecked = true},
    {.method = "GET", .path = "/connections", .handle = admin_connections_list},
    {.method = "DELETE", .path = "/connections", .handle = admin_connections_close},
    {.method = "DELETE",
     .path = "/connections",
     .beneath = true,
     .handle = admin_connections_close},
    {.method = "GET", .path = "/channels", .handle = query_channels},
    {.method = "DELETE", .path = "/channels", .beneath = true, .handle = admin_forget_history},
    {.method = "GET", .path = "/config", .handle = admin_config},
    {.method = "POST", .path = "/reload", .handle = admin_reload},
    {.method = "POST", .path = "/drain", .handle = admin_drain},
};

struct router admin_routes(void)
{
    return (struct router){
        .routes = routes, .count = sizeof routes / sizeof *routes, .check = check};
}

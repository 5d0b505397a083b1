#include "client/connect/connector.h"

#include <string.h>
#include <sys/un.h>

#include "client/connect/route.h"
#include "common/base/log.h"

void connector_init(struct connector *connector, uv_loop_t *loop,
                    const struct client_options *options, const struct connector_ops *ops)
{
    *connector = (struct connector){._loop = loop, ._options = options, ._ops = ops};
}

void connector_deinit(struct connector *connector)
{
    proxy_deinit(&connector->_proxy);
    tls_context_free(connector->_proxy_tls);
    connector->_proxy_tls = NULL;
}

static bool has_proxy(const struct connector *connector)
{
    return connector->_proxy.kind != PROXY_NONE;
}

/* ---- failures ---- */

static void fail(struct connector *connector, const struct outcome *outcome)
{
    connector->_doing = NULL;
    connector->_ops->on_failed(connector, outcome);
}

static void fail_to_connect(struct connector *connector, int status)
{
    struct outcome outcome = {.exit = CLIENT_CONNECT};
    const char *why = uv_strerror(status);

    if (connector->_options->unix_socket != NULL)
        (void) error_set(&outcome.error, status, "cannot connect to the socket '%s': %s",
                         connector->_options->unix_socket, why);
    else if (has_proxy(connector))
        (void) error_set(&outcome.error, status, "cannot connect to the proxy %s: %s",
                         connector->_proxy.text, why);
    else
        (void) error_set(&outcome.error, status, "cannot connect to %s port %u: %s",
                         connector->_host, connector->_port, why);
    fail(connector, &outcome);
}

static void fail_to_resolve(struct connector *connector, const char *host, int status)
{
    struct outcome outcome = {.exit = CLIENT_CONNECT};

    (void) error_set(&outcome.error, status, "cannot resolve %s'%s': %s",
                     has_proxy(connector) && !connector->_resolves ? "the proxy's name " : "", host,
                     uv_strerror(status));
    fail(connector, &outcome);
}

/* ---- through a proxy ---- */

static void on_tunnel_ready(void *owner, int fd)
{
    struct connector *connector = owner;

    connector->_doing = NULL;
    connector->_ops->on_connected(connector, fd);
}

static void on_tunnel_failed(void *owner, const struct outcome *outcome)
{
    struct connector *connector = owner;
    struct outcome copy = *outcome;

    /* It has nothing more to say, and must not be in the way of the next. */
    tunnel_cancel(connector->_tunnel);
    connector->_tunnel = NULL;
    fail(connector, &copy);
}

static void on_tunnel_gone(void *owner)
{
    struct connector *connector = owner;

    connector->_tunnel = NULL;
}

static const struct tunnel_ops connector_tunnel_ops = {
    .on_ready = on_tunnel_ready,
    .on_failed = on_tunnel_failed,
    .on_gone = on_tunnel_gone,
};

/* The context of TLS with the proxy: certificates are for servers. */
static int need_proxy_tls(struct connector *connector, struct error *error)
{
    const struct tls_files files = {
        .ca = connector->_options->cacert,
        .ca_directory = connector->_options->capath,
        .insecure = connector->_options->insecure,
    };

    if (connector->_proxy.kind != PROXY_HTTPS || connector->_proxy_tls != NULL)
        return 0;
    return tls_context_new_client(&connector->_proxy_tls, &files, error);
}

static void start_tunnel(struct connector *connector, int fd)
{
    const struct tunnel_way way = {
        .proxy = &connector->_proxy,
        .tls = connector->_proxy_tls,
        .host = connector->_host,
        .port = connector->_port,
    };
    int status;

    connector->_doing = "the proxy has not answered";
    status = tunnel_start(&connector->_tunnel, connector->_loop, fd, &way, connector,
                          &connector_tunnel_ops);
    if (status != 0)
        fail_to_connect(connector, status);
}

/* ---- connecting ---- */

static void on_race_end(void *owner, int result)
{
    struct connector *connector = owner;

    connector->_race = NULL;
    if (result < 0) {
        fail_to_connect(connector, result);
    } else if (has_proxy(connector)) {
        start_tunnel(connector, result);
    } else {
        connector->_doing = NULL;
        connector->_ops->on_connected(connector, result);
    }
}

static void start_race(struct connector *connector, struct sockaddr_storage *addresses,
                       size_t count)
{
    race_interleave(addresses, count);
    connector->_doing = "no address answers";
    connector->_race = race_start(connector->_loop, addresses, count, connector, on_race_end);
    if (connector->_race == NULL)
        fail_to_connect(connector, UV_ENOMEM);
}

static void start_unix(struct connector *connector)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct sockaddr_un *local = (struct sockaddr_un *) &address;

    /* The options have seen to it that it fits. */
    memcpy(local->sun_path, connector->_options->unix_socket,
           strlen(connector->_options->unix_socket) + 1);
    start_race(connector, &address, 1);
}

/* ---- resolving ---- */

/* Addresses of `host`, of which `*count` are known at once; 0: `on_end` runs later, or it has
 * failed, which has been told. */
static void look_up(struct connector *connector, const char *host, uint16_t port,
                    struct sockaddr_storage addresses[ROUTE_MAX_ADDRESSES], size_t *count,
                    resolution_cb on_end)
{
    const struct client_options *options = connector->_options;
    const struct resolution_query query = {
        .host = host,
        .port = port,
        .family = options->ipv4 == options->ipv6 ? AF_UNSPEC
                  : options->ipv4                ? AF_INET
                                                 : AF_INET6,
    };
    int status = UV_EAI_ADDRFAMILY;
    bool found;

    *count = route_addresses(&options->routes, &query, addresses, &found);
    if (*count > 0)
        return;
    connector->_doing = "the name is not resolved";
    if (!found)
        status =
            resolution_start(&connector->_resolution, connector->_loop, &query, connector, on_end);
    if (status != 0)
        fail_to_resolve(connector, host, status);
}

static const char *peer_host(const struct connector *connector)
{
    return has_proxy(connector) ? connector->_proxy.host : connector->_host;
}

static void on_resolved(void *owner, int status, struct sockaddr_storage *addresses, size_t count)
{
    struct connector *connector = owner;

    connector->_resolution = NULL;
    if (status != 0)
        fail_to_resolve(connector, peer_host(connector), status);
    else
        start_race(connector, addresses, count);
}

/* What is connected to: the proxy, or the server. */
static void resolve(struct connector *connector)
{
    uint16_t port = has_proxy(connector) ? connector->_proxy.port : connector->_port;
    struct sockaddr_storage addresses[ROUTE_MAX_ADDRESSES];
    size_t count;

    connector->_resolves = false;
    look_up(connector, peer_host(connector), port, addresses, &count, on_resolved);
    if (count > 0)
        start_race(connector, addresses, count);
}

/* The address that a socks5 proxy is told. */
static void take_target(struct connector *connector, const struct sockaddr_storage *address)
{
    const void *part = address->ss_family == AF_INET6
                           ? (const void *) &((const struct sockaddr_in6 *) address)->sin6_addr
                           : (const void *) &((const struct sockaddr_in *) address)->sin_addr;

    (void) uv_inet_ntop(address->ss_family, part, connector->_numeric, sizeof connector->_numeric);
    connector->_host = connector->_numeric;
    resolve(connector);
}

static void on_target_resolved(void *owner, int status, struct sockaddr_storage *addresses,
                               size_t count)
{
    struct connector *connector = owner;

    (void) count;
    connector->_resolution = NULL;
    if (status != 0)
        fail_to_resolve(connector, connector->_host, status);
    else
        take_target(connector, &addresses[0]);
}

static void resolve_target(struct connector *connector)
{
    struct sockaddr_storage addresses[ROUTE_MAX_ADDRESSES];
    size_t count;

    connector->_resolves = true;
    look_up(connector, connector->_host, connector->_port, addresses, &count, on_target_resolved);
    if (count > 0)
        take_target(connector, &addresses[0]);
}

/* ---- life ---- */

static void drop_tunnel(struct connector *connector)
{
    if (connector->_tunnel != NULL)
        tunnel_cancel(connector->_tunnel);
    connector->_tunnel = NULL;
}

void connector_start(struct connector *connector, const struct url *url)
{
    const struct client_options *options = connector->_options;
    struct outcome outcome = {.exit = CLIENT_USAGE, .lasting = true};
    int status;

    drop_tunnel(connector);
    proxy_deinit(&connector->_proxy);
    connector->_host = url->host;
    connector->_port = url->port;
    route_redirect(&options->routes, &connector->_host, &connector->_port);
    if (options->unix_socket != NULL) {
        start_unix(connector);
        return;
    }
    status =
        proxy_choose(&connector->_proxy, options->proxy, options->noproxy, url, &outcome.error);
    if (status == UV_EPROTONOSUPPORT && options->proxy == NULL) {
        if (!connector->_warned)
            log_warn("%s; connecting without", outcome.error.text);
        connector->_warned = true;
        status = 0;
    }
    if (status == 0)
        status = need_proxy_tls(connector, &outcome.error);
    if (status != 0)
        fail(connector, &outcome);
    else if (connector->_proxy.kind == PROXY_SOCKS5)
        resolve_target(connector);
    else
        resolve(connector);
}

void connector_cancel(struct connector *connector)
{
    if (connector->_resolution != NULL && !resolution_cancel(connector->_resolution))
        connector->_stuck = true;
    if (connector->_race != NULL)
        race_cancel(connector->_race);
    drop_tunnel(connector);
    connector->_resolution = NULL;
    connector->_race = NULL;
    connector->_doing = NULL;
}

const char *connector_doing(const struct connector *connector)
{
    return connector->_doing;
}

bool connector_is_stuck(const struct connector *connector)
{
    return connector->_stuck;
}

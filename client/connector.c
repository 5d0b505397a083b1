#include "client/connector.h"

void connector_init(struct connector *connector, uv_loop_t *loop,
                    const struct client_options *options, const struct connector_ops *ops)
{
    *connector = (struct connector){._loop = loop, ._options = options, ._ops = ops};
}

static void fail(struct connector *connector, const struct outcome *outcome)
{
    connector->_ops->on_failed(connector, outcome);
}

static void fail_to_connect(struct connector *connector, int status)
{
    struct outcome outcome = {.exit = CLIENT_CONNECT};

    (void) error_set(&outcome.error, status, "cannot connect to %s: %s", connector->_url->authority,
                     uv_strerror(status));
    fail(connector, &outcome);
}

static void fail_to_resolve(struct connector *connector, int status)
{
    struct outcome outcome = {.exit = CLIENT_CONNECT};

    (void) error_set(&outcome.error, status, "cannot resolve '%s': %s", connector->_url->host,
                     uv_strerror(status));
    fail(connector, &outcome);
}

static void on_race_end(void *owner, int result)
{
    struct connector *connector = owner;

    connector->_race = NULL;
    if (result < 0)
        fail_to_connect(connector, result);
    else
        connector->_ops->on_connected(connector, result);
}

static void on_resolved(void *owner, int status, const struct sockaddr_storage *addresses,
                        size_t count)
{
    struct connector *connector = owner;

    connector->_resolution = NULL;
    if (status != 0) {
        fail_to_resolve(connector, status);
        return;
    }
    connector->_race = race_start(connector->_loop, addresses, count, connector, on_race_end);
    if (connector->_race == NULL)
        fail_to_connect(connector, UV_ENOMEM);
}

void connector_start(struct connector *connector, const struct url *url)
{
    int status;

    connector->_url = url;
    status = resolution_start(&connector->_resolution, connector->_loop, url->host, url->port,
                              AF_UNSPEC, connector, on_resolved);
    if (status != 0)
        fail_to_resolve(connector, status);
}

void connector_cancel(struct connector *connector)
{
    if (connector->_resolution != NULL && !resolution_cancel(connector->_resolution))
        connector->_stuck = true;
    if (connector->_race != NULL)
        race_cancel(connector->_race);
    connector->_resolution = NULL;
    connector->_race = NULL;
}

bool connector_is_stuck(const struct connector *connector)
{
    return connector->_stuck;
}

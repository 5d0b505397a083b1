#include "server/http/subscribe.h"

#include "common/http/http_response.h"
#include "server/http/authorize.h"
#include "server/http/replay_from.h"
#include "server/http/services.h"

bool subscribe_is_handshake(const struct request *request)
{
    return request->is_handshake;
}

enum request_outcome subscribe_validate(struct request *request)
{
    const struct channel_settings *settings = services_settings(request);
    struct request_join *join = &request->join;
    const char *why;
    int status =
        server_handshake_check(request->head, !settings->no_compression, &join->handshake, &why);

    if (status == 0) {
        server_handshake_choose(request->head, settings, &join->handshake);
        return REQUEST_PASSED;
    }
    request->response.closes = status == 400; /* the end of what is malformed is not certain */
    return request_refuse(request, status, why);
}

enum request_outcome subscribe_websocket(struct request *request)
{
    struct request_join *join = &request->join;
    const char *why = NULL;

    join->events = false;
    join->may_create = authorize_may_create(request, PRINCIPAL_SUBSCRIBE);
    /* Left out, own messages would look like a gap: each message counts. */
    join->handshake.no_echo = services_settings(request)->no_echo && !join->handshake.ids;
    if ((join->handshake.ids ? replay_from_parse_any : replay_from_parse)(
            request->head, &request->target, &join->replay_from, &why) == 0 &&
        replay_from_parse_gap(&request->target, &join->refuses_gap, &why) == 0)
        return REQUEST_JOIN;
    request->response.closes = true;
    return request_refuse(request, 400, why);
}

bool subscribe_is_lost(const struct request *request)
{
    return request_has_method(request, "GET") && server_handshake_lost(request->head) != NULL;
}

enum request_outcome subscribe_lost(struct request *request)
{
    request->response.by_proxy = true;
    return request_refuse(request, 426, server_handshake_lost(request->head));
}

bool subscribe_is_for_events(const struct request *request)
{
    return request_accepts(request, HTTP_RESPONSE_EVENTS);
}

enum request_outcome subscribe_events(struct request *request)
{
    struct request_join *join = &request->join;
    const char *why;

    join->events = true;
    join->may_create = authorize_may_create(request, PRINCIPAL_SUBSCRIBE);
    if (!request_has_method(request, "GET"))
        return request_refuse(request, 405, "an event stream does not end: request it with GET");
    if (replay_from_parse_any(request->head, &request->target, &join->replay_from, &why) != 0 ||
        replay_from_parse_gap(&request->target, &join->refuses_gap, &why) != 0)
        return request_refuse(request, 400, why);
    return REQUEST_JOIN;
}

enum request_outcome subscribe_required(struct request *request)
{
    return request_refuse(request, 426,
                          "this is a WebSocket endpoint: connect to it with a WebSocket client");
}

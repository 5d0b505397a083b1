#include "server/http/server_handshake.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/base/escape.h"
#include "common/http/http_response.h"

static void refuse(struct server_handshake_verdict *verdict, int status, const char *why)
{
    verdict->status = status;
    verdict->why = why;
}

/* The target is fine, but it is not asked to become a WebSocket. */
static void refuse_plain(struct server_handshake_verdict *verdict, int status, const char *why)
{
    verdict->plain = true;
    refuse(verdict, status, why);
}

/* RFC 9112, 3.2: exactly one Host field, with a value that can be one. */
static bool host_valid(const struct http_head *request)
{
    const char *host = http_head_get(request, "Host");

    if (http_head_count(request, "Host") != 1)
        return request->minor == 0 && host == NULL;
    return *host != '\0' && strpbrk(host, " \t\"#/<>?@\\^`{|},") == NULL;
}

static bool is_upgrade(const struct http_head *request)
{
    /* RFC 9110, 7.8: a server ignores Upgrade in a request of HTTP/1.0 */
    return request->minor > 0 && http_head_has_token(request, "Upgrade", "websocket");
}

/* A client has asked for a WebSocket, but that has got lost on the way: proxies speak HTTP/1.0 to
 * servers, or keep Upgrade to themselves, unless they are told otherwise. One that asks for
 * something else gets that. */
static bool is_upgrade_lost(const struct http_head *request)
{
    return !is_upgrade(request) && !http_head_has_token(request, "Accept", HTTP_RESPONSE_JSON) &&
           !http_head_has_token(request, "Accept", HTTP_RESPONSE_EVENTS) &&
           (http_head_has_token(request, "Upgrade", "websocket") ||
            http_head_get(request, "Sec-WebSocket-Key") != NULL);
}

static void refuse_lost(const struct http_head *request, struct server_handshake_verdict *verdict)
{
    verdict->by_proxy = true;
    if (request->minor == 0)
        refuse(verdict, 426,
               "a WebSocket needs HTTP/1.1, and this came as HTTP/1.0: have the proxy speak "
               "HTTP/1.1 to this server, and pass on Upgrade and Connection");
    else
        refuse(
            verdict, 426,
            "this asks for a WebSocket, but 'Upgrade: websocket' is missing: have the proxy pass "
            "on Upgrade and Connection");
}

/* RFC 6455, 4.2.1 */
static void judge_upgrade(const struct http_head *request, bool compression,
                          struct server_handshake_verdict *verdict)
{
    const char *version = http_head_get(request, "Sec-WebSocket-Version");
    const char *key = http_head_get(request, "Sec-WebSocket-Key");

    if (!http_head_has_token(request, "Connection", "upgrade"))
        refuse(verdict, 400, "the request lacks 'Connection: Upgrade'");
    else if (version == NULL)
        refuse(verdict, 400, "the request lacks 'Sec-WebSocket-Version: 13'");
    else if (http_head_count(request, "Sec-WebSocket-Version") > 1)
        refuse(verdict, 400, "Sec-WebSocket-Version must appear once");
    else if (strcmp(version, "13") != 0)
        refuse(verdict, 426, "only version 13 of the WebSocket protocol is spoken here");
    else if (key == NULL)
        refuse(verdict, 400, "the request lacks Sec-WebSocket-Key");
    else if (http_head_count(request, "Sec-WebSocket-Key") > 1)
        refuse(verdict, 400, "Sec-WebSocket-Key must appear once");
    else if (!handshake_key_valid(key))
        refuse(verdict, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    else if (request->has_body)
        refuse(verdict, 400, "an opening handshake has no body");
    else if (extension_accept(request, &verdict->deflate) != 0)
        refuse(verdict, 400, "Sec-WebSocket-Extensions is not a list of extensions");
    else
        handshake_accept(key, verdict->accept);
    if (!compression)
        verdict->deflate.agreed = false;
}

/* RFC 6455, 10.2. The answer names the option that would let the caller in. */
void server_handshake_check_origin(const struct http_head *request,
                                   const struct origin_policy *policy, bool loopback,
                                   struct server_handshake_verdict *verdict)
{
    const char *origin = http_head_get(request, "Origin");
    const char *others = "";
    char shown[128];

    switch (origin_check(policy, request, loopback)) {
    case ORIGIN_NONE:
    case ORIGIN_ADMITTED:
        return;
    case ORIGIN_BAD:
        refuse(verdict, 403, "Origin must appear once, as SCHEME://HOST or SCHEME://HOST:PORT");
        return;
    case ORIGIN_FOREIGN:
        break;
    }
    if (policy->allowed_count == 0 && !loopback &&
        !policy->host_is_known) /* they come in by a rule that a list replaces */
        others = ", and one for each other origin that is to come in";
    (void) snprintf(verdict->text, sizeof verdict->text,
                    "this origin is not allowed; start the server with --origin '%s' to allow it%s",
                    escape_text(shown, sizeof shown, origin, strlen(origin)), others);
    refuse(verdict, 403, verdict->text);
}

static void refuse_path(const char *path, struct server_handshake_verdict *verdict)
{
    (void) snprintf(verdict->text, sizeof verdict->text,
                    "there is nothing here: the path of the endpoint is %s", path);
    refuse(verdict, 404, verdict->text);
}

void server_handshake_check(const struct http_head *request,
                            const struct server_handshake_policy *policy, bool loopback,
                            struct server_handshake_verdict *verdict)
{
    const char *target = http_head_target(request);
    int found;

    *verdict = (struct server_handshake_verdict){.status = 101};
    found = request_target_parse(&verdict->resource, target);
    if (found == 0)
        found = request_target_channel(&verdict->resource, policy->path, &verdict->channel);
    else
        found = UV_ENOENT;
    if (!host_valid(request))
        refuse(verdict, 400, "the request needs exactly one valid Host field");
    else if (strchr(target, '#') != NULL)
        refuse(verdict, 400, "a request target has no fragment");
    else if (found == UV_ENOENT)
        refuse_path(policy->path, verdict);
    else if (found != 0)
        refuse(verdict, 404,
               "this is no channel's name: it has 1 to 128 bytes, of letters, digits and "
               "-._~!$&'()+:@ (the rest of UTF-8 as %XX), with / between parts");
    else if (strcmp(http_head_method(request), "GET") != 0 && is_upgrade(request))
        refuse(verdict, 405, "an opening handshake is a GET");
    else if (strcmp(http_head_method(request), "GET") != 0)
        refuse_plain(verdict, 405, "only " SERVER_HANDSHAKE_ALLOW " are allowed here");
    else if (is_upgrade_lost(request))
        refuse_lost(request, verdict);
    else if (!is_upgrade(request))
        refuse_plain(verdict, 426,
                     "this is a WebSocket endpoint: connect to it with a WebSocket client");
    else
        judge_upgrade(request, policy->compression, verdict);
    verdict->no_echo = policy->no_echo;
    if (verdict->status == 101)
        server_handshake_check_origin(request, &policy->origins, loopback, verdict);
}

int server_handshake_write(struct buffer *out, const struct server_handshake_verdict *verdict,
                           struct event_id place)
{
    char id[EVENT_ID_SIZE];
    int status = buffer_printf(out,
                               "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: %s\r\n"
                               "Last-Event-ID: %s\r\n%s",
                               verdict->accept, event_id_print(place, id),
                               verdict->no_echo ? "Wsbroadcast-Echo: no\r\n" : "");

    if (status == 0)
        status = extension_write_answer(out, &verdict->deflate);
    if (status == 0)
        status = buffer_append(out, "\r\n", 2);
    return status;
}

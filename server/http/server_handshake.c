#include "server/http/server_handshake.h"

#include <string.h>

#include "common/http/http_response.h"
#include "common/http/secret.h"

/* RFC 9110, 5.6.2 */
#define TOKEN "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool server_handshake_is_asked_for(const struct http_head *request)
{
    /* RFC 9110, 7.8: a server ignores Upgrade in a request of HTTP/1.0 */
    return request->minor > 0 && http_head_has_token(request, "Upgrade", "websocket");
}

const char *server_handshake_lost(const struct http_head *request)
{
    bool like_one = http_head_has_token(request, "Upgrade", "websocket") ||
                    http_head_get(request, "Sec-WebSocket-Key") != NULL;

    if (!like_one || server_handshake_is_asked_for(request) ||
        http_head_accepts(request, HTTP_RESPONSE_JSON) ||
        http_head_accepts(request, HTTP_RESPONSE_EVENTS))
        return NULL;
    return request->minor == 0
               ? "a WebSocket needs HTTP/1.1, and this request came as HTTP/1.0: have the proxy "
                 "speak HTTP/1.1 to this server, and pass on Upgrade and Connection"
               : "this request is for a WebSocket, but 'Upgrade: websocket' is missing: have the "
                 "proxy pass on Upgrade and Connection";
}

/* The fields but for their number. Returns as server_handshake_check does. */
static int check_fields(const struct http_head *request, struct server_handshake *handshake,
                        const char **why)
{
    const char *version = http_head_get(request, "Sec-WebSocket-Version");
    const char *key = http_head_get(request, "Sec-WebSocket-Key");

    if (!http_head_has_token(request, "Connection", "upgrade"))
        *why = "the request lacks 'Connection: Upgrade'";
    else if (version == NULL)
        *why = "the request lacks 'Sec-WebSocket-Version: 13'";
    else if (http_head_count(request, "Sec-WebSocket-Version") > 1)
        *why = "Sec-WebSocket-Version must appear once";
    else if (strcmp(version, "13") != 0) {
        *why = "only version 13 of the WebSocket protocol is supported";
        return 426;
    } else if (key == NULL)
        *why = "the request lacks Sec-WebSocket-Key";
    else if (http_head_count(request, "Sec-WebSocket-Key") > 1)
        *why = "Sec-WebSocket-Key must appear once";
    else if (!handshake_key_valid(key))
        *why = "Sec-WebSocket-Key must be 16 bytes in base64";
    else if (request->has_body)
        *why = "an opening handshake must not have a body";
    else if (extension_accept(request, &handshake->deflate) != 0)
        *why = "Sec-WebSocket-Extensions is not a valid list of extensions";
    else
        return 0;
    return 400;
}

static bool is_named(const char *name, const char *offered, size_t len)
{
    return strlen(name) == len && memcmp(name, offered, len) == 0;
}

static bool is_agreed_to(const struct channel_settings *settings, const char *offered, size_t len)
{
    if (is_named(SUBPROTOCOL_IDS, offered, len) || is_named(SUBPROTOCOL_PLAIN, offered, len))
        return true;
    for (size_t i = 0; i < settings->subprotocol_count; i++) {
        if (is_named(settings->subprotocols[i], offered, len) ||
            (is_named("*", settings->subprotocols[i], strlen(settings->subprotocols[i])) &&
             strspn(offered, TOKEN) == len && !secret_is_subprotocol(offered, len)))
            return true;
    }
    return false;
}

void server_handshake_choose(const struct http_head *request,
                             const struct channel_settings *settings,
                             struct server_handshake *handshake)
{
    const char *field;
    size_t cursor = 0;

    while ((field = http_head_next(request, "Sec-WebSocket-Protocol", &cursor)) != NULL) {
        size_t len;

        for (; *field != '\0'; field += len) {
            field += strspn(field, ", \t");
            len = strcspn(field, ", \t");
            if (len == 0 || !is_agreed_to(settings, field, len))
                continue;
            handshake->ids = is_named(SUBPROTOCOL_IDS, field, len);
            handshake->subprotocol = field;
            handshake->subprotocol_len = len;
            return;
        }
    }
}

int server_handshake_check(const struct http_head *request, bool compression,
                           struct server_handshake *handshake, const char **why)
{
    int status;

    *handshake = (struct server_handshake){.no_echo = false};
    if (strcmp(http_head_method(request), "GET") != 0) {
        *why = "the method of an opening handshake must be GET";
        return 405;
    }
    status = check_fields(request, handshake, why);
    if (status == 0)
        handshake_accept(http_head_get(request, "Sec-WebSocket-Key"), handshake->accept);
    if (!compression)
        handshake->deflate.agreed = false;
    return status;
}

int server_handshake_write(struct buffer *out, const struct server_handshake *handshake,
                           struct event_id start, struct event_id live)
{
    char id[EVENT_ID_SIZE], newest[EVENT_ID_SIZE];
    int status =
        buffer_printf(out,
                      "HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\n"
                      "Connection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n"
                      "Last-Event-ID: %s\r\n"
                      "Live-Event-ID: %s\r\n%s",
                      handshake->accept, event_id_print(start, id), event_id_print(live, newest),
                      handshake->no_echo ? "Wsbroadcast-Echo: no\r\n" : "");

    if (status == 0 && handshake->subprotocol != NULL)
        status = buffer_printf(out, "Sec-WebSocket-Protocol: %.*s\r\n",
                               (int) handshake->subprotocol_len, handshake->subprotocol);
    if (status == 0)
        status = extension_write_answer(out, &handshake->deflate);
    if (status == 0)
        status = buffer_append(out, "\r\n", 2);
    return status;
}

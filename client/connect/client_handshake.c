#include "client/connect/client_handshake.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/base/escape.h"

int client_handshake_init(struct client_handshake *client)
{
    unsigned char nonce[16];

    if (RAND_bytes(nonce, sizeof nonce) != 1)
        return UV_EIO;
    EVP_EncodeBlock((unsigned char *) client->key, nonce, sizeof nonce);
    handshake_accept(client->key, client->accept);
    return 0;
}

static int write_field(struct buffer *out, const char *name, const char *value)
{
    return value != NULL ? buffer_printf(out, "%s: %s\r\n", name, value) : 0;
}

static int write_subprotocols(struct buffer *out, const struct client_handshake_request *request)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < request->subprotocol_count; i++)
        status = buffer_printf(out, "%s%s", i == 0 ? "Sec-WebSocket-Protocol: " : ", ",
                               request->subprotocols[i]);
    return status == 0 && request->subprotocol_count > 0 ? buffer_append(out, "\r\n", 2) : status;
}

/* RFC 6265, 5.4: there is one Cookie at the most. */
static int write_fields(struct buffer *out, const struct client_handshake_request *request)
{
    static const char cookie[] = "Cookie:";
    const char *cookies = request->cookies;
    int status = 0;

    for (size_t i = 0; status == 0 && i < request->field_count; i++) {
        const char *line = request->fields[i];

        status = buffer_printf(out, "%s", line);
        if (status == 0 && cookies != NULL && strncasecmp(line, cookie, sizeof cookie - 1) == 0) {
            status = buffer_printf(out, "; %s", cookies);
            cookies = NULL;
        }
        if (status == 0)
            status = buffer_append(out, "\r\n", 2);
    }
    return status == 0 ? write_field(out, "Cookie", cookies) : status;
}

/* What the user asks for. */
static int write_wishes(struct buffer *out, const struct client_handshake_request *request)
{
    int status = write_field(out, "User-Agent", request->user_agent);

    if (status == 0)
        status = write_field(out, "Origin", request->origin);
    if (status == 0)
        status = write_field(out, "Authorization", request->authorization);
    if (status == 0)
        status = write_field(out, "Last-Event-ID", request->last_event_id);
    if (status == 0)
        status = write_subprotocols(out, request);
    return status == 0 ? write_fields(out, request) : status;
}

static int write_stream_request(struct buffer *out, const struct client_handshake_request *request)
{
    int status = buffer_printf(out,
                               "GET %s HTTP/1.1\r\n"
                               "Host: %s\r\n"
                               "Accept: text/event-stream\r\n"
                               "Cache-Control: no-store\r\n",
                               request->target, request->authority);

    if (status == 0)
        status = write_wishes(out, request);
    return status == 0 ? buffer_append(out, "\r\n", 2) : status;
}

int client_handshake_write_request(const struct client_handshake *client, struct buffer *out,
                                   const struct client_handshake_request *request)
{
    int status;

    if (request->events)
        return write_stream_request(out, request);
    status = buffer_printf(out,
                           "GET %s HTTP/1.1\r\n"
                           "Host: %s\r\n"
                           "Upgrade: websocket\r\n"
                           "Connection: Upgrade\r\n"
                           "Sec-WebSocket-Key: %s\r\n"
                           "Sec-WebSocket-Version: 13\r\n",
                           request->target, request->authority, client->key);

    if (status == 0)
        status = write_wishes(out, request);
    if (status == 0 && request->compression)
        status = extension_write_offer(out);
    if (status == 0)
        status = buffer_append(out, "\r\n", 2);
    return status;
}

/* RFC 6455, 4.1: the server may name one of the subprotocols that were offered, or none. */
static bool subprotocol_valid(const struct client_handshake_request *request,
                              const struct http_head *response)
{
    const char *chosen = http_head_get(response, "Sec-WebSocket-Protocol");

    if (chosen == NULL)
        return true;
    if (http_head_count(response, "Sec-WebSocket-Protocol") != 1)
        return false;
    for (size_t i = 0; i < request->subprotocol_count; i++) {
        if (strcmp(chosen, request->subprotocols[i]) == 0)
            return true;
    }
    return false;
}

int client_handshake_check_response(const struct client_handshake *client,
                                    const struct client_handshake_request *request,
                                    const struct http_head *response,
                                    struct extension_deflate *deflate, struct error *error)
{
    const char *accept = http_head_get(response, "Sec-WebSocket-Accept");
    const char *why = NULL;

    if (response->status != 101) {
        char reason[128];
        const char *phrase = http_head_reason(response);

        return error_set(error, UV_ECONNREFUSED, "the server refused with HTTP status %d%s%s",
                         response->status, *phrase != '\0' ? " " : "",
                         escape_text(reason, sizeof reason, phrase, strlen(phrase)));
    }
    if (http_head_count(response, "Upgrade") != 1 ||
        strcasecmp(http_head_get(response, "Upgrade"), "websocket") != 0)
        why = "it lacks 'Upgrade: websocket'";
    else if (!http_head_has_token(response, "Connection", "upgrade"))
        why = "it lacks 'Connection: Upgrade'";
    else if (accept == NULL || http_head_count(response, "Sec-WebSocket-Accept") != 1)
        why = "it needs exactly one Sec-WebSocket-Accept";
    else if (strcmp(accept, client->accept) != 0)
        why = "its Sec-WebSocket-Accept does not fit our key";
    else if (extension_check_response(response, request->compression, deflate) != 0)
        why = "its Sec-WebSocket-Extensions does not answer what was offered";
    else if (!subprotocol_valid(request, response))
        why = "it names a subprotocol that was not offered";
    if (why == NULL)
        return 0;
    return error_set(error, UV_EPROTO, "the server's opening handshake is not valid: %s", why);
}

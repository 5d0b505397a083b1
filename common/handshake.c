#include "common/handshake.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "common/escape.h"
#include "common/http_answer.h"

/* Writes base64(SHA-1(key + GUID)) (RFC 6455, 4.2.2, point 5.4). */
static void accept_for(const char *key, char accept[HANDSHAKE_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[HANDSHAKE_KEY_LEN + sizeof guid];
    unsigned char digest[SHA_DIGEST_LENGTH];

    memcpy(text, key, HANDSHAKE_KEY_LEN);
    memcpy(text + HANDSHAKE_KEY_LEN, guid, sizeof guid);
    SHA1((const unsigned char *) text, sizeof text - 1, digest);
    EVP_EncodeBlock((unsigned char *) accept, digest, sizeof digest);
}

/* ---- the server's side ---- */

/* True for the base64 of exactly 16 bytes: 22 digits and "==", with no stray bits in the last. */
static bool key_valid(const char *key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return strlen(key) == HANDSHAKE_KEY_LEN && strspn(key, digits) == HANDSHAKE_KEY_LEN - 2 &&
           strcmp(key + HANDSHAKE_KEY_LEN - 2, "==") == 0 &&
           strchr("AQgw", key[HANDSHAKE_KEY_LEN - 3]) != NULL;
}

static void refuse(struct handshake_verdict *verdict, int status, const char *why)
{
    verdict->status = status;
    verdict->why = why;
}

/* The target is fine, but it is not asked to become a WebSocket. */
static void refuse_plain(struct handshake_verdict *verdict, int status, const char *why)
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
    return !is_upgrade(request) && !http_head_has_token(request, "Accept", HTTP_ANSWER_JSON) &&
           !http_head_has_token(request, "Accept", HTTP_ANSWER_EVENTS) &&
           (http_head_has_token(request, "Upgrade", "websocket") ||
            http_head_get(request, "Sec-WebSocket-Key") != NULL);
}

static void refuse_lost(const struct http_head *request, struct handshake_verdict *verdict)
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
                          struct handshake_verdict *verdict)
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
    else if (!key_valid(key))
        refuse(verdict, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
    else if (request->has_body)
        refuse(verdict, 400, "an opening handshake has no body");
    else if (extension_accept(request, &verdict->deflate) != 0)
        refuse(verdict, 400, "Sec-WebSocket-Extensions is not a list of extensions");
    else
        accept_for(key, verdict->accept);
    if (!compression)
        verdict->deflate.agreed = false;
}

/* RFC 6455, 10.2. The answer names the option that would let the caller in. */
void handshake_judge_origin(const struct http_head *request, const struct origin_policy *policy,
                            bool loopback, struct handshake_verdict *verdict)
{
    const char *origin = http_head_get(request, "Origin");
    const char *others = "";
    char shown[128];

    switch (origin_judge(policy, request, loopback)) {
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

static void refuse_path(const char *path, struct handshake_verdict *verdict)
{
    (void) snprintf(verdict->text, sizeof verdict->text,
                    "there is nothing here: the path of the endpoint is %s", path);
    refuse(verdict, 404, verdict->text);
}

void handshake_judge_request(const struct http_head *request, const struct handshake_policy *policy,
                             bool loopback, struct handshake_verdict *verdict)
{
    const char *target = http_head_target(request);
    int found;

    *verdict = (struct handshake_verdict){.status = 101};
    found = resource_parse(&verdict->resource, target);
    if (found == 0)
        found = resource_channel(&verdict->resource, policy->path, &verdict->channel);
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
        refuse_plain(verdict, 405, "only " HANDSHAKE_ALLOW " are allowed here");
    else if (is_upgrade_lost(request))
        refuse_lost(request, verdict);
    else if (!is_upgrade(request))
        refuse_plain(verdict, 426,
                     "this is a WebSocket endpoint: connect to it with a WebSocket client");
    else
        judge_upgrade(request, policy->compression, verdict);
    verdict->no_echo = policy->no_echo;
    if (verdict->status == 101)
        handshake_judge_origin(request, &policy->origins, loopback, verdict);
}

int handshake_write_response(struct buffer *out, const struct handshake_verdict *verdict,
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

/* ---- the client's side ---- */

int handshake_client_init(struct handshake_client *client)
{
    unsigned char nonce[16];

    if (RAND_bytes(nonce, sizeof nonce) != 1)
        return UV_EIO;
    EVP_EncodeBlock((unsigned char *) client->key, nonce, sizeof nonce);
    accept_for(client->key, client->accept);
    return 0;
}

static int write_field(struct buffer *out, const char *name, const char *value)
{
    return value != NULL ? buffer_printf(out, "%s: %s\r\n", name, value) : 0;
}

static int write_subprotocols(struct buffer *out, const struct handshake_request *request)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < request->subprotocol_count; i++)
        status = buffer_printf(out, "%s%s", i == 0 ? "Sec-WebSocket-Protocol: " : ", ",
                               request->subprotocols[i]);
    return status == 0 && request->subprotocol_count > 0 ? buffer_append(out, "\r\n", 2) : status;
}

/* What the user asks for. */
static int write_wishes(struct buffer *out, const struct handshake_request *request)
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
    for (size_t i = 0; status == 0 && i < request->field_count; i++)
        status = buffer_printf(out, "%s\r\n", request->fields[i]);
    return status;
}

int handshake_write_request(const struct handshake_client *client, struct buffer *out,
                            const struct handshake_request *request)
{
    int status = buffer_printf(out,
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
static bool subprotocol_valid(const struct handshake_request *request,
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

int handshake_judge_response(const struct handshake_client *client,
                             const struct handshake_request *request,
                             const struct http_head *response, struct extension_deflate *deflate,
                             struct error *error)
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
    else if (extension_judge_answer(response, request->compression, deflate) != 0)
        why = "its Sec-WebSocket-Extensions does not answer what was offered";
    else if (!subprotocol_valid(request, response))
        why = "it names a subprotocol that was not offered";
    if (why == NULL)
        return 0;
    return error_set(error, UV_EPROTO, "the server's opening handshake is not valid: %s", why);
}

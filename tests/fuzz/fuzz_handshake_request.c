/* The server's side of the opening handshake: what is let in is what RFC 6455, 4.2.1 lets in, and
 * what we answer is what our own client takes.
 * Last byte: bit 0: compression is off; bits 1 and 2: how a refusal is written;
 * bit 3: one origin is listed; bit 4: only this machine reaches the listener. */
#include "client/connect/client_handshake.h"
#include "server/http/server_handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <strings.h>
#include <uv.h>

#include "tests/asked.h"
#include "tests/fuzz/heads.h"

static void check_deflate(const struct extension_deflate *deflate)
{
    if (!deflate->agreed)
        return;
    fuzz_check(deflate->server_max_window_bits >= 8 && deflate->server_max_window_bits <= 15,
               "server_max_window_bits=%u", deflate->server_max_window_bits);
    fuzz_check(deflate->client_max_window_bits >= 8 && deflate->client_max_window_bits <= 15,
               "client_max_window_bits=%u", deflate->client_max_window_bits);
    fuzz_check(deflate->server_no_context_takeover, "the server would take its context over");
}

static void expected_accept(const char *key, char accept[HANDSHAKE_ACCEPT_LEN + 1])
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char text[128];
    int len = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

    SHA1((const unsigned char *) text, (size_t) len, digest);
    EVP_EncodeBlock((unsigned char *) accept, digest, sizeof digest);
}

static void check_accepted(const struct http_head *request,
                           const struct server_handshake *handshake, bool compression)
{
    struct client_handshake client = {0};
    struct extension_deflate agreed;
    struct buffer response = {0};
    struct http_head head;
    struct error error;
    const struct client_handshake_request wish = {.compression = true};
    const char *key = http_head_get(request, "sec-websocket-key");
    unsigned char nonce[HANDSHAKE_KEY_LEN];

    fuzz_check(strcmp(http_head_method(request), "GET") == 0, "method");
    fuzz_check(request->major == 1 && request->minor >= 1, "version of HTTP");
    fuzz_check(http_head_count(request, "host") == 1, "Host");
    fuzz_check(strcmp(http_head_get(request, "sec-websocket-version"), "13") == 0, "version");
    fuzz_check(http_head_has_token(request, "upgrade", "WebSocket"), "Upgrade");
    fuzz_check(http_head_has_token(request, "connection", "UPGRADE"), "Connection");
    fuzz_check(key != NULL && strlen(key) == HANDSHAKE_KEY_LEN, "key");
    fuzz_check(EVP_DecodeBlock(nonce, (const unsigned char *) key, HANDSHAKE_KEY_LEN) == 18,
               "key"); /* 16 bytes, and the two of its padding */
    memcpy(client.key, key, HANDSHAKE_KEY_LEN);
    expected_accept(key, client.accept);
    check_deflate(&handshake->deflate);
    fuzz_check(compression || !handshake->deflate.agreed, "compression is off");
    fuzz_check(server_handshake_write(&response, handshake, (struct event_id){1, 2},
                                      (struct event_id){1, 3}) == 0,
               "out of memory");
    fuzz_check(heads_parse_own(&head, HTTP_HEAD_RESPONSE, &response) == response.len, "bytes");
    fuzz_check(client_handshake_check_response(&client, &wish, &head, &agreed, &error) == 0,
               "our client refuses it: %s", error.text);
    fuzz_check(agreed.agreed == handshake->deflate.agreed, "compression or none");
    if (agreed.agreed) {
        fuzz_check(agreed.server_no_context_takeover, "server_no_context_takeover");
        fuzz_check(agreed.client_no_context_takeover ==
                       handshake->deflate.client_no_context_takeover,
                   "client_no_context_takeover");
        fuzz_check(agreed.server_max_window_bits == handshake->deflate.server_max_window_bits,
                   "server_max_window_bits");
        fuzz_check(agreed.client_max_window_bits == handshake->deflate.client_max_window_bits,
                   "client_max_window_bits");
    }
    http_head_deinit(&head);
    buffer_deinit(&response);
}

static void check_refused(const struct response *refusal, bool keep_alive, bool head_only)
{
    struct buffer out = {0};
    struct http_head head;
    size_t used, body;

    fuzz_check(refusal->status >= 400 && refusal->status < 600, "status %d", refusal->status);
    fuzz_check(refusal->why != NULL && strpbrk(refusal->why, "\r\n") == NULL, "not one line");
    fuzz_check(response_write(&out, refusal, keep_alive, head_only) == 0, "out of memory");
    used = heads_parse_own(&head, HTTP_HEAD_RESPONSE, &out);
    body = strtoul(http_head_get(&head, "Content-Length"), NULL, 10);
    fuzz_check(head.status == refusal->status, "status %d", head.status);
    fuzz_check(body == strlen(refusal->why) + 1, "Content-Length %zu", body);
    fuzz_check(out.len == used + (head_only ? 0 : body), "bytes");
    fuzz_check(http_head_has_token(&head, "Connection", "close") == !keep_alive, "Connection");
    fuzz_check(refusal->status != 405 || *http_head_get(&head, "Allow") != '\0', "Allow");
    fuzz_check(refusal->status != 426 || http_head_has_token(&head, "Connection", "upgrade"),
               "426 without Connection: Upgrade");
    http_head_deinit(&head);
    buffer_deinit(&out);
}

/* None, or the one that is listed, whose port may be told. */
static void check_listed(const char *origin, const char *listed)
{
    size_t len = strlen(listed);

    if (origin == NULL)
        return;
    fuzz_check(strncasecmp(origin, listed, len) == 0 &&
                   (origin[len] == '\0' ||
                    (origin[len] == ':' && strtoul(origin + len + 1, NULL, 10) == 443)),
               "the origin '%s', which is not listed", origin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t choice = fuzz_last(&input);
    static const char *const origins[] = {"https://example.org"};
    const struct server_options options = {.path = "/ws", .no_compression = (choice & 1) != 0};
    const struct channel_rules rules = {.others = server_options_settings(&options),
                                        .of_default = server_options_settings(&options)};
    struct channels channels = {._rules = &rules};
    const struct services services = {
        .options = &options,
        .channels = &channels,
        .origins = {.allowed = origins, .allowed_count = (choice & 8) != 0 ? 1 : 0},
    };
    struct http_head request;
    struct asked asked;

    if (!heads_parse(&request, HTTP_HEAD_REQUEST, input.data, input.len))
        return 0;
    asked_of(&asked, &request, &services, (choice & 16) != 0);
    fuzz_check(asked.status != 101 || http_head_count(&request, "origin") <= 1, "two Origins");
    if (asked.status <= 200 && (choice & 8) != 0 && (choice & 16) == 0)
        check_listed(http_head_get(&request, "origin"), origins[0]);
    if (asked.status == 101 && !asked.request.join.events)
        check_accepted(&request, &asked.request.join.handshake, !options.no_compression);
    else if (asked.status != 200)
        check_refused(&asked.request.response, (choice & 2) != 0, (choice & 4) != 0);
    request_deinit(&asked.request);
    http_head_deinit(&request);
    return 0;
}

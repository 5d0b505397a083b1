/* The client's side of the opening handshake: it goes on only with what RFC 6455, 4.1 allows, and
 * what it says of the rest is fit for a terminal.
 * Last byte: bit 0: compression was not offered. */
#include "client/connect/client_handshake.h"

#include <ctype.h>
#include <strings.h>
#include <uv.h>

#include "tests/fuzz/heads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* RFC 6455, 1.3 */
    static const struct client_handshake client = {.key = "dGhlIHNhbXBsZSBub25jZQ==",
                                                   .accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="};
    struct fuzz_input input = {data, size};
    bool offered = (fuzz_last(&input) & 1) == 0;
    struct client_handshake_request request = {.compression = offered};
    struct extension_deflate deflate = {.agreed = false};
    struct http_head response;
    struct error error = {""};
    int status;

    if (!heads_parse(&response, HTTP_HEAD_RESPONSE, input.data, input.len))
        return 0;
    status = client_handshake_check_response(&client, &request, &response, &deflate, &error);
    if (status == 0) {
        fuzz_check(response.status == 101, "status %d", response.status);
        fuzz_check(strcasecmp(http_head_get(&response, "upgrade"), "websocket") == 0, "Upgrade");
        fuzz_check(http_head_has_token(&response, "connection", "Upgrade"), "Connection");
        fuzz_check(strcmp(http_head_get(&response, "sec-websocket-accept"), client.accept) == 0,
                   "Sec-WebSocket-Accept");
        fuzz_check(http_head_get(&response, "sec-websocket-protocol") == NULL, "subprotocol");
        fuzz_check(offered || http_head_get(&response, "sec-websocket-extensions") == NULL,
                   "an extension that was not offered");
        if (deflate.agreed) {
            fuzz_check(offered, "compression that was not offered");
            fuzz_check(deflate.server_max_window_bits - 8U <= 7, "server_max_window_bits");
            fuzz_check(deflate.client_max_window_bits - 8U <= 7, "client_max_window_bits");
        }
    } else {
        fuzz_check(status == UV_EPROTO || status == UV_ECONNREFUSED, "status %d", status);
        fuzz_check((status == UV_ECONNREFUSED) == (response.status != 101), "which of them");
        fuzz_check(error.text[0] != '\0', "no text");
        for (const char *c = error.text; *c != '\0'; c++)
            fuzz_check((unsigned char) *c >= 0x20 && *c != 0x7f, "a control character: %d", *c);
    }
    http_head_deinit(&response);
    return 0;
}

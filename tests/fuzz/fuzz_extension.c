/* Negotiation of permessage-deflate. The input is the value of Sec-WebSocket-Extensions; each line
 * is a field of its own. It is judged as an offer, whose answer our client must understand, and as
 * an answer. */
#include "common/websocket/extension.h"

#include <uv.h>

#include "tests/fuzz/heads.h"

static bool parse(struct http_head *head, enum http_head_kind kind, struct fuzz_input value)
{
    struct buffer text = {0};
    const char *start = kind == HTTP_HEAD_REQUEST ? "GET / HTTP/1.1\r\n" : "HTTP/1.1 101 OK\r\n";
    bool whole;

    fuzz_check(buffer_append(&text, start, strlen(start)) == 0, "out of memory");
    while (value.len > 0) {
        const uint8_t *end = memchr(value.data, '\n', value.len);
        size_t len = end != NULL ? (size_t) (end - value.data) : value.len;
        struct fuzz_input line = fuzz_take(&value, len);

        (void) fuzz_first(&value);
        fuzz_check(buffer_printf(&text, "Sec-WebSocket-Extensions: ") == 0 &&
                       buffer_append(&text, line.data, line.len) == 0 &&
                       buffer_append(&text, "\r\n", 2) == 0,
                   "out of memory");
    }
    fuzz_check(buffer_append(&text, "\r\n", 2) == 0, "out of memory");
    whole = heads_parse(head, kind, text.data, text.len);
    buffer_deinit(&text);
    return whole;
}

static void check_bits(const struct extension_deflate *deflate)
{
    fuzz_check(deflate->server_max_window_bits >= 8 && deflate->server_max_window_bits <= 15,
               "server_max_window_bits=%u", deflate->server_max_window_bits);
    fuzz_check(deflate->client_max_window_bits >= 8 && deflate->client_max_window_bits <= 15,
               "client_max_window_bits=%u", deflate->client_max_window_bits);
}

static void check_answer(const struct extension_deflate *deflate)
{
    struct extension_deflate understood;
    struct buffer answer = {0};
    struct http_head head;

    fuzz_check(buffer_printf(&answer, "HTTP/1.1 101 OK\r\n") == 0, "out of memory");
    fuzz_check(extension_write_answer(&answer, deflate) == 0, "out of memory");
    fuzz_check(buffer_printf(&answer, "\r\n") == 0, "out of memory");
    (void) heads_parse_own(&head, HTTP_HEAD_RESPONSE, &answer);
    fuzz_check(extension_check_response(&head, true, &understood) == 0, "our client refuses: %.*s",
               (int) answer.len, (const char *) answer.data);
    fuzz_check(understood.agreed == deflate->agreed, "agreed");
    if (deflate->agreed) {
        check_bits(deflate);
        fuzz_check(understood.server_no_context_takeover == deflate->server_no_context_takeover &&
                       understood.client_no_context_takeover ==
                           deflate->client_no_context_takeover &&
                       understood.server_max_window_bits == deflate->server_max_window_bits &&
                       understood.client_max_window_bits == deflate->client_max_window_bits,
                   "the two sides have not agreed on the same: %.*s", (int) answer.len,
                   (const char *) answer.data);
    }
    http_head_deinit(&head);
    buffer_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct extension_deflate deflate;
    struct http_head head;

    if (parse(&head, HTTP_HEAD_REQUEST, input)) {
        int status = extension_accept(&head, &deflate);

        fuzz_check(status == 0 || status == UV_EPROTO, "status %d", status);
        if (status == 0)
            check_answer(&deflate);
        http_head_deinit(&head);
    }
    if (parse(&head, HTTP_HEAD_RESPONSE, input)) {
        fuzz_check(extension_check_response(&head, false, &deflate) == 0 ||
                       http_head_get(&head, "Sec-WebSocket-Extensions") != NULL,
                   "no answer to no offer is right");
        fuzz_check(!deflate.agreed, "agreed on what was not offered");
        if (extension_check_response(&head, true, &deflate) == 0 && deflate.agreed)
            check_bits(&deflate);
        http_head_deinit(&head);
    }
    return 0;
}

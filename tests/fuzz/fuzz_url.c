/* URLs: one that is taken gives a request that our own server lets in, with nothing smuggled. */
#include "client/connect/url.h"

#include <uv.h>

#include "client/connect/client_handshake.h"
#include "tests/asked.h"
#include "tests/fuzz/heads.h"
#include "tests/rules.h"

enum { MOST = 4096 }; /* longer targets are refused by the server, rightly */

static void check_plain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        fuzz_check((unsigned char) *c > 0x20 && (unsigned char) *c < 0x7f, "a byte %d in '%s'", *c,
                   text);
}

static void check_request(const struct url *url)
{
    struct server_options options = {0};
    struct channels channels = {._rules = rules_keeping(&(struct history_policy){0})};
    const struct services services = {.options = &options, .channels = &channels};
    struct client_handshake_request wish = {
        .authority = url->authority, .target = url->target, .compression = true};
    struct client_handshake client;
    struct buffer request = {0};
    struct http_head head;
    struct asked asked;
    char *path = strndup(url->target, strcspn(url->target, "?"));

    fuzz_check(path != NULL && client_handshake_init(&client) == 0, "out of something");
    options.path = path;
    fuzz_check(client_handshake_write_request(&client, &request, &wish) == 0, "out of memory");
    fuzz_check(heads_parse_own(&head, HTTP_HEAD_REQUEST, &request) == request.len, "bytes");
    fuzz_check(strcmp(http_head_target(&head), url->target) == 0, "target");
    fuzz_check(strcmp(http_head_get(&head, "Host"), url->authority) == 0, "Host");
    asked_of(&asked, &head, &services, true);
    /* What its query says of a replay is not what is tested here. */
    fuzz_check(asked.route != NULL && asked.route->validate != NULL,
               "our server refuses '%s' at '%s': %d %s", url->target, url->authority, asked.status,
               asked.why);
    fuzz_check(strcmp(asked.request.join.handshake.accept, client.accept) == 0, "accept");
    request_deinit(&asked.request);
    http_head_deinit(&head);
    buffer_deinit(&request);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {""};
    struct url url;
    char *text;
    int status;

    if (size > MOST)
        return 0;
    text = strndup((const char *) data, size);
    fuzz_check(text != NULL, "out of memory");
    status = url_init(&url, text, &error);
    if (status == 0) {
        fuzz_check(url.port > 0 && *url.host != '\0' && *url.target == '/', "port, host or target");
        check_plain(url.host);
        check_plain(url.authority);
        check_plain(url.target);
        check_request(&url);
        url_deinit(&url);
    } else {
        fuzz_check(status == UV_EINVAL && error.text[0] != '\0', "status %d", status);
    }
    free(text);
    return 0;
}

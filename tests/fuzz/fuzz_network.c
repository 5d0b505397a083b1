/* What a proxy says, and what wsrecv is told of ways and times. A SOCKS proxy gets no further than
 * it may, however its answers are cut; what is taken for a rule, a proxy or a field is one; a
 * redirection that is resolved is a URL or is refused.
 * Last byte: which of these; for SOCKS, bit 7: with a user, and the byte before it: the cuts. */
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "client/connect/header_fields.h"
#include "client/connect/proxy.h"
#include "client/connect/retry_after.h"
#include "client/connect/route.h"
#include "client/connect/socks.h"
#include "client/connect/url.h"
#include "tests/fuzz/fuzz.h"

enum what { SOCKS, PROXY, EXCEPTED, RESOLVE, CONNECT_TO, FIELD, RETRY_AFTER, REDIRECT, WHATS };

static void check_socks(struct fuzz_input input, bool user)
{
    size_t step = 1 + fuzz_last(&input) % 16;
    struct buffer out = {0};
    struct socks socks;
    enum socks_result result = SOCKS_MORE;

    fuzz_check(socks_init(&socks, user ? 5 : 4, "host.example", 80, user ? "me:pw" : NULL, &out) ==
                   0,
               "init");
    while (result == SOCKS_MORE && input.len > 0) {
        struct fuzz_input piece = fuzz_take(&input, step);
        uint8_t *copy = malloc(piece.len);
        size_t used = 0;

        fuzz_check(copy != NULL, "out of memory");
        memcpy(copy, piece.data, piece.len);
        result = socks_feed(&socks, copy, piece.len, &used, &out);
        fuzz_check(used <= piece.len, "used %zu", used);
        fuzz_check(result != SOCKS_MORE || used == piece.len, "it has stopped at %zu", used);
        free(copy);
    }
    fuzz_check(result != SOCKS_FAILED || socks.why != NULL, "no reason");
    /* Methods, the user, the request: no more is ever said. */
    fuzz_check(out.len <= 4 + 3 + 5 + 4 + 1 + 12 + 2, "%zu bytes are said", out.len);
    buffer_deinit(&out);
}

static void check_proxy(const char *text)
{
    struct error error = {""};
    struct proxy proxy;
    int status = proxy_init(&proxy, text, &error);

    fuzz_check(status == 0 || error.text[0] != '\0', "no reason");
    if (status == 0 && proxy.kind != PROXY_NONE) {
        fuzz_check(proxy.port > 0 && *proxy.host != '\0', "host or port");
        fuzz_check(proxy.user == NULL || strchr(proxy.user, ':') != NULL, "user");
        fuzz_check(proxy.user == NULL || header_fields_value_valid(proxy.user), "user");
    }
    if (status == 0)
        proxy_deinit(&proxy);
}

static void check_route(const char *text, int (*add)(struct route_rules *rules,
                                                     const char *argument, struct error *error))
{
    const struct resolution_query query = {.host = "h", .port = 80, .family = AF_UNSPEC};
    struct sockaddr_storage addresses[ROUTE_MAX_ADDRESSES];
    struct route_rules rules = {0};
    struct error error = {""};
    const char *host = "h";
    uint16_t port = 80;
    bool found;

    if (add(&rules, text, &error) != 0)
        fuzz_check(error.text[0] != '\0', "no reason");
    route_redirect(&rules, &host, &port);
    fuzz_check(*host != '\0' && port > 0, "'%s' port %u", host, port);
    fuzz_check(route_addresses(&rules, &query, addresses, &found) <= ROUTE_MAX_ADDRESSES, "many");
    route_deinit(&rules);
}

static void check_field(const char *text)
{
    struct header_fields fields = {.host = NULL};
    struct error error = {""};

    if (*text != '@' && header_fields_add(&fields, text, &error) == 0) {
        fuzz_check(fields.lines.count + fields.removed.count + (fields.host != NULL) == 1,
                   "how many");
        fuzz_check(strpbrk(text, "\r\n") == NULL && strpbrk(text, ":;") > text, "it is none");
        fuzz_check(fields.lines.count == 0 || strchr(fields.lines.items[0], ':') != NULL,
                   "no colon");
    }
    header_fields_deinit(&fields);
}

static void check_redirect(const char *text)
{
    struct error error = {""};
    struct url base, url;
    char *to = NULL;

    fuzz_check(url_init(&base, "wss://u:p@host:81/a/b?c", &error) == 0, "base");
    if (url_resolve(&to, &base, text, &error) == 0) {
        fuzz_check(to != NULL, "nothing");
        if (url_init(&url, to, &error) == 0) {
            fuzz_check(url.user == NULL, "a user in '%s'", to);
            url_deinit(&url);
        }
    }
    free(to);
    url_deinit(&base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t choice = fuzz_last(&input);
    char *text = strndup((const char *) input.data, input.len);

    fuzz_check(text != NULL, "out of memory");
    switch ((enum what)((choice & 0x7f) % WHATS)) {
    case SOCKS:
        check_socks(input, (choice & 0x80) != 0);
        break;
    case PROXY:
        check_proxy(text);
        break;
    case EXCEPTED:
        (void) proxy_is_excepted(text, "192.0.2.1");
        (void) proxy_is_excepted(text, "2001:db8::1");
        (void) proxy_is_excepted(text, "host.example");
        break;
    case RESOLVE:
        check_route(text, route_add_resolve);
        break;
    case CONNECT_TO:
        check_route(text, route_add_connect_to);
        break;
    case FIELD:
        check_field(text);
        break;
    case RETRY_AFTER:
        (void) retry_after_parse(text, 784111777);
        break;
    default:
        check_redirect(text);
        break;
    }
    free(text);
    return 0;
}

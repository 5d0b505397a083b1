/* What the options mean together. */
#include <uv.h>

#include "server/config/server_options.h"
#include "server/syntax/listen_address.h"

#define HISTORY_MEMORY ((uint64_t) 256 << 20)
#define HISTORY_DISK ((uint64_t) 1 << 30)
#define MAX_STORED_MESSAGE ((uint64_t) 512 << 20)

/* History has half of the memory at most, so that the bound on the rest means something. */
static int settle_history(struct server_options *options, struct error *error)
{
    bool stored = options->store != NULL;
    uint64_t most = options->max_memory / 2;
    uint64_t *memory = stored ? &options->history_memory : &options->history_total;

    if (*memory == SERVER_OPTIONS_UNSET)
        *memory = most > 0 && most < HISTORY_MEMORY ? most : HISTORY_MEMORY;
    if (*memory == 0)
        *memory = most;
    if (most > 0 && *memory > most)
        return error_set(error, UV_EINVAL,
                         "--history-%s is more than half of --max-memory (%llu bytes): lower "
                         "the one, or raise the other",
                         stored ? "memory" : "total", (unsigned long long) options->max_memory);
    if (stored && options->history_total == SERVER_OPTIONS_UNSET)
        options->history_total = HISTORY_DISK;
    return 0;
}

/* Without bounds on history, a store keeps all that it has room for. */
static int settle_store(struct server_options *options, struct error *error)
{
    struct history_policy *history = &options->history;

    if (options->store == NULL && (options->check_store || options->new_epoch))
        return error_set(error, UV_EINVAL, "--%s needs '--store FILE'",
                         options->check_store ? "check-store" : "new-epoch");
    if (options->store == NULL && options->history_memory != SERVER_OPTIONS_UNSET)
        return error_set(error, UV_EINVAL, "--history-memory needs '--store FILE'");
    if (options->store == NULL)
        return 0;
    if (options->max_message == 0 || options->max_message > MAX_STORED_MESSAGE)
        return error_set(error, UV_EINVAL,
                         "--store holds messages of 512 MiB at most: lower --max-message");
    if (history->messages == 0 && history->bytes == 0 && history->age == 0)
        history->messages = UINT32_MAX;
    return 0;
}

bool server_options_authenticate(const struct server_options *options)
{
    return options->token_file != NULL || options->jwt_key_count > 0;
}

/* What needs somebody who can be authorized. */
static int check_users(const struct server_options *options, struct error *error)
{
    if (server_options_authenticate(options))
        return 0;
    if (options->may_subscribe == SERVER_OPTIONS_AUTHORIZED ||
        options->may_publish == SERVER_OPTIONS_AUTHORIZED || options->authorized_channels)
        return error_set(error, UV_EINVAL,
                         "'authorized' needs a source of users: --token-file or --jwt-key");
    if (options->auth_cookie != NULL)
        return error_set(error, UV_EINVAL,
                         "--auth-cookie needs a source of users: --token-file or --jwt-key");
    if (options->jwt_issuer != NULL || options->jwt_audience != NULL)
        return error_set(error, UV_EINVAL, "--jwt-issuer and --jwt-audience need --jwt-key");
    return 0;
}

/* Of an address that can be parsed: whether others than this machine may reach it. */
static bool is_reachable(const char *address)
{
    struct listen_address where;
    struct error unused;

    return listen_address_parse(address, &where, &unused) == 0 && !listen_address_is_local(&where);
}

int server_options_settle(struct server_options *options, struct error *error)
{
    if (options->tls_cert_count != options->tls_key_count ||
        (options->tls_client_ca != NULL && options->tls_cert_count == 0))
        return error_set(error, UV_EINVAL,
                         "TLS needs both '--tls-cert FILE' and '--tls-key FILE', in pairs");
    if (options->no_page && options->page != NULL)
        return error_set(error, UV_EINVAL, "--page and --no-page exclude each other");
    if (options->tls_wanted && options->tls_cert_count == 0)
        return error_set(error, UV_EINVAL, "tls=on needs '--tls-cert FILE' and '--tls-key FILE'");
    if (options->admin != NULL && options->admin_token_file == NULL && is_reachable(options->admin))
        return error_set(error, UV_EINVAL,
                         "--admin %s can be reached by other machines: it needs "
                         "--admin-token-file, or an address of this machine alone",
                         options->admin);
    if (check_users(options, error) != 0)
        return UV_EINVAL;
    if (settle_store(options, error) != 0)
        return UV_EINVAL;
    return settle_history(options, error);
}

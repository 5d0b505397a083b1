#include "server/http/authorize.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "server/auth/auth.h"
#include "server/auth/credentials.h"
#include "server/http/services.h"
#include "server/metrics/counters.h"
#include "server/net/guessing.h"

enum { VERIFYING = 100 * 1000 /* units of work, as bytes that are copied: one signature or two */ };

/* ---- as whom ---- */

/* A cookie counts only for pages of this server, or of origins that are listed by name: where '*'
 * lists all of them, none of them is trusted with it, and "null" is anybody's. */
static bool origin_is_trusted(const struct request *request)
{
    const struct origin_policy *all = &request->services->origins;
    const char *listed[SERVER_OPTIONS_MAX_ORIGINS];
    struct origin_policy policy = {.allowed = listed, .host_is_known = all->host_is_known};

    for (size_t i = 0; i < all->allowed_count && i < SERVER_OPTIONS_MAX_ORIGINS; i++) {
        if (strcmp(all->allowed[i], "*") != 0 && strcmp(all->allowed[i], "null") != 0)
            listed[policy.allowed_count++] = all->allowed[i];
    }
    return origin_check(&policy, request->head, request->local_only) == ORIGIN_ADMITTED;
}

static void count(const struct request *request, size_t verdict)
{
    if (request->services->counters != NULL)
        counters_add(&request->services->counters->credentials[verdict], 1);
}

static enum request_outcome refuse_guess(struct request *request)
{
    count(request, COUNTERS_LIMITED);
    request->response.limit = "max-auth-failures-per-minute";
    request->response.retry_after = GUESSING_MINUTE / 1000;
    return request_refuse(request, 429,
                          "too many credentials from this address were refused: try again in a "
                          "minute");
}

static enum request_outcome refuse_credential(struct request *request, const char *why)
{
    count(request, COUNTERS_REFUSED);
    request->response.guessed = true;
    request->response.challenge = "Bearer error=\"invalid_token\"";
    return request_refuse(request, 401, why);
}

/* Returns 0, with the token or NULL; UV_EINVAL or UV_ENOMEM. */
static int find_token(const struct request *request, char **token)
{
    const struct credentials_request wanted = {
        .head = request->head,
        .query = request->target.query,
        .query_len = request->target.query_len,
        .cookie = auth_cookie(request->services->auth),
        .origin_is_trusted =
            auth_cookie(request->services->auth) != NULL && origin_is_trusted(request),
    };

    return credentials_find(&wanted, token);
}

static enum request_outcome identify(struct request *request)
{
    const struct auth *auth = request->services->auth;
    char *token = NULL;
    const char *why = "the credential is not a single Bearer token";
    int status;

    if (auth == NULL || request->identity.principal != NULL)
        return REQUEST_PASSED;
    status = find_token(request, &token);
    if (status == 0 && token == NULL)
        return REQUEST_PASSED;
    if (request->guesses) {
        if (token != NULL)
            OPENSSL_cleanse(token, strlen(token));
        free(token);
        return refuse_guess(request);
    }
    if (status == 0) {
        status = auth_verify(auth, token, &request->identity, &why);
        request->response.work += VERIFYING;
        OPENSSL_cleanse(token, strlen(token));
    }
    free(token);
    if (status == UV_ENOMEM)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    if (status != 0)
        return refuse_credential(request, why);
    count(request, COUNTERS_ACCEPTED);
    return REQUEST_PASSED;
}

/* ---- what it may ---- */

static enum channel_who who_may(const struct channel_settings *settings, enum principal_right right)
{
    return right == PRINCIPAL_PUBLISH ? settings->may_publish : settings->may_subscribe;
}

enum request_outcome authorize_refuse(struct request *request, enum principal_right right)
{
    bool publishes = right == PRINCIPAL_PUBLISH;

    if (who_may(services_settings(request), right) == CHANNEL_NOBODY)
        return request_refuse(request, 403,
                              publishes ? "nobody may publish in this channel"
                                        : "nobody may subscribe to this channel");
    if (request->identity.principal == NULL)
        return request_refuse(request, 401,
                              publishes ? "publishing here takes a token: send it as "
                                          "'Authorization: Bearer TOKEN'"
                                        : "subscribing to this channel takes a token: send it as "
                                          "'Authorization: Bearer TOKEN'");
    request->response.challenge = "Bearer error=\"insufficient_scope\"";
    return request_refuse(request, 403,
                          publishes ? "this token has no right to publish in this channel"
                                    : "this token has no right to subscribe to this channel");
}

static enum request_outcome check_right(struct request *request, enum principal_right right)
{
    if (auth_may(request->services->auth, who_may(services_settings(request), right),
                 &request->identity, right, request->channel.name))
        return REQUEST_PASSED;
    return authorize_refuse(request, right);
}

enum request_outcome authorize_check(struct request *request)
{
    enum request_outcome outcome;

    if (request->needs == REQUEST_NEEDS_NOTHING)
        return REQUEST_PASSED;
    outcome = identify(request);
    if (outcome != REQUEST_PASSED || request->needs == REQUEST_NEEDS_IDENTITY)
        return outcome;
    return check_right(request, request->needs == REQUEST_NEEDS_PUBLISH ? PRINCIPAL_PUBLISH
                                                                        : PRINCIPAL_SUBSCRIBE);
}

bool authorize_may_see(const struct request *request, const char *channel)
{
    const struct services *services = request->services;

    return services->for_operator ||
           auth_may(services->auth, channels_settings(services->channels, channel)->may_subscribe,
                    &request->identity, PRINCIPAL_SUBSCRIBE, channel);
}

bool authorize_may_create(const struct request *request, enum principal_right right)
{
    const struct services *services = request->services;

    return !services->options->authorized_channels ||
           auth_is_authorized(services->auth, &request->identity, right, request->channel.name);
}
